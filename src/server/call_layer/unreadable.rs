//! What of a request's frame was refused before a handler saw it, in the contract's words.

use http::Response;
use tonic::{Code, Status, body::Body};

use super::{compression, cut_off, overloaded, slow_body};
use crate::{
    call::Call,
    domain::{
        failure::{Failure, Kind},
        violation::Violation,
    },
    policy::Policy,
    proto::codec,
};

/// What tonic refused before a handler saw it, and so without a reason: the request's frame. It is the
/// caller's to mend, whatever code tonic has for it.
pub(super) fn unreadable(
    response: &Response<Body>,
    call: &Call,
    policy: Option<&Policy>,
) -> Option<Failure> {
    if call.facts.reason().is_some() {
        return None;
    }
    let status = Status::from_header_map(response.headers())?;
    if let Some(field) = status.message().strip_suffix(codec::TOO_MANY) {
        return Some(Failure::invalid(vec![Violation {
            field: known_field(field),
            rule: codec::TOO_MANY.into(),
        }]));
    }
    if status.message() == codec::NOT_ONE {
        return Some(Failure::invalid(vec![Violation {
            field: "request",
            rule: codec::NOT_ONE.into(),
        }]));
    }
    if compression::is_refusal(&status) {
        return Some(Failure::new(Kind::InvalidFrame));
    }
    if status.message() == slow_body::NO_ROOM {
        return Some(overloaded(call));
    }
    let rule = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            "must be no larger than server.max_request_bytes"
        }
        // It did not arrive in time.
        Code::DeadlineExceeded => return Some(cut_off(Kind::DeadlineExceeded, call, policy)),
        Code::Internal | Code::InvalidArgument => {
            "must be a valid message of the RPC's request type"
        }
        _ => return None,
    };
    Some(Failure::invalid(vec![Violation {
        field: "request",
        rule: rule.into(),
    }]))
}

/// The field of that name, if it is one that can have many elements.
fn known_field(name: &str) -> &'static str {
    let known = ["metadata", "read_mask", "update_mask", "person"];
    let named = known.into_iter().find(|known| *known == name.trim_end());
    named.unwrap_or("request")
}
