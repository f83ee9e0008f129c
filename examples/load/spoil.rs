//! Answers as the fault proxy sends them: whole, cut off, in pieces, far too long, or none.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Cut>;

/// The connection or the stream ends here.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The connection is reset.
    #[error("connection reset by the fault proxy")]
    Connection,
    /// The stream is, for a reason that hyper reads from the source.
    #[error("stream reset by the fault proxy")]
    Stream(#[source] h2::Error),
}

impl Cut {
    /// The stream is reset; what was done with its request is not said.
    pub fn stream() -> Self {
        Self::Stream(h2::Reason::INTERNAL_ERROR.into())
    }

    /// The stream is refused: nothing was done with its request.
    pub fn refused() -> Self {
        Self::Stream(h2::Reason::REFUSED_STREAM.into())
    }
}

/// The pieces of a trickled body.
const PIECES: u32 = 10;
/// More than the 16 MiB that the gateway reads.
const GIANT: usize = 17 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// The whole answer.
pub fn whole(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// An error that says nothing was done.
pub fn unavailable() -> Response<Body> {
    let body = Bytes::from_static(b"{\"message\":\"the fault proxy says no\"}");
    let mut response = Response::new(whole(body));
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// An error of something in between, which knows nothing of what the provider has done.
pub fn between(status: http::StatusCode) -> Response<Body> {
    let body = Bytes::from_static(b"<html><body>the fault proxy says no</body></html>");
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response
}

/// Time for what was written to leave before the connection is reset, which throws away the rest.
pub const FLUSH: Duration = Duration::from_millis(50);

/// The first half; then it is cut off, though the header promised the whole.
pub fn half(whole: &Bytes, cut: impl FnOnce() -> Cut + Send + 'static) -> Body {
    let first = Ok(Frame::data(whole.slice(..whole.len() / 2)));
    let rest = stream::once(async move {
        tokio::time::sleep(FLUSH).await;
        Err(cut())
    });
    StreamBody::new(stream::iter([first]).chain(rest)).boxed_unsync()
}

/// The whole in pieces, the last of them after the time that it may last.
pub fn trickle(whole: Bytes, lasting: Duration) -> Body {
    let size = whole.len().div_ceil(PIECES as usize).max(1);
    let pieces: Vec<_> = whole.chunks(size).map(Bytes::copy_from_slice).collect();
    let pieces = stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(lasting / PIECES).await;
        Ok(Frame::data(piece))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The answer and millions of blanks after it, without a word about its length.
pub fn giant(whole: Bytes) -> Body {
    let blanks = Bytes::from(vec![b' '; CHUNK]);
    let blanks = std::iter::repeat_n(blanks, GIANT / CHUNK);
    let frames = std::iter::once(whole)
        .chain(blanks)
        .map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
