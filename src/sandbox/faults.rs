//! Turns a [`Reply`] into bytes, spoilt on the way where the reply says so.
//!
//! A fault never changes what is charged: the provider has done its work, only the answer is late,
//! broken or lost. That is what makes these cases worth testing.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::reply::{Content, Reply};

/// How long [`Fault::Slow`] takes.
const SLOW: Duration = Duration::from_secs(2);
/// How long [`Fault::Never`] takes: longer than any gateway's timeout.
const NEVER: Duration = Duration::from_secs(60);
/// Time for the first half of a truncated answer to leave before the connection is closed.
const FLUSH: Duration = Duration::from_millis(50);
/// [`Fault::Oversize`] sends this many of [`CHUNK`]: 16 MiB and a little.
const CHUNKS: usize = 257;
const CHUNK: usize = 64 * 1024;
/// What [`Fault::Malformed`] says instead of JSON.
const MALFORMED: &str = "The answer is ready, but this is not JSON.";

pub(super) type Body = UnsyncBoxBody<Bytes, Cut>;

/// The connection is to be closed without a further byte.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cuts the connection")]
pub(super) struct Cut;

/// What can happen to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Late, but in time.
    Slow,
    /// Later than any timeout.
    Never,
    /// The connection is closed, nothing is answered.
    Cut,
    /// The connection is closed in the middle of the body.
    Truncated,
    /// The body is not JSON.
    Malformed,
    /// The body is longer than 16 MiB. It is JSON otherwise.
    Oversize,
}

impl Fault {
    /// The words of the table.
    pub const fn answer(self) -> &'static str {
        match self {
            Self::Slow => "the usual response, after 2 s",
            Self::Never => "the usual response, after 60 s",
            Self::Cut => "connection closed, no response",
            Self::Truncated => "connection closed within the body",
            Self::Malformed => "200, not JSON",
            Self::Oversize => "200, more than 16 MiB",
        }
    }

    /// What the gateway makes of it. `ok` is what it makes of the unspoilt answer.
    pub const fn gives(self, ok: &'static str) -> &'static str {
        match self {
            Self::Slow => ok,
            Self::Never => "DEADLINE_EXCEEDED PROVIDER_TIMEOUT",
            Self::Cut | Self::Truncated => "UNKNOWN PROVIDER_OUTCOME_UNKNOWN",
            Self::Malformed | Self::Oversize => "INTERNAL PROVIDER_RESPONSE_MALFORMED",
        }
    }
}

/// The reply as it goes out.
///
/// # Errors
/// [`Cut`] if the connection is to be closed without an answer.
pub(super) async fn deliver(reply: Reply) -> Result<Response<Body>, Cut> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (media_type, text) = match reply.content {
        Content::Json(value) => ("application/json; charset=utf-8", value.to_string()),
        Content::Html(page) => ("text/html; charset=utf-8", page.into_owned()),
    };
    let text = Bytes::from(text);
    let length = text.len();
    let body = match reply.fault {
        None => whole(text),
        Some(Fault::Slow) => {
            tokio::time::sleep(SLOW).await;
            whole(text)
        }
        Some(Fault::Never) => {
            tokio::time::sleep(NEVER).await;
            whole(text)
        }
        Some(Fault::Cut) => return Err(Cut),
        Some(Fault::Truncated) => half(text),
        Some(Fault::Malformed) => whole(Bytes::from_static(MALFORMED.as_bytes())),
        Some(Fault::Oversize) => padded(text),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if reply.fault == Some(Fault::Truncated) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

fn whole(text: Bytes) -> Body {
    Full::new(text)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// The first half, then an error: the header has promised the whole.
fn half(text: Bytes) -> Body {
    let middle = text.len() / 2;
    let first = text.slice(..middle);
    let frames = stream::iter([Ok(Frame::data(first))]).chain(stream::once(async {
        // Without the pause the half would be dropped together with the connection.
        tokio::time::sleep(FLUSH).await;
        Err(Cut)
    }));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

/// The whole, followed by blanks: still one JSON text, and without a content-length, so that the
/// reader has to count.
fn padded(text: Bytes) -> Body {
    let blanks = Bytes::from(vec![b' '; CHUNK]);
    let frames = stream::iter([text])
        .chain(stream::iter(std::iter::repeat_n(blanks, CHUNKS)))
        .map(|chunk| Ok(Frame::data(chunk)));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}
