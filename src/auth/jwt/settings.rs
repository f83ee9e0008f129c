//! The settings of signed tokens.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key_set::KeySet;
use crate::{
    auth::text,
    setting::{BaseUrl, Span},
};

/// Signed tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    /// The required issuer of a token: its `iss`, compared exactly.
    #[schemars(with = "String", length(min = 1))]
    pub issuer: Option<String>,
    /// The accepted audiences: one of these must be in a token's `aud`.
    pub audience: Vec<String>,
    /// The accepted signature algorithms. Symmetric ones and `none` are not supported.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the issuer's public keys are (JWKS): https, or http on a loopback host.
    #[schemars(with = "String", extend("x-form" = "an https URL"))]
    pub jwks_url: Option<BaseUrl>,
    /// A file that contains the public keys, instead of `jwks_url`; checked for changes every second.
    #[schemars(with = "PathBuf")]
    pub jwks_file: Option<PathBuf>,
    /// How often `jwks_url` is fetched. A key that the issuer withdraws stays valid for up to this long.
    #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
    pub jwks_refresh: Span,
    /// Minimum time between two fetches of `jwks_url` that are triggered by tokens with unknown key ids.
    #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
    pub jwks_cooldown: Span,
    /// Timeout of one fetch of `jwks_url`.
    #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
    pub jwks_timeout: Span,
    /// How long the last valid key set is used while it cannot be fetched or is invalid; after that no token
    /// can be verified (AUTH_UNAVAILABLE).
    #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
    pub jwks_max_stale: Span,
    /// Accepted clock skew to the issuer, for `exp` and `nbf`. Whole seconds.
    #[schemars(extend("x-min" = "0s", "x-max" = "5m"))]
    pub leeway: Span,
    /// Whether a token's header must identify it as an access token (`typ` is `at+jwt`, RFC 9068). If false,
    /// tokens without a `typ` are accepted too, tokens of another known type are not.
    pub require_at_jwt: bool,
    /// The claim that contains the caller's identity.
    #[schemars(length(min = 1))]
    pub identity_claim: String,
}

impl Default for Jwt {
    fn default() -> Self {
        use JwtAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        Self {
            issuer: None,
            audience: Vec::new(),
            algorithms: vec![Rs256, Ps256, Es256, EdDsa],
            jwks_url: None,
            jwks_file: None,
            jwks_refresh: Span::seconds(300),
            jwks_cooldown: Span::seconds(10),
            jwks_timeout: Span::seconds(5),
            jwks_max_stale: Span::seconds(3600),
            leeway: Span::seconds(30),
            require_at_jwt: false,
            identity_claim: "sub".to_owned(),
        }
    }
}

impl Jwt {
    /// What the schema cannot say: the keys, and the problem.
    pub(in crate::auth) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        if self.issuer.is_none() {
            problem("auth.jwt.issuer", "is required: auth.mode includes jwt");
        }
        if self.audience.iter().all(String::is_empty) {
            problem(
                "auth.jwt.audience",
                "is required: auth.mode includes jwt, and tokens for another audience must be rejected",
            );
        }
        if self.algorithms.is_empty() {
            problem(
                "auth.jwt.algorithms",
                "is empty: every token would be rejected",
            );
        }
        if self.leeway.get().subsec_nanos() != 0 {
            problem("auth.jwt.leeway", "expected whole seconds");
        }
        match (&self.jwks_url, &self.jwks_file) {
            (None, None) => problem(
                "auth.jwt.jwks_url",
                "is required unless auth.jwt.jwks_file is set: auth.mode includes jwt",
            ),
            (Some(_), Some(_)) => problem(
                "auth.jwt.jwks_file",
                "is set, and so is auth.jwt.jwks_url; set only one of them",
            ),
            (Some(_), None) => {}
            (None, Some(path)) => {
                let read = text(path).and_then(|text| KeySet::parse(&text));
                if let Err(words) = read {
                    problem("auth.jwt.jwks_file", &words);
                }
            }
        }
        problems
    }
}

/// A signature algorithm of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// The same, SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// The same, SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA, PSS, SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// The same, SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// The same, SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA, P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA, P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// The same for the library.
    #[must_use]
    pub const fn algorithm(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm;
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}
