//! What can go wrong on every path of Verifik, each under a magic word.
//!
//! The word is a foreigner id (8 to 12 of `0-9A-Z`); as the last name `SANDBOX-<WORD>` it acts on
//! creating a person, as the id `person_<word>` on reading, changing and deleting one. Codes and
//! messages vary in spelling, end in a newline and begin with `409:`, as seen in the field.

use super::{error, wrong_route};
use crate::sandbox::case::gives::{
    CREDENTIALS, MISCONFIGURED, OUTCOME_UNKNOWN, QUOTA, RATE_LIMITED, REJECTED, UNAVAILABLE,
};
use crate::sandbox::case::{Case, case, spoilt};
use crate::sandbox::faults::Fault;
use crate::sandbox::reply::Reply;

#[rustfmt::skip]
pub(super) static CONDITIONS: &[Case] = &[
    case("UNAUTHORIZED", || error(401, "Unauthorized", "Unauthorized\n"), "401 Unauthorized", CREDENTIALS),
    case("INVALIDTOKEN", || error(401, "Unauthorized", "Invalid or expired token.\n"), "401 Invalid or expired token.", CREDENTIALS),
    case("TOKENEXPIRED", || error(403, "Forbidden", "token_expired\n"), "403 token_expired", CREDENTIALS),
    case("EXPIREDTOKEN", || error(403, "expired_token", "403:Expired_Token\n"), "403 expired_token", CREDENTIALS),
    case("NOCREDITS", || error(403, "insufficient_credits", "insufficient_credits\n"), "403 insufficient_credits", QUOTA),
    case("NOCREDITTEXT", || error(403, "Forbidden", "Not enough Credit to use this service\n"), "403 text with \"credit\"", QUOTA),
    case("MISSINGPARAM", || error(409, "MissingParameter", "missing documentNumber\n"), "409 MissingParameter", REJECTED),
    case("INVALIDDATES", || error(409, "MissingParameter", "dateOfBirth format required: DD/MM/YYYY\n"), "409 MissingParameter, format", REJECTED),
    case("INVALIDPARAM", || error(409, "INVALID_PARAMETERS", "409:invalid_parameters\n"), "409 INVALID_PARAMETERS", REJECTED),
    case("OUTOFSERVICE", || error(409, "Conflict", "409:Endpoint_out_of_service\n"), "409 409:Endpoint_out_of_service", UNAVAILABLE),
    case("ENDPOINTDOWN", || error(409, "endpoint_OUT_of_service", "The source does not answer\n"), "409 code endpoint_OUT_of_service", UNAVAILABLE),
    case("NOSUCHROUTE", wrong_route, "404, not JSON", MISCONFIGURED),
    case("RATELIMITED", || error(429, "TooManyRequests", "Too many requests\n").retry_after(1), "429, Retry-After: 1", RATE_LIMITED),
    case("INTERNALERR", || error(500, "InternalServerError", "internal_error\n"), "500 internal_error", UNAVAILABLE),
    case("BADGATEWAY", || Reply::html(502, "<h1>Bad Gateway</h1>"), "502, not JSON", OUTCOME_UNKNOWN),
    spoilt("SLOWANSWER", Fault::Slow, "OK"),
    spoilt("NEVERANSWERS", Fault::Never, "OK"),
    spoilt("CUTCONNECT", Fault::Cut, "OK"),
    spoilt("TRUNCATED", Fault::Truncated, "OK"),
    spoilt("MALFORMED", Fault::Malformed, "OK"),
    spoilt("OVERSIZED", Fault::Oversize, "OK"),
];
