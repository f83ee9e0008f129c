//! The settings of who may call (docs/access.md).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::settings::{ClientAuth, Settings};
use super::span::Span;
use crate::{
    access,
    auth::{self, jwt::key_set::KeySet, keys::KeyTable, mesh},
    policy::Policies,
    proto,
};

/// How callers are known, and what they may do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How callers are identified: a word, or several that are tried in this order; the first whose
    /// credential is there decides. There is no default: outside `serve --sandbox` on a loopback address
    /// `serve` refuses to start until it is said.
    #[schemars(extend("type" = ["array", "string"]))]
    pub mode: Vec<AuthMode>,
    /// The file that says who may call what, see what, and how often (TOML, docs/access.md); read again
    /// when it changes. Needed unless `mode` is `none`: who is not in it may do nothing.
    #[schemars(with = "PathBuf")]
    pub policy_file: Option<PathBuf>,
    /// Signed tokens, where `mode` has `jwt`.
    pub jwt: Jwt,
    /// The sidecars of a service mesh, where `mode` has `mesh`.
    pub mesh: Mesh,
    /// Preshared keys, where `mode` has `keys`.
    pub keys: PresharedKeys,
}

/// How callers are identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Nobody is checked: whoever reaches the port may call. Excludes the others.
    None,
    /// By a signed token in `authorization: Bearer`.
    Jwt,
    /// By a client certificate (`server.tls.client_auth`).
    Mtls,
    /// By the header of a service mesh's sidecar.
    Mesh,
    /// By a preshared key in `authorization: Bearer`.
    Keys,
}

impl AuthMode {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Jwt => "jwt",
            Self::Mtls => "mtls",
            Self::Mesh => "mesh",
            Self::Keys => "keys",
        }
    }
}

/// Signed tokens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    /// Who must have issued a token: its `iss`, letter by letter.
    #[schemars(with = "String", length(min = 1))]
    pub issuer: Option<String>,
    /// For whom a token must be: one of these must be in its `aud`.
    pub audience: Vec<String>,
    /// The signatures that are accepted. Symmetric ones, and none, cannot be.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the issuer's public keys are (JWKS): https, or http on a loopback host.
    #[schemars(with = "String", extend("x-form" = "an https URL"))]
    pub jwks_url: Option<BaseUrl>,
    /// A file that holds the public keys, instead of `jwks_url`; looked at every second.
    #[schemars(with = "PathBuf")]
    pub jwks_file: Option<PathBuf>,
    /// How often `jwks_url` is asked. A key that the issuer withdraws is good for so long.
    #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
    pub jwks_refresh: Span,
    /// The least time between two questions to `jwks_url` that tokens with unknown key ids cause.
    #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
    pub jwks_cooldown: Span,
    /// How long an answer of `jwks_url` may take.
    #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
    pub jwks_timeout: Span,
    /// How long the last key set stays in force while it cannot be fetched, or is broken; then no token can be judged
    /// (AUTH_UNAVAILABLE).
    #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
    pub jwks_max_stale: Span,
    /// By how much the issuer's clock may differ: `exp` and `nbf` are taken so much later and earlier. Whole
    /// seconds.
    #[schemars(extend("x-min" = "0s", "x-max" = "5m"))]
    pub leeway: Span,
    /// Whether a token must say in its header that it is an access token (`typ` is `at+jwt`, RFC 9068). Without
    /// it, tokens that say nothing are accepted, and those that are known to be something else are not.
    pub require_at_jwt: bool,
    /// The claim that names the caller.
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

/// A signature that a token may have.
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

/// The sidecars of a service mesh.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mesh {
    /// The addresses and networks from which a sidecar's header is believed, such as `127.0.0.6` or
    /// `10.1.0.0/16`. Everybody who can send from there can be anybody.
    pub peers: Vec<String>,
    /// Which headers are read, in this order; the first that is there decides.
    pub headers: Vec<MeshHeader>,
}

/// A header by which a sidecar names the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum MeshHeader {
    /// Envoy's and Istio's.
    #[serde(rename = "x-forwarded-client-cert")]
    XForwardedClientCert,
    /// Linkerd's.
    #[serde(rename = "l5d-client-id")]
    L5dClientId,
}

impl MeshHeader {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedClientCert => "x-forwarded-client-cert",
            Self::L5dClientId => "l5d-client-id",
        }
    }
}

/// Preshared keys.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresharedKeys {
    /// A file with a name and the SHA-256 of its key (64 hexadecimal digits) on each line; read again when
    /// it changes.
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// More of such lines.
    pub hashes: Vec<String>,
    /// How long the last keys stay in force while the file is gone or broken; then no key can be judged
    /// (AUTH_UNAVAILABLE). To revoke keys, take their lines out: a file without any is read as none.
    #[schemars(extend("x-min" = "100ms", "x-max" = "24h"))]
    pub max_stale: Span,
}

