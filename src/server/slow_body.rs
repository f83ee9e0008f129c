//! A request's body that must arrive in time, and whose bytes are counted.
//!
//! A caller may give its call an hour; one that then sends a byte a minute would hold a place as long. What
//! comes too late is DEADLINE_EXCEEDED like any other time that ran out. What there is no room for is refused.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::{Status, body::Body};

use super::holding::Holding;

/// The message of the status of a body that there is no room for.
pub const NO_ROOM: &str = "the gateway is buffering too many request bytes";

/// A body with an end in time.
struct Timed {
    body: Body,
    end: Pin<Box<Sleep>>,
    holding: Option<Arc<Holding>>,
}

/// The same body, which fails if it is not there within the time, or there is no room for it in what its call may
/// hold.
pub fn within(time: Duration, body: Body, holding: Option<Arc<Holding>>) -> Body {
    // Most bodies are: the message came with the headers.
    if http_body::Body::is_end_stream(&body) {
        return body;
    }
    Body::new(Timed {
        body,
        end: Box::pin(tokio::time::sleep(time)),
        holding,
    })
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(Ok(frame)) = &frame
                && let (Some(data), Some(holding)) = (frame.data_ref(), &this.holding)
                && holding.read(data.len()).is_err()
            {
                return Poll::Ready(Some(Err(Status::resource_exhausted(NO_ROOM))));
            }
            return Poll::Ready(frame);
        }
        this.end.as_mut().poll(context).map(|()| {
            let late = "the request did not arrive within server.request_timeout";
            Some(Err(Status::deadline_exceeded(late)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use http_body_util::{BodyExt as _, StreamBody};
    use tonic::Code;

    use super::*;
    use crate::server::{admission::Admission, call_layer::Caller, quota::Quota};

    fn trickling(interval: Duration) -> Body {
        let chunks = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(interval).await;
            Some((Ok::<_, Status>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        Body::new(StreamBody::new(Box::pin(chunks)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_ends_in_time() {
        let began = tokio::time::Instant::now();
        let body = within(
            Duration::from_secs(20),
            trickling(Duration::from_secs(3)),
            None,
        );
        let status = body.collect().await.map(|_| ()).unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_there_is_read_however_late() {
        let body = within(Duration::from_secs(20), Body::new("whole".to_owned()), None);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    }

    #[tokio::test]
    async fn a_body_that_there_is_no_room_for_is_refused() {
        const PIECE: usize = 1000;
        // How much its caller may hold, whether memory is short, whether another has a place, how much comes.
        for (most, is_short, has_company, pieces, is_read) in [
            (usize::MAX, false, true, 100, true),
            (50_000, false, false, 20, true),
            (50_000, false, false, 40, false),
            (usize::MAX, true, false, 100, true),
            (usize::MAX, true, true, 4, true),
            (usize::MAX, true, true, 5, false),
        ] {
            let memory_is_short = Arc::new(AtomicBool::new(false));
            let places = Arc::new(Admission::new(2, Arc::clone(&memory_is_short)));
            let quota = Quota::new(most);
            let connections = Quota::new(usize::MAX);
            let enter = || places.enter(Caller::Unknown).unwrap();
            let holding = Holding::new(
                enter(),
                quota.share(Caller::Unknown),
                connections.share(None),
            );
            let _other = has_company.then(enter);
            memory_is_short.store(is_short, std::sync::atomic::Ordering::Relaxed);
            let piece = |_| Ok::<_, Status>(Frame::data(Bytes::from_static(&[0; PIECE])));
            let body = StreamBody::new(futures_util::stream::iter((0..pieces).map(piece)));
            let body = within(Duration::from_secs(20), Body::new(body), Some(holding));
            let read = body.collect().await.map(|_whole| ());
            let refused = read.err().map(|status| status.message().to_owned());
            let expected = (!is_read).then(|| NO_ROOM.to_owned());
            assert_eq!(refused, expected, "{most} {is_short} {has_company}");
        }
    }
}
