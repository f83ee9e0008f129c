//! Reads the body of an answer, within the limits of one and of all together.

use bytes::{Bytes, BytesMut};
use http::{header, response::Parts};

use super::{
    answer_memory::{MEDIUM, Room},
    client::Body,
    density,
};
use crate::domain::failure::Kind;

/// The buffer of a large answer. The allocator keeps what is smaller, freed by another thread than had allocated it,
/// until that thread allocates again; a block of this size it gives back to the system at once. What is not written
/// of it takes no memory.
const MAPPED: usize = 32 * 1024 * 1024;

/// How long the provider says that the body is.
#[must_use]
pub fn stated_length(head: &Parts) -> Option<u64> {
    let stated = head.headers.get(header::CONTENT_LENGTH)?;
    stated.to_str().ok()?.parse().ok()
}

/// The whole body, which has at most as many bytes as there is room for.
///
/// # Errors
///
/// Why there is none: it is larger than its limit, has more elements than an honest one, or breaks off.
pub async fn read(
    body: &mut Body,
    stated: Option<u64>,
    limit: usize,
    room: &mut Room<'_>,
) -> Result<Bytes, Kind> {
    let stated = stated.map_or(Some(0), |length| usize::try_from(length).ok());
    let stated = stated
        .filter(|length| *length <= limit)
        .ok_or(Kind::TooLarge)?;
    room.reach(stated).await;
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    while let Some(chunk) = body.chunk().await.map_err(|_| Kind::OutcomeUnknown)? {
        let length = whole.len() + first.as_ref().map_or(0, Bytes::len) + chunk.len();
        if length > limit {
            return Err(Kind::TooLarge);
        }
        room.reach(length).await;
        // Most answers come in one chunk, which is then not copied.
        if first.is_none() && whole.is_empty() {
            first = Some(chunk);
            continue;
        }
        // The length is the provider's word, and the limit was tested above.
        let expected = match stated.max(length) {
            large if large > MEDIUM => large.max(MAPPED),
            medium => medium,
        };
        whole.reserve(expected.saturating_sub(whole.len()));
        if let Some(first) = first.take() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&chunk);
    }
    let whole = first.unwrap_or_else(|| whole.freeze());
    match density::is_dense(&whole) {
        true => Err(Kind::Malformed),
        false => Ok(whole),
    }
}