impl Default for PresharedKeys {
    fn default() -> Self {
        Self {
            file: None,
            hashes: Vec::new(),
            max_stale: Span::seconds(3600),
        }
    }
}

impl PresharedKeys {
    /// The keys of file and lines together.
    ///
    /// # Errors
    ///
    /// The key of the configuration, and what is wrong.
    pub fn read(&self) -> Result<KeyTable, (&'static str, String)> {
        let text = self.file.as_deref().map(auth::text).transpose();
        let text = text.map_err(|problem| ("auth.keys.file", problem))?;
        let key = match text {
            Some(_) => "auth.keys.file",
            None => "auth.keys.hashes",
        };
        let lines = text.iter().flat_map(|text| text.lines());
        let lines = lines.chain(self.hashes.iter().map(String::as_str));
        KeyTable::parse(lines).map_err(|problem| (key, problem))
    }
}

/// What the schema cannot say: the keys, and the problem.
pub(super) fn relations(settings: &Settings) -> Vec<(&'static str, String)> {
    let auth = &settings.auth;
    let mut problems = Vec::new();
    let has = |mode| auth.mode.contains(&mode);
    if has(AuthMode::None) && auth.mode.len() > 1 {
        problems.push((
            "auth.mode",
            "has none and another: none lets everybody call, and excludes the others".to_owned(),
        ));
        return problems;
    }
    if (1..)
        .zip(&auth.mode)
        .any(|(next, mode)| auth.mode.iter().skip(next).any(|other| other == mode))
    {
        problems.push(("auth.mode", "names a mode twice".to_owned()));
    }
    if has(AuthMode::Jwt) {
        problems.extend(auth.jwt.problems());
    }
    if has(AuthMode::Mtls) && settings.server.tls.client_auth == ClientAuth::Off {
        problems.push((
            "server.tls.client_auth",
            "is off: auth.mode has mtls, and nobody would be asked for a certificate".to_owned(),
        ));
    }
    if has(AuthMode::Mesh) {
        problems.extend(auth.mesh.problems());
    }
    if has(AuthMode::Keys) {
        match (&auth.keys.file, auth.keys.hashes.is_empty()) {
            (None, true) => problems.push((
                "auth.keys.file",
                "is missing, and so is auth.keys.hashes: auth.mode has keys".to_owned(),
            )),
            _ => problems.extend(auth.keys.read().err()),
        }
    }
    let identifies = auth.mode.iter().any(|mode| *mode != AuthMode::None);
    match &auth.policy_file {
        Some(path) => {
            let read = auth::text(path).and_then(|text| {
                let policies = Policies::from_descriptors(proto::descriptors());
                let policies = policies.map_err(|error| error.to_string())?;
                access::file::parse(&text, &policies).map_err(|error| error.to_string())
            });
            problems.extend(read.err().map(|problem| ("auth.policy_file", problem)));
        }
        None if identifies => problems.push((
            "auth.policy_file",
            "is missing: callers are identified, and who is not in it may do nothing".to_owned(),
        )),
        None => {}
    }
    problems
}

impl Jwt {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        if self.issuer.is_none() {
            problem("auth.jwt.issuer", "is missing: auth.mode has jwt");
        }
        if self.audience.iter().all(String::is_empty) {
            problem(
                "auth.jwt.audience",
                "is missing: auth.mode has jwt, and a token for somebody else must not do",
            );
        }
        if self.algorithms.is_empty() {
            problem("auth.jwt.algorithms", "is empty: no token would do");
        }
        if self.leeway.get().subsec_nanos() != 0 {
            problem("auth.jwt.leeway", "expected whole seconds");
        }
        match (&self.jwks_url, &self.jwks_file) {
            (None, None) => problem(
                "auth.jwt.jwks_url",
                "is missing, and so is auth.jwt.jwks_file: auth.mode has jwt",
            ),
            (Some(_), Some(_)) => problem(
                "auth.jwt.jwks_file",
                "is set, and so is auth.jwt.jwks_url; say one of them",
            ),
            (Some(_), None) => {}
            (None, Some(path)) => {
                let read = auth::text(path).and_then(|text| KeySet::parse(&text));
                if let Err(words) = read {
                    problem("auth.jwt.jwks_file", &words);
                }
            }
        }
        problems
    }
}

impl Mesh {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.peers.is_empty() {
            problems.push((
                "auth.mesh.peers",
                "is missing: auth.mode has mesh, and a sidecar's header is believed from named addresses only"
                    .to_owned(),
            ));
        }
        if let Err(position) = mesh::Mesh::new(&self.peers, Vec::new()) {
            let problem =
                format!("item {position}: expected an address or a network such as 10.1.0.0/16");
            problems.push(("auth.mesh.peers", problem));
        }
        if self.headers.is_empty() {
            problems.push((
                "auth.mesh.headers",
                "is missing: auth.mode has mesh; say x-forwarded-client-cert (Envoy, Istio) or l5d-client-id \
                 (Linkerd)"
                    .to_owned(),
            ));
        }
        problems
    }
}
