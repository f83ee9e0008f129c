//! Who calls: one or several modes, asked in the order of `auth.mode`.
//!
//! The first mode that finds a credential of its own decides: one that is presented and bad is a
//! refusal, and no other mode is asked. So an expired token never turns into the rights of the
//! certificate beside it. A mode whose credential is not there is passed over. Tokens and preshared
//! keys both come as `authorization: Bearer`: where both modes are on, what has the three parts of a
//! token is one.
//!
//! Whatever the mode, a client certificate that is good no more is a refusal, and the header `authorization` and
//! those of every mesh go no further than here.

pub mod bearer;
pub mod identity;
pub mod jwt;
pub mod keys;
pub mod mesh;
pub mod mtls;
pub mod peer;
pub mod settings;
pub mod spiffe;
pub mod unidentified;

use std::{borrow::Cow, sync::Arc};

use arc_swap::ArcSwapOption;
use http::{Extensions, HeaderMap, header};

use self::{
    identity::Caller,
    jwt::Jwt,
    keys::{KeyTable, Keys},
    mesh::Mesh,
    settings::PresharedKeys,
};
pub use self::{
    settings::{AuthMode, Settings},
    unidentified::Unidentified,
};
use crate::{
    domain::{cause::Cause, redaction::Secret},
    reload::{self, Content, Watch},
};

const KEYS_FILE: &str = "auth.keys.file";

/// Why authentication cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting or a file cannot be used.
    #[error("{0}: {1}")]
    Setting(Cow<'static, str>, String),
}

/// A mode, ready to be asked.
#[derive(Debug)]
enum Asked {
    Jwt(Box<Jwt>),
    Mtls,
    Mesh(Mesh),
    Keys(Keys),
}

/// The modes in their order.
#[derive(Debug)]
pub struct Authenticator {
    /// Empty: nobody is identified.
    modes: Vec<Asked>,
    anonymous: Arc<Caller>,
}

impl StartError {
    fn of(key: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self::Setting(key.into(), problem.into())
    }
}

impl Authenticator {
    /// The configured modes. A key set is fetched in a task of the current runtime; what is to be done when
    /// another file changes is added to `watches`.
    ///
    /// # Errors
    ///
    /// The setting that cannot be used.
    pub fn start(settings: &Settings, watches: &mut Vec<Watch>) -> Result<Self, StartError> {
        let mut modes = Vec::new();
        for mode in &settings.mode {
            modes.push(match mode {
                AuthMode::None => continue,
                AuthMode::Jwt => Asked::Jwt(Box::new(Jwt::start(&settings.jwt, watches)?)),
                AuthMode::Mtls => Asked::Mtls,
                AuthMode::Mesh => Asked::Mesh(mesh(&settings.mesh)?),
                AuthMode::Keys => Asked::Keys(keys(&settings.keys, watches)?),
            });
        }
        Ok(Self {
            modes,
            anonymous: Arc::new(Caller::anonymous()),
        })
    }

