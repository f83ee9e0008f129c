//! What a call holds from the moment that it is known who calls until its reply is written, or the stream reset:
//! its place, and the bytes that it makes the gateway keep.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::{Status, body::Body};

use super::{
    admission::{Full, Place},
    call_layer::Caller,
    quota::Share,
};
use crate::telemetry::metrics::UnderWay;

/// What every call may hold uncounted: most hold no more.
const SMALL: usize = 4096;
/// A reply is handed to HTTP/2 in pieces of this size: what was handed over lies there until the client takes it.
const PIECE: usize = 16 * 1024;
/// How often a reply that waits for room looks for it.
const LOOKS: Duration = Duration::from_millis(20);

/// What a call holds.
#[derive(Debug)]
pub struct Holding {
    bytes: Mutex<Counted>,
    place: Place<Caller>,
    _counted: UnderWay,
}

#[derive(Debug)]
struct Counted {
    seen: usize,
    share: Share<Caller>,
    of_connection: Share<Option<SocketAddr>>,
}

impl Holding {
    /// A place, and nothing else yet.
    pub fn new(
        place: Place<Caller>,
        share: Share<Caller>,
        of_connection: Share<Option<SocketAddr>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            bytes: Mutex::new(Counted {
                seen: 0,
                share,
                of_connection,
            }),
            place,
            _counted: UnderWay::call(),
        })
    }

    /// Counts so many bytes more of the request.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for them, or memory is short and this call is not the only one.
    pub fn read(&self, more: usize) -> Result<(), Full> {
        self.take(more)?;
        let seen = self.lock().seen;
        if seen > SMALL && self.place.is_unwelcome() {
            return Err(Full);
        }
        Ok(())
    }

    /// Counts so many bytes more, or none of them.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room for them.
    pub fn take(&self, more: usize) -> Result<(), Full> {
        let mut bytes = self.lock();
        let seen = bytes.seen + more;
        let large = seen.saturating_sub(SMALL) - bytes.seen.saturating_sub(SMALL);
        if large > 0 {
            bytes.share.take(large)?;
            if bytes.of_connection.take(large).is_err() {
                bytes.share.give_back(large);
                return Err(Full);
            }
        }
        bytes.seen = seen;
        Ok(())
    }

    /// Counts so many bytes more, as soon as there is room for them. Until then they are in what `waits`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room to wait in either.
    async fn wait(&self, more: usize, mut waits: Share<Caller>) -> Result<(), Full> {
        if self.take(more).is_ok() {
            return Ok(());
        }
        waits.take(more)?;
        while self.take(more).is_err() {
            tokio::time::sleep(LOOKS).await;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        // Nothing panics under the lock.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a reply that keeps what its call holds until the last byte of it was written.
struct Reply {
    /// What HTTP/2 has not taken yet of the message.
    message: Bytes,
    /// A frame that came in the message's place.
    other: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
    holding: Arc<Holding>,
}

/// The reply, which keeps what its call holds until the last byte of it was written, or the stream is reset.
/// One that `waits` is not refused while there is room for it there.
///
/// # Errors
///
/// [`Full`] if there is no room for the reply.
pub async fn held(
    response: Response<Body>,
    holding: Arc<Holding>,
    waits: Option<Share<Caller>>,
) -> Result<Response<Body>, Full> {
    let (head, mut rest) = response.into_parts();
    if rest.is_end_stream() {
        return Ok(Response::from_parts(head, rest));
    }
    // A reply of the contract is one message: it is encoded here rather than when HTTP/2 asks for it.
    let (message, other) = match rest.frame().await.map(|frame| frame.map(Frame::into_data)) {
        Some(Ok(Ok(message))) => (message, None),
        Some(Ok(Err(frame))) => (Bytes::new(), Some(Ok(frame))),
        Some(Err(status)) => (Bytes::new(), Some(Err(status))),
        None => return Ok(Response::from_parts(head, Body::empty())),
    };
    match waits {
        None => holding.take(message.len())?,
        Some(waits) => holding.wait(message.len(), waits).await?,
    }
    // HTTP/2 drops the bytes when they are written, or the stream is reset.
    let written = Written {
        message,
        _holding: Arc::clone(&holding),
    };
    let body = Body::new(Reply {
        message: Bytes::from_owner(written),
        other,
        rest,
        holding,
    });
    Ok(Response::from_parts(head, body))
}

/// Bytes that hold what their call holds.
struct Written {
    message: Bytes,
    _holding: Arc<Holding>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.message.is_empty() {
            let length = self.message.len().min(PIECE);
            let piece = self.message.split_to(length);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(other) = self.other.take() {
            return Poll::Ready(Some(other));
        }
        let this = &mut *self;
        // Replies of the contract are one message; another would be counted where it is taken.
        let frame = std::task::ready!(Pin::new(&mut this.rest).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && this.holding.take(data.len()).is_err()
        {
            return Poll::Ready(Some(Err(Status::resource_exhausted(
                "too many response bytes are waiting to be sent",
            ))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_empty() && self.other.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::server::{admission::Admission, quota::Quota};

    #[test]
    fn no_caller_and_no_connection_holds_more_than_is_left() {
        let places = Arc::new(Admission::new(9, Arc::default()));
        let (callers, connections) = (Quota::new(1 << 20), Quota::new(1 << 20));
        let begin = |caller: u8, connection: u16| {
            let caller = Caller::Peer(IpAddr::from([10, 0, 0, caller]));
            let connection = Some(SocketAddr::from(([10, 0, 1, 1], connection)));
            Holding::new(
                places.enter(caller.clone()).unwrap(),
                callers.share(caller),
                connections.share(connection),
            )
        };
        // A quarter; the same again and half is more than is left of three quarters.
        let (quarter, half) = ((1 << 18) + SMALL, (1 << 19) + SMALL);
        for (one, other, fits) in [
            // The same caller over two connections, two callers over the same, and each its own.
            ((1, 1), (1, 2), false),
            ((1, 1), (2, 1), false),
            ((1, 1), (2, 2), true),
        ] {
            let first = begin(one.0, one.1);
            first.take(quarter).unwrap();
            let second = begin(other.0, other.1);
            assert_eq!(second.take(half + 1).is_ok(), fits, "{one:?} {other:?}");
        }
    }
}
