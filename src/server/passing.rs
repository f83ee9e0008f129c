//! Calls that pass by the places, and take no log line: health, which is open to everybody, and reflection.
//!
//! Nobody has to be known for them, so they may hold little: a few short headers, a short message, and not for
//! long. A question that is not finished at once is one of so many; one too many ends the oldest, so that whoever
//! opens more of them ends only their own. Streams that may last (a watch of health, reflection) are shared out by
//! address, and end when their connection is left.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Extensions, HeaderMap, Request, Response, header};
use http_body::Frame;
use http_body_util::Limited;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::{
    call_layer::Caller,
    quota::{Quota, Share},
    slow_body, stream,
};

/// Services that pass by. A question to reflection may last: it is a stream.
pub const HEALTH: &str = "/grpc.health.";
pub const REFLECTION: &str = "/grpc.reflection.";
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Questions after health that are not finished.
const QUESTIONS: usize = 512;
/// Watches and conversations with reflection: half of them for one address alone.
const STREAMS: usize = 8192;
/// How long a question, and a conversation with reflection, may take altogether.
const QUESTION_TIME: Duration = Duration::from_secs(5);
const CONVERSATION_TIME: Duration = Duration::from_secs(60);
/// Most bytes of all messages of one.
pub const BYTES: usize = 16 * 1024;
/// The headers that the protocol needs, and how long a value of one may be.
const HEADERS: [header::HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::TE,
    header::HeaderName::from_static("grpc-encoding"),
    header::HeaderName::from_static("grpc-accept-encoding"),
    header::HeaderName::from_static("grpc-timeout"),
];
const HEADER: usize = 128;

/// Whether calls of that path pass by.
pub fn is_passing(path: &str) -> bool {
    path.starts_with(HEALTH) || path.starts_with(REFLECTION)
}

/// Tells the streams of one connection that it is left. It is in the extensions of the requests that pass by.
#[derive(Debug, Clone, Default)]
pub struct Leaving(CancellationToken);

impl Leaving {
    /// The connection is left.
    pub fn now(&self) {
        self.0.cancel();
    }

    /// Of the request's connection; none in a test without one.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }
}

/// What passes by.
#[derive(Debug)]
pub struct Passing {
    questions: Mutex<Questions>,
    streams: Arc<Quota<Caller>>,
}

#[derive(Debug, Default)]
struct Questions {
    next: u64,
    /// By number; a smaller one is older.
    unfinished: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            questions: Mutex::default(),
            streams: Quota::new(STREAMS),
        }
    }
}

/// The request with nothing in it that it does not need.
pub fn slim(request: Request<Body>, time: Duration) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    let mut needed = HeaderMap::with_capacity(HEADERS.len());
    for name in HEADERS {
        if let Some(value) = head.headers.remove(&name)
            && value.len() <= HEADER
        {
            needed.insert(name, value);
        }
    }
    head.headers = needed;
    let body = Body::new(Limited::new(body, BYTES));
    Request::from_parts(head, slow_body::within(time, body, None))
}

impl Passing {
    /// Answers a question after health, or keeps a watch of it.
    pub async fn health<E>(
        &self,
        path: &str,
        caller: Caller,
        leaving: Option<Leaving>,
        answer: impl Future<Output = Result<Response<Body>, E>>,
    ) -> Result<Response<Body>, E> {
        if path != CHECK {
            return self.stream(caller, None, leaving, answer).await;
        }
        stream::ends(Instant::now() + QUESTION_TIME, None);
        let answered = tokio::time::timeout(QUESTION_TIME, self.question(answer));
        answered
            .await
            .unwrap_or_default()
            .unwrap_or_else(|| Ok(refused()))
    }

    /// Holds a conversation with reflection.
    pub async fn reflection<E>(
        &self,
        caller: Caller,
        leaving: Option<Leaving>,
        answer: impl Future<Output = Result<Response<Body>, E>>,
    ) -> Result<Response<Body>, E> {
        self.stream(caller, Some(CONVERSATION_TIME), leaving, answer)
            .await
    }

