//! gzip on requests and replies.
//!
//! A request may be compressed by `gzip`, or not at all; anything else is told what is. What it grows to is bounded like any
//! other request, and counts for its caller ([`room`]). A reply is compressed only for a caller that compresses its requests:
//! most libraries say that they take gzip without being asked, and pay for it with every reply. `service::reply` leaves
//! small replies, and large ones, which are images and documents, as they are. What an eavesdropper learns from the length
//! of a compressed reply is in docs/transport-security.md.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::{Code, Status, body::Body};

use super::{holding::Holding, slow_body};
use crate::{
    domain::failure::{Failure, Kind},
    proto::codec::Room,
};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How a request is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// Of a request, whose reply will be compressed only if it is itself.
    ///
    /// # Errors
    ///
    /// [`Kind::EncodingNotSupported`].
    pub fn of<B>(request: &mut Request<B>) -> Result<Self, Failure> {
        let encoding = match request.headers().get(ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Self::Identity,
            Some(b"gzip") => Self::Gzip,
            Some(_) => return Err(Failure::new(Kind::EncodingNotSupported)),
        };
        if encoding == Self::Identity {
            request.headers_mut().remove(ACCEPTED);
        }
        Ok(encoding)
    }
}

/// The refusal, with what is supported if that is what it is about.
pub fn told(failure: &Failure, mut refused: Response<Body>) -> Response<Body> {
    if failure.kind == Kind::EncodingNotSupported {
        let headers: &mut HeaderMap = refused.headers_mut();
        headers.insert(ACCEPTED, HeaderValue::from_static("gzip,identity"));
    }
    refused
}

/// Room for what a request grows to, in what its call may hold.
pub fn room(holding: &Arc<Holding>) -> Room {
    let holding = Arc::clone(holding);
    Arc::new(move |bytes| {
        let read = holding.read(bytes);
        read.map_err(|_full| Status::resource_exhausted(slow_body::NO_ROOM))
    })
}

/// Whether tonic could not decompress a message, or was not told how. What is larger than allowed has another code.
pub fn is_refusal(status: &Status) -> bool {
    let said = status.message();
    let is_about_it = |words: &&str| said.starts_with(*words);
    status.code() == Code::Internal
        && [
            "protocol error: received message with compressed-flag",
            "Error decompressing:",
        ]
        .iter()
        .any(is_about_it)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        proto::codec,
        server::{admission::Admission, call_layer::Caller, quota::Quota},
    };

    #[test]
    fn a_request_is_gzip_or_nothing_and_its_reply_is_compressed_only_with_it() {
        for (encoding, expected, may_be_compressed) in [
            (None, Some(Encoding::Identity), false),
            (Some("identity"), Some(Encoding::Identity), false),
            (Some("gzip"), Some(Encoding::Gzip), true),
            (Some("GZIP"), None, true),
            (Some("deflate"), None, true),
            (Some(""), None, true),
        ] {
            let mut request = Request::builder().header(ACCEPTED, "gzip");
            if let Some(encoding) = encoding {
                request = request.header(ENCODING, encoding);
            }
            let mut request = request.body(()).unwrap();
            let found = Encoding::of(&mut request).map_err(|failure| failure.kind);
            let expected = expected.ok_or(Kind::EncodingNotSupported);
            assert_eq!(found, expected, "{encoding:?}");
            let accepts = request.headers().contains_key(ACCEPTED);
            assert_eq!(accepts, may_be_compressed, "{encoding:?}");
        }
    }

    #[tokio::test]
    async fn what_a_request_grows_to_needs_room() {
        const MOST: usize = 1 << 20;
        for (bytes, fits) in [(MOST / 4, true), (2 * MOST, false)] {
            let places = Arc::new(Admission::new(1, Arc::default()));
            let (quota, connections) = (Quota::new(MOST), Quota::new(usize::MAX));
            let holding = Holding::new(
                places.enter(Caller::Unknown).unwrap(),
                quota.share(Caller::Unknown),
                connections.share(None),
            );
            let decoded = codec::counted(room(&holding), codec::tests::decode(bytes));
            let decoded = decoded.await.map_err(|status| status.message().to_owned());
            let expected = fits.then_some(()).ok_or(slow_body::NO_ROOM.to_owned());
            assert_eq!(decoded, expected, "{bytes}");
            // Not counted where nothing was compressed: its bytes were, as they came.
            assert!(codec::tests::decode(bytes).await.is_ok());
        }
    }
}
