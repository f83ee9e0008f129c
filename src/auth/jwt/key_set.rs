//! A key set (JWKS, RFC 7517): the public keys of an issuer.
//!
//! A SPIFFE bundle is one too, of which those keys count that sign tokens (`use` is `jwt-svid`).
//! Keys that are of no use here are passed over, as the standard asks for: of an unknown kind, not for
//! signatures, or symmetric. A set without any usable key is a set: whoever withdraws the last one lets nobody in.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// Most keys of a set.
const MOST: usize = 200;

/// A public key.
pub struct Key {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    /// What verifies signatures.
    pub decoding: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The keys.
#[derive(Debug)]
pub struct KeySet(Vec<Arc<Key>>);

/// What a discovery document is told apart by.
#[derive(Deserialize)]
struct Discovery {
    #[serde(rename = "jwks_uri")]
    _jwks_uri: String,
}

const IS_DISCOVERY: &str =
    "is a discovery document and not a key set (JWKS): name it in discovery_url instead";

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(json: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(json).map_err(|error| {
            let is_discovery = serde_json::from_str::<Discovery>(json).is_ok();
            match is_discovery {
                true => IS_DISCOVERY.to_owned(),
                false => format!("is not a key set (JWKS): line {}", error.line()),
            }
        })?;
        if document.keys.len() > MOST {
            return Err(format!("holds more than {MOST} keys"));
        }
        let keys = document.keys.into_iter().filter_map(key);
        Ok(Self(keys.collect()))
    }

    /// Whether it has no usable key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of a token: the one with its `kid`; without one, the only one that fits the algorithm.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let fits = |key: &&Arc<Key>| {
            key.decoding.family() == algorithm.family()
                && key.algorithm.is_none_or(|own| own == algorithm)
        };
        let mut fitting = self.0.iter().filter(fits);
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)).cloned(),
            None => {
                let only = fitting.next();
                only.filter(|_| fitting.next().is_none()).cloned()
            }
        }
    }
}

fn key(mut value: Value) -> Option<Arc<Key>> {
    // RFC 7518, 6.3.1.1: some issuers write their modulus with a leading zero all the same.
    for number in ["n", "e"] {
        if let Some(text) = value.get(number).and_then(without_leading_zeros) {
            *value.get_mut(number)? = text.into();
        }
    }
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    let of_use = match &common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        // SPIFFE Trust Domain and Bundle, 4.2.2.
        Some(PublicKeyUse::Other(word)) => word == "jwt-svid",
        Some(PublicKeyUse::Encryption) => false,
    };
    let operations = common.key_operations.as_ref();
    let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    if !of_use || !verifies || decoding.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let algorithm = match common.key_algorithm {
        None => None,
        // A key for an algorithm that is no signature's is of no use, whatever its kind.
        Some(named) => Some(named.to_string().parse::<Algorithm>().ok()?),
    };
    Some(Arc::new(Key {
        kid: common.key_id.clone(),
        algorithm,
        decoding,
    }))
}

/// A number without the zeros before it; none if it has none.
fn without_leading_zeros(value: &Value) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(value.as_str()?).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let (_, number) = bytes.split_at_checked(zeros)?;
    (zeros > 0).then(|| BASE64_URL_SAFE_NO_PAD.encode(number))
}
