//! `jwt`: signed tokens (RFC 7519) of one issuer, for this gateway, under a key of its key set.
//!
//! A token is good if, in this order: its header can be read, names a configured algorithm, is of a type that
//! lets somebody in (`typ`: none, `JWT` or `at+jwt`; by `auth.jwt.require_at_jwt` the last only) and asks
//! for no extension (`crit`); its key (`kid`) is in the key set and made for that algorithm; the
//! signature holds; `exp` is not past and `nbf` not ahead, by more than the leeway; `iss` and `aud`
//! are the configured ones, and it is no ID token, logout token or refresh token. Only asymmetric algorithms can be configured, so a public key can never
//! be taken for a shared secret.
//!
//! Verifying costs some 50 µs, and callers send the same token many times: a verified token is
//! remembered by its hash, until it expires or the key set changes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, Validation};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::{
    settings::Jwt as Settings,
    source::{Look, Source},
};
use super::{
    StartError, Unidentified,
    identity::{Caller, Identity},
    settings::AuthMode,
};
use crate::{domain::redaction::Secret, sha256::Sha256};

pub mod key_set;
pub mod settings;
mod source;
#[cfg(test)]
mod tests;

/// Most verified tokens that are remembered.
const REMEMBERED: u64 = 20_000;
/// Types of a token that lets somebody in (RFC 9068, section 2.1).
const ACCESS_TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];
/// The same and what says nothing of it; other types, such as `logout+jwt`, are for something else.
const USUAL_TYPES: [&str; 5] = ["", "JWT", "application/jwt", "at+jwt", "application/at+jwt"];
/// Most scopes of one token.
const MOST_SCOPES: usize = 1000;

/// A verified token.
#[derive(Debug, Clone)]
struct Verified {
    caller: Arc<Caller>,
    /// Seconds since 1970.
    expires: u64,
    /// The key set it was verified under.
    generation: u64,
}

/// The claims that the gateway reads; `jsonwebtoken` has tested the registered ones by then.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(flatten)]
    all: Map<String, Value>,
}

/// The mode.
#[derive(Debug)]
pub struct Jwt {
    algorithms: Vec<Algorithm>,
    validation: Validation,
    identity_claim: String,
    types: &'static [&'static str],
    leeway: u64,
    source: Source,
    remembered: Cache<[u8; 32], Verified>,
}

impl Jwt {
    /// Starts to fetch the key set, in a task of the current runtime.
    ///
    /// # Errors
    ///
    /// The setting that cannot be used.
    pub(super) fn start(settings: &Settings) -> Result<Self, StartError> {
        let missing = |key| StartError::Setting(key, "is missing".to_owned());
        let issuer = settings.issuer.as_ref();
        let issuer = issuer.ok_or_else(|| missing("auth.jwt.issuer"))?;
        if settings.audience.is_empty() {
            return Err(missing("auth.jwt.audience"));
        }
        // The algorithm is set for each token; what is given here is never used.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = settings.leeway.get().as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&settings.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let algorithms = settings.algorithms.iter();
        Ok(Self {
            algorithms: algorithms.map(|algorithm| algorithm.algorithm()).collect(),
            leeway: validation.leeway,
            validation,
            identity_claim: settings.identity_claim.clone(),
            types: match settings.require_at_jwt {
                true => &ACCESS_TYPES,
                false => &USUAL_TYPES,
            },
            source: Source::start(settings)?,
            remembered: Cache::new(REMEMBERED),
        })
    }

    /// Whose token this is.
    ///
    /// # Errors
    ///
    /// If it is not good, or if that cannot be told now.
    pub async fn identify(&self, token: &Secret) -> Result<Arc<Caller>, Unidentified> {
        let hash = Sha256::digest(token.expose());
        if let Some(verified) = self.remembered.get(&hash)
            && Some(verified.generation) == self.source.generation()
        {
            if now() > verified.expires.saturating_add(self.leeway) {
                return Err(Unidentified::Refused);
            }
            return Ok(verified.caller);
        }
        // Boxed: a token is verified once and then remembered, and all calls would have room for it.
        let verified = Box::pin(self.verify(token.expose())).await?;
        let caller = Arc::clone(&verified.caller);
        self.remembered.insert(hash, verified);
        Ok(caller)
    }

    async fn verify(&self, token: &str) -> Result<Verified, Unidentified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unidentified::Refused)?;
        if !self.algorithms.contains(&header.alg) || header.crit.is_some() {
            return Err(Unidentified::Refused);
        }
        let typ = header.typ.as_deref().unwrap_or_default();
        if !self
            .types
            .iter()
            .any(|usual| usual.eq_ignore_ascii_case(typ))
        {
            return Err(Unidentified::Refused);
        }
        let Look { key, generation } = self.source.key(header.kid.as_deref(), header.alg).await?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![header.alg];
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
        let claims = decoded.map_err(|_| Unidentified::Refused)?.claims;
        let caller = self.caller(&claims.all).ok_or(Unidentified::Refused)?;
        Ok(Verified {
            caller: Arc::new(caller),
            expires: seconds(claims.exp),
            generation,
        })
    }

    fn caller(&self, claims: &Map<String, Value>) -> Option<Caller> {
        // The library is content if the issuer is in a list; RFC 7519 knows one.
        claims.get("iss")?.as_str()?;
        if is_for_something_else(claims) {
            return None;
        }
        let name = claims.get(&self.identity_claim)?.as_str()?;
        let mut caller = Caller::new(Identity::new(AuthMode::Jwt, name)?);
        caller.token_scopes = scopes(claims)?;
        Some(caller)
    }
}

/// Whether the token tells its client something and lets nobody in: an ID token (OpenID Connect Core, 3.1.3.6 and
/// 3.3.2.11), a security event such as a logout token (RFC 8417), or what Keycloak calls by another name.
fn is_for_something_else(claims: &Map<String, Value>) -> bool {
    let is_bearer = |typ: &Value| {
        typ.as_str()
            .is_some_and(|typ| ["Bearer", "DPoP", "JWT", "at+jwt"].contains(&typ))
    };
    ["at_hash", "c_hash", "s_hash", "events"]
        .iter()
        .any(|claim| claims.contains_key(*claim))
        || claims.get("typ").is_some_and(|typ| !is_bearer(typ))
}

/// `scope`, a text with spaces (RFC 8693), and `scp`, a text or a list of texts; none if they are
/// something else.
fn scopes(claims: &Map<String, Value>) -> Option<BTreeSet<Box<str>>> {
    let mut scopes = BTreeSet::new();
    for claim in ["scope", "scp"] {
        match claims.get(claim) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                scopes.extend(text.split_ascii_whitespace().map(Box::from));
            }
            Some(Value::Array(list)) => {
                for scope in list {
                    scopes.insert(scope.as_str()?.into());
                }
            }
            Some(_) => return None,
        }
    }
    (scopes.len() <= MOST_SCOPES).then_some(scopes)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}

/// A NumericDate may have a fraction. It was tested to be a number that is not negative.
fn seconds(date: f64) -> u64 {
    Duration::try_from_secs_f64(date).map_or(u64::MAX, |date| date.as_secs())
}