    /// Whether callers are identified at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.modes.is_empty()
    }

    /// Who sends this request. Its credentials are taken out of the headers.
    ///
    /// # Errors
    ///
    /// If that is not known.
    pub async fn identify(
        &self,
        headers: &mut HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Caller>, Unidentified> {
        if let Some(refused) = peer::refused(extensions) {
            return Err(refused);
        }
        if !self.is_on() {
            headers.remove(header::AUTHORIZATION);
            mesh::strip(headers);
            return Ok(Arc::clone(&self.anonymous));
        }
        let named = self.named_by_mesh(headers, extensions);
        let is_named = mesh::strip(headers);
        let has_other = headers.contains_key(header::AUTHORIZATION);
        let bearer = bearer::take(headers);
        headers.remove(header::AUTHORIZATION);
        for mode in &self.modes {
            let found = match mode {
                Asked::Mtls => {
                    mtls::identify(peer::certificate(extensions).map(|shown| shown.chain()))?
                }
                Asked::Mesh(_) => named.clone()?,
                Asked::Jwt(jwt) => match bearer.as_ref().map_err(Clone::clone)? {
                    Some(token) if self.is_token(token) => Some(jwt.identify(token).await?),
                    _ => None,
                },
                Asked::Keys(keys) => match bearer.as_ref().map_err(Clone::clone)? {
                    Some(key) if !self.is_token(key) || !self.reads_tokens() => {
                        Some(keys.identify(key)?)
                    }
                    _ => None,
                },
            };
            if let Some(caller) = found {
                return Ok(caller);
            }
        }
        let trusts = |mesh: &Mesh| mesh.trusts(peer::ip(extensions));
        let cause = match self.mesh() {
            // Where a mesh names nobody that is asked for, its headers are nobody's credential.
            Some(mesh) if is_named && !trusts(mesh) => Cause::UntrustedPeer,
            _ if has_other => Cause::Unsupported,
            _ => Cause::NoCredential,
        };
        Err(cause.into())
    }

    /// Before its headers are stripped.
    fn named_by_mesh(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Option<Arc<Caller>>, Unidentified> {
        self.mesh().map_or(Ok(None), |mesh| {
            mesh.identify(headers, peer::ip(extensions))
        })
    }

    fn mesh(&self) -> Option<&Mesh> {
        self.modes.iter().find_map(|mode| match mode {
            Asked::Mesh(mesh) => Some(mesh),
            _ => None,
        })
    }

    fn reads_tokens(&self) -> bool {
        self.modes.iter().any(|mode| matches!(mode, Asked::Jwt(_)))
    }

    fn reads_keys(&self) -> bool {
        self.modes.iter().any(|mode| matches!(mode, Asked::Keys(_)))
    }

    /// Whether a bearer credential is for `jwt` to judge: any, unless preshared keys are on beside it.
    fn is_token(&self, credential: &Secret) -> bool {
        !self.reads_keys() || credential.expose().split('.').count() == 3
    }
}

fn mesh(settings: &settings::Mesh) -> Result<Mesh, StartError> {
    Mesh::new(&settings.peers, settings.headers.clone()).map_err(|_| {
        StartError::of(
            "auth.mesh.peers",
            "contains an entry that is not an IP address or network",
        )
    })
}

fn keys(settings: &PresharedKeys, watches: &mut Vec<Watch>) -> Result<Keys, StartError> {
    let table = settings
        .read()
        .map_err(|(key, problem)| StartError::of(key, problem))?;
    let warn = |table: &KeyTable| {
        if table.is_empty() {
            tracing::warn!(
                key = KEYS_FILE,
                "no keys: no caller can authenticate with a key"
            );
        }
    };
    warn(&table);
    let table = Arc::new(ArcSwapOption::from_pointee(table));
    if let Some(path) = &settings.file {
        let (into, hashes) = (Arc::clone(&table), settings.hashes.clone());
        let take = move |contents: &[Content]| {
            let text = utf8(contents)?;
            let lines = text.lines().chain(hashes.iter().map(String::as_str));
            let table = KeyTable::parse(lines)?;
            warn(&table);
            into.store(Some(Arc::new(table)));
            Ok(())
        };
        let ended = Arc::clone(&table);
        let watch = Watch::new(KEYS_FILE, vec![path.clone()], take);
        watches.push(watch.good_for(settings.max_stale.get(), move || ended.store(None)));
    }
    Ok(Keys(table))
}

/// The text of the only file of a watch.
///
/// # Errors
///
/// If it is none.
pub fn utf8(contents: &[Content]) -> Result<&str, String> {
    let bytes = contents.first().map(|content| content.as_slice());
    let text = std::str::from_utf8(bytes.unwrap_or_default());
    text.map_err(|_| "is not UTF-8".to_owned())
}

/// The text of a small file of the configuration.
///
/// # Errors
///
/// Why it cannot be read.
pub fn text(path: &std::path::Path) -> Result<String, String> {
    let content = reload::read(path)?;
    utf8(&[content]).map(str::to_owned)
}

#[cfg(test)]
#[allow(dead_code, reason = "tests/kit has more of it")]
#[path = "../../tests/kit/issuer.rs"]
mod issuer;
#[cfg(test)]
mod tests;
