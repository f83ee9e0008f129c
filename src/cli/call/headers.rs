//! Request metadata from `name: value` texts.
//!
//! A value is often a credential, so no error repeats it; a text without a colon is not repeated at
//! all. Values of names that end in `-bin` are base64, as gRPC says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tonic::metadata::{
    AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataKey, BinaryMetadataValue, MetadataMap,
};

use crate::domain::redaction::Secret;

/// Why a header cannot be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// No colon.
    #[error("header {0} is not of the form `name: value`")]
    Form(usize),
    /// A name that gRPC does not allow.
    #[error("header {0} has a name that is not allowed in gRPC metadata")]
    Name(usize),
    /// A credential on the command line.
    #[error(
        "authorization cannot be given as a header: everyone on the machine can read a command line; \
         use --token-file or --token-env"
    )]
    Credential,
    /// A value that gRPC does not allow.
    #[error("header `{0}` has a value that is not allowed in gRPC metadata")]
    Value(String),
}

/// The header of the caller's own credential.
const AUTHORIZATION: &str = "authorization";

/// Adds the caller's own credential.
pub(crate) fn authorize(metadata: &mut MetadataMap, token: &Secret) -> Result<(), HeaderError> {
    let value = format!("Bearer {}", token.expose()).parse::<AsciiMetadataValue>();
    let mut value = value.map_err(|_| HeaderError::Value(AUTHORIZATION.to_owned()))?;
    value.set_sensitive(true);
    metadata.insert(AUTHORIZATION, value);
    Ok(())
}

/// Reads all headers; positions in errors count from 1.
pub(crate) fn parse(headers: &[String]) -> Result<MetadataMap, HeaderError> {
    let mut metadata = MetadataMap::new();
    for (position, header) in (1..).zip(headers) {
        let (name, value) = header.split_once(':').ok_or(HeaderError::Form(position))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == AUTHORIZATION {
            return Err(HeaderError::Credential);
        }
        let wrong_value = || HeaderError::Value(name.clone());
        if name.ends_with("-bin") {
            let key = BinaryMetadataKey::from_bytes(name.as_bytes())
                .map_err(|_| HeaderError::Name(position))?;
            let bytes = STANDARD.decode(value).map_err(|_| wrong_value())?;
            metadata.append_bin(key, BinaryMetadataValue::from_bytes(&bytes));
        } else {
            let key = AsciiMetadataKey::from_bytes(name.as_bytes())
                .map_err(|_| HeaderError::Name(position))?;
            let value = value
                .parse::<AsciiMetadataValue>()
                .map_err(|_| wrong_value())?;
            metadata.append(key, value);
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(header: &str) -> Result<MetadataMap, HeaderError> {
        parse(&[header.to_owned()])
    }

    #[test]
    fn a_value_may_hold_colons_and_a_name_may_be_upper_case() {
        let metadata = parse_one("X-Purpose:  Loan a:b ").unwrap();
        assert_eq!(metadata.get("x-purpose").unwrap(), "Loan a:b");
    }

    #[test]
    fn a_binary_value_is_base64() {
        let metadata = parse_one("trace-bin: AAEC").unwrap();
        let value = metadata.get_bin("trace-bin").unwrap();
        assert_eq!(value.to_bytes().unwrap().as_ref(), [0, 1, 2]);
    }

    #[test]
    fn no_error_repeats_a_value() {
        for header in [
            "canary",
            "na me: canary",
            ": canary",
            "name: canary\u{1}x",
            "x-bin: canary!",
            "Authorization: Bearer canary",
        ] {
            let error = parse_one(header).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
