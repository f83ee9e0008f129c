//! The settings of who may call (docs/access.md).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::jwt::settings::{Issuer, Jwt, JwtAlgorithm};
use super::{keys::KeyTable, mesh, text};
use crate::setting::Span;

/// How callers are identified, and what they may do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How callers are identified: one mode, or several that are tried in this order; the first whose
    /// credential is present decides. There is no default: except with `serve --sandbox` on a loopback
    /// address, `serve` refuses to start without it.
    #[schemars(extend("type" = ["array", "string"]))]
    pub mode: Vec<AuthMode>,
    /// The policy file: which callers may call what, see what, and how often (TOML, docs/access.md); reloaded
    /// when it changes. Required unless `mode` is `none`: a caller that matches no rule is denied.
    #[schemars(with = "PathBuf")]
    pub policy_file: Option<PathBuf>,
    /// Signed tokens, where `mode` has `jwt`.
    pub jwt: Jwt,
    /// The sidecars of a service mesh, where `mode` has `mesh`.
    pub mesh: Mesh,
    /// Preshared keys, where `mode` has `keys`.
    pub keys: PresharedKeys,
}

impl Settings {
    /// Whether it says both that nobody is identified and how callers are.
    #[must_use]
    pub fn contradicts_itself(&self) -> bool {
        self.mode.contains(&AuthMode::None) && self.mode.len() > 1
    }

    /// Whether callers are identified.
    #[must_use]
    pub fn identifies(&self) -> bool {
        self.mode.iter().any(|mode| *mode != AuthMode::None)
    }

    /// What the schema cannot say: the keys, and the problem. What only other rooms know is not asked: whether
    /// clients show certificates, and what a policy file means.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let has = |mode| self.mode.contains(&mode);
        if self.contradicts_itself() {
            problems.push((
                "auth.mode".to_owned(),
                "combines none with another mode: none lets everybody call and must be the only mode"
                    .to_owned(),
            ));
            return problems;
        }
        if (1..)
            .zip(&self.mode)
            .any(|(next, mode)| self.mode.iter().skip(next).any(|other| other == mode))
        {
            problems.push(("auth.mode".to_owned(), "names a mode twice".to_owned()));
        }
        if has(AuthMode::Jwt) {
            problems.extend(self.jwt.problems());
        }
        if has(AuthMode::Mesh) {
            problems.extend(named(self.mesh.problems()));
        }
        if has(AuthMode::Keys) {
            match (&self.keys.file, self.keys.hashes.is_empty()) {
                (None, true) => problems.push((
                    "auth.keys.file".to_owned(),
                    "is required unless auth.keys.hashes is set: auth.mode includes keys"
                        .to_owned(),
                )),
                _ => problems.extend(named(self.keys.read().err())),
            }
        }
        if self.identifies() && self.policy_file.is_none() {
            problems.push((
                "auth.policy_file".to_owned(),
                "is required: callers are identified, and a caller that matches no rule in it is denied"
                    .to_owned(),
            ));
        }
        problems
    }
}

fn named(
    problems: impl IntoIterator<Item = (&'static str, String)>,
) -> impl Iterator<Item = (String, String)> {
    let problems = problems.into_iter();
    problems.map(|(key, problem)| (key.to_owned(), problem))
}

/// How callers are identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// No authentication: whoever reaches the port may call. Cannot be combined with other modes.
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
    /// Its name in the configuration.
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

/// The sidecars of a service mesh.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mesh {
    /// The addresses and networks from which a sidecar's header is trusted, such as `127.0.0.6` or
    /// `10.1.0.0/16`. Whoever can send from there can impersonate any caller.
    pub peers: Vec<String>,
    /// The headers to read, in this order; the first one present decides.
    pub headers: Vec<MeshHeader>,
}

/// A header in which a sidecar passes the caller's identity.
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
    /// A file with a name and the SHA-256 of its key (64 hexadecimal digits) on each line; reloaded when it
    /// changes.
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// Further such lines, in the configuration itself.
    pub hashes: Vec<String>,
    /// How long the last valid keys are used while the file is missing or invalid; after that no key can be
    /// verified (AUTH_UNAVAILABLE). To revoke keys, remove their lines: a file without lines revokes all.
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
        let text = self.file.as_deref().map(text).transpose();
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

impl Mesh {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.peers.is_empty() {
            problems.push((
                "auth.mesh.peers",
                "is required: auth.mode includes mesh, and a sidecar's header is trusted only from these addresses"
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
                "is required: auth.mode includes mesh; set x-forwarded-client-cert (Envoy, Istio) or \
                 l5d-client-id (Linkerd)"
                    .to_owned(),
            ));
        }
        problems
    }
}
