//! Requests that are answered before their body was read, as every refusal is.
//!
//! Whoever answers early and drops the body makes HTTP/2 reset the stream, and what of the body is
//! still on its way then counts as abuse of the connection: the h2 crate hangs up after some 2,000
//! small pieces, and with the connection go the calls of everybody behind the same proxy. An overload
//! of a minute is enough. So the rest of such a body is read and thrown away, for a short while.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::{runtime::Handle, sync::Semaphore};
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

/// How long a body may still come after the answer. Then the stream is reset after all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most rests that are read at once. Those of a flood beyond it are reset.
const MOST: usize = 4096;

/// The layer. It stands outside all others that may answer by themselves.
#[derive(Debug, Clone)]
pub struct UnreadLayer {
    room: Arc<Semaphore>,
}

impl Default for UnreadLayer {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
        }
    }
}

impl<S> Layer<S> for UnreadLayer {
    type Service = UnreadService<S>;

    fn layer(&self, inner: S) -> UnreadService<S> {
        UnreadService {
            inner,
            room: Arc::clone(&self.room),
        }
    }
}

/// The service under the layer.
#[derive(Debug, Clone)]
pub struct UnreadService<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for UnreadService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let room = Arc::clone(&self.room);
        self.inner
            .call(request.map(|body| Body::new(Rest { body, room })))
    }
}

/// A body whose rest is read when it is dropped.
struct Rest {
    body: Body,
    room: Arc<Semaphore>,
}

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return;
        };
        let mut rest = std::mem::take(&mut self.body);
        // Without a runtime the server itself is gone.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(PATIENCE, async move {
                let _place = place;
                while let Some(Ok(_thrown_away)) = rest.frame().await {}
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Channel, channel::Sender};
    use tokio::time;

    use super::*;

    fn rest(body: Body, places: usize) -> Rest {
        Rest {
            body,
            room: Arc::new(Semaphore::new(places)),
        }
    }

    fn body() -> (Sender<Bytes, Infallible>, Rest) {
        let (sender, body) = Channel::new(1);
        (sender, rest(Body::new(body), 1))
    }

    async fn piece(sender: &mut Sender<Bytes, Infallible>) -> bool {
        sender.send_data(Bytes::from_static(b"x")).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_dropped_body_is_read_but_not_for_ever() {
        let (mut sender, body) = body();
        drop(body);
        let begun = time::Instant::now();
        while piece(&mut sender).await {
            time::sleep(Duration::from_millis(100)).await;
        }
        let read_for = begun.elapsed();
        assert!(
            (PATIENCE..PATIENCE + Duration::from_millis(200)).contains(&read_for),
            "{read_for:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_handler_reads_is_not_taken_from_it() {
        let (mut sender, body) = body();
        tokio::spawn(async move {
            for _ in 0..3 {
                assert!(piece(&mut sender).await);
                time::sleep(2 * PATIENCE).await;
            }
        });
        let read = body.collect().await.unwrap().to_bytes();
        assert_eq!(read, "xxx");
    }

    #[tokio::test]
    async fn a_body_that_was_read_leaves_nothing_behind() {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        drop(rest(Body::empty(), 1));
        assert_eq!(tasks(), before);
        drop(body().1);
        assert_eq!(tasks(), before + 1);
        drop(rest(Body::new(Channel::<Bytes>::new(1).1), 0));
        assert_eq!(tasks(), before + 1, "there is no room");
    }
}