    /// What the work gives; none if it was the oldest of too many.
    async fn question<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        // Most are: message and headers came together.
        if let Some(done) = work.as_mut().now_or_never() {
            return Some(done);
        }
        let (number, ended) = self.enter();
        let _leaves = Leaves(self, number);
        tokio::select! {
            done = work => Some(done),
            _oldest = ended => None,
        }
    }

    fn enter(&self) -> (u64, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let mut questions = self.lock();
        let number = questions.next;
        questions.next += 1;
        questions.unfinished.insert(number, end);
        if questions.unfinished.len() > QUESTIONS {
            // Dropping the sender tells it.
            questions.unfinished.pop_first();
        }
        (number, ended)
    }

    /// A stream that keeps its share until its last byte is written, within a time if there is one.
    async fn stream<E>(
        &self,
        caller: Caller,
        time: Option<Duration>,
        leaving: Option<Leaving>,
        answer: impl Future<Output = Result<Response<Body>, E>>,
    ) -> Result<Response<Body>, E> {
        let mut share = self.streams.share(caller);
        if share.take(1).is_err() {
            return Ok(refused());
        }
        if let Some(time) = time {
            stream::ends(Instant::now() + time, None);
        }
        let answered = tokio::time::timeout(QUESTION_TIME, answer).await;
        let answered = answered.unwrap_or_else(|_elapsed| Ok(refused()))?;
        Ok(answered.map(|body| {
            Body::new(Shared {
                body: Some(body),
                leaving: leaving.map(|leaving| Box::pin(leaving.0.cancelled_owned())),
                _share: share,
            })
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Questions> {
        // Nothing panics under the lock.
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused() -> Response<Body> {
    Status::resource_exhausted("too many unfinished calls of this kind").into_http()
}

/// Takes a question off the list when it is done, or its client is gone.
struct Leaves<'a>(&'a Passing, u64);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.lock().unfinished.remove(&self.1);
    }
}

/// A body that holds its stream's share, and ends when its connection is left.
struct Shared {
    /// None once it has been ended.
    body: Option<Body>,
    leaving: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _share: Share<Caller>,
}

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let Some(leaving) = &mut this.leaving else {
            return Poll::Pending;
        };
        std::task::ready!(leaving.as_mut().poll(context));
        this.body = None;
        // Whoever asks again asks over another connection. An error of the body would reset the stream without a word.
        let status = Status::unavailable("this connection is being closed: ask again");
        let mut trailers = HeaderMap::new();
        let added = status.add_header(&mut trailers);
        Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use futures_util::StreamExt as _;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    type Answer = Result<Response<Body>, Infallible>;

    fn code(response: &Response<Body>) -> Option<tonic::Code> {
        Some(Status::from_header_map(response.headers())?.code())
    }

    #[tokio::test(start_paused = true)]
    async fn one_unfinished_question_too_many_ends_the_oldest_and_a_quick_one_passes() {
        let passing = Passing::default();
        let stuck = || Box::pin(passing.health(CHECK, Caller::Unknown, None, pending::<Answer>()));
        let mut unfinished: Vec<_> = (0..QUESTIONS).map(|_| stuck()).collect();
        for question in &mut unfinished {
            assert!(question.now_or_never().is_none());
        }
        let quick = std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())));
        let quick = passing.health(CHECK, Caller::Unknown, None, quick);
        assert_eq!(code(&quick.now_or_never().unwrap().unwrap()), None);
        let mut newest = stuck();
        assert!((&mut newest).now_or_never().is_none());
        let oldest = (&mut unfinished[0]).now_or_never().unwrap().unwrap();
        assert_eq!(code(&oldest), Some(tonic::Code::ResourceExhausted));
        assert!((&mut unfinished[1]).now_or_never().is_none());
        drop((unfinished, newest));
        assert!(passing.lock().unfinished.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_share_of_watches_until_they_are_read_to_the_end() {
        let passing = Passing::default();
        let caller = |last| Caller::Peer([127, 0, 0, last].into());
        let watch = |last| {
            let open =
                Ok::<_, Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(
                    futures_util::stream::pending::<Result<Frame<Bytes>, Status>>(),
                ))));
            let watch = passing.health(
                "/grpc.health.v1.Health/Watch",
                caller(last),
                None,
                std::future::ready(open),
            );
            watch.now_or_never().unwrap().unwrap()
        };
        let watches: Vec<_> = (0..STREAMS / 2).map(|_| watch(1)).collect();
        assert!(watches.iter().all(|watch| code(watch).is_none()));
        assert_eq!(code(&watch(1)), Some(tonic::Code::ResourceExhausted));
        assert_eq!(code(&watch(2)), None);
        drop(watches);
        assert_eq!(code(&watch(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_a_status_when_its_connection_is_left_and_says_first_what_it_has_to_say()
     {
        let passing = Passing::default();
        let frames = [Ok::<_, Status>(Frame::data(Bytes::from_static(b"said")))];
        let open = futures_util::stream::iter(frames).chain(futures_util::stream::pending());
        let open = Response::new(Body::new(http_body_util::StreamBody::new(open)));
        let leaving = Leaving::default();
        let watch = passing.health(
            "/grpc.health.v1.Health/Watch",
            Caller::Unknown,
            Some(leaving.clone()),
            std::future::ready(Ok::<_, Infallible>(open)),
        );
        let mut watch = watch.await.unwrap().into_body();
        let hour = Duration::from_secs(3600);
        leaving.now();
        let said = watch.frame().await.unwrap().unwrap();
        assert_eq!(said.into_data().unwrap(), "said");
        let ended = tokio::time::timeout(hour, watch.frame()).await.unwrap();
        let trailers = ended.unwrap().unwrap().into_trailers().unwrap();
        let code = Status::from_header_map(&trailers).unwrap().code();
        assert_eq!(code, tonic::Code::Unavailable);
        assert!(watch.is_end_stream() && watch.frame().await.is_none());
    }

    #[test]
    fn of_the_headers_only_what_is_needed_is_kept() {
        let request = Request::builder()
            .uri(CHECK)
            .header("content-type", "application/grpc")
            .header("te", "x".repeat(1000))
            .header("x-long", "x".repeat(10_000))
            .body(Body::empty())
            .unwrap();
        let slim = slim(request, QUESTION_TIME);
        let names: Vec<_> = slim
            .headers()
            .keys()
            .map(header::HeaderName::as_str)
            .collect();
        assert_eq!(names, ["content-type"]);
    }
}
