//! A provider's code, as far as it is a word that is known.
//!
//! Providers put codes, sentences and names into the same fields, and a message of one word may be a
//! person's family name. Only a word of this table passes on, in the table's own spelling.

use std::fmt;

/// Every word that the providers' documents, their sites and the libraries that they are written with
/// are known to use for an error.
const KNOWN: [&str; 88] = [
    // AccuAuth, sections 3.1 and 4.
    "INVALID_ARGUMENT",
    "VERIFY_FAILED",
    "PENDING",
    "ABNORMAL_BEHAVIOURS_DETECTED",
    "UNAUTHORIZED",
    "KEY_EXPIRED",
    "NO_PERMISSION",
    "OUT_OF_QUOTA",
    "RATE_LIMIT_EXCEEDED",
    "NOT_FOUND",
    "INTERNAL_ERROR",
    "SOURCE_SERVICE_UNAVAILABLE",
    "SOURCE_SERVICE_TIMEOUT",
    "0",
    "1",
    "2",
    "3",
    "5",
    // Verifik.
    "NotFound",
    "PERSON_NOT_FOUND",
    "MissingParameter",
    "INVALID_PARAMETERS",
    "duplicated_person",
    "person_already_set",
    "only_images_in_base64",
    "liveness_failed",
    "no_face_detected",
    "multiple_faces_detected",
    "face_not_centered",
    "face_not_detected",
    "face_too_small",
    "face_too_close",
    "face_cropped",
    "face_occluded",
    "face_covered",
    "poor_lighting",
    "low_quality",
    "blurry_image",
    "spoof_detected",
    "Endpoint_out_of_service",
    "token_expired",
    "expired_token",
    "insufficient_credits",
    "internal_error",
    "FORBIDDEN",
    "ERROR",
    // YouVerify, and the library that its names of errors come from.
    "ResourceNotFoundError",
    "ValidationError",
    "BadRequestError",
    "UnauthorizedError",
    "PaymentRequiredError",
    "ForbiddenError",
    "NotFoundError",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "RequestTimeoutError",
    "ConflictError",
    "GoneError",
    "PreconditionFailedError",
    "PayloadTooLargeError",
    "UnsupportedMediaTypeError",
    "UnprocessableEntityError",
    "LockedError",
    "FailedDependencyError",
    "TooManyRequestsError",
    "InternalServerError",
    "NotImplementedError",
    "BadGatewayError",
    "ServiceUnavailableError",
    "GatewayTimeoutError",
    "Error",
    // The names of HTTP's own statuses.
    "BadRequest",
    "Unauthorized",
    "PaymentRequired",
    "Forbidden",
    "MethodNotAllowed",
    "NotAcceptable",
    "RequestTimeout",
    "Conflict",
    "Gone",
    "PreconditionFailed",
    "PayloadTooLarge",
    "UnsupportedMediaType",
    "UnprocessableEntity",
    "FailedDependency",
    "TooManyRequests",
    "ServiceUnavailable",
    "GatewayTimeout",
];

/// A known word of a provider's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProviderCode(&'static str);

impl ProviderCode {
    /// The code, if it is a known word: as it is written, or else in another case.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let exact = KNOWN.iter().find(|word| **word == text);
        let known = exact.or_else(|| KNOWN.iter().find(|word| word.eq_ignore_ascii_case(text)));
        known.map(|word| Self(word))
    }

    /// The code, as the table spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for ProviderCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_known_word_is_a_code() {
        for (text, code) in [
            ("OUT_OF_QUOTA", Some("OUT_OF_QUOTA")),
            (" MissingParameter\n", Some("MissingParameter")),
            ("missingparameter", Some("MissingParameter")),
            ("Unauthorized", Some("Unauthorized")),
            ("UNAUTHORIZED", Some("UNAUTHORIZED")),
            ("5", Some("5")),
            // Each of these looks like a code.
            ("RODRIGUEZ", None),
            ("Jane_Doe", None),
            ("GARCIA-LOPEZ", None),
            ("4", None),
            ("Jane Doe was not found", None),
            ("005015372", None),
            ("AAPR630321HDFLRC09", None),
            ("", None),
            ("día", None),
        ] {
            let read = ProviderCode::new(text);
            assert_eq!(read.map(ProviderCode::as_str), code, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_passes(text in "[A-Za-z0-9_.-]{1,24}") {
            let is_known = KNOWN.iter().any(|word| word.eq_ignore_ascii_case(&text));
            prop_assert_eq!(ProviderCode::new(&text).is_some(), is_known);
        }
    }
}
