//! The settings of who may call (docs/access.md).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::jwt::settings::{Jwt, JwtAlgorithm};
use super::{keys::KeyTable, mesh, text};
use crate::setting::Span;

/// How callers are known, and what they may do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
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
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let has = |mode| self.mode.contains(&mode);
        if self.contradicts_itself() {
            problems.push((
                "auth.mode",
                "has none and another: none lets everybody call, and excludes the others"
                    .to_owned(),
            ));
            return problems;
        }
        if (1..)
            .zip(&self.mode)
            .any(|(next, mode)| self.mode.iter().skip(next).any(|other| other == mode))
        {
            problems.push(("auth.mode", "names a mode twice".to_owned()));
        }
        if has(AuthMode::Jwt) {
            problems.extend(self.jwt.problems());
        }
        if has(AuthMode::Mesh) {
            problems.extend(self.mesh.problems());
        }
        if has(AuthMode::Keys) {
            match (&self.keys.file, self.keys.hashes.is_empty()) {
                (None, true) => problems.push((
                    "auth.keys.file",
                    "is missing, and so is auth.keys.hashes: auth.mode has keys".to_owned(),
                )),
                _ => problems.extend(self.keys.read().err()),
            }
        }
        if self.identifies() && self.policy_file.is_none() {
            problems.push((
                "auth.policy_file",
                "is missing: callers are identified, and who is not in it may do nothing"
                    .to_owned(),
            ));
        }
        problems
    }
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
