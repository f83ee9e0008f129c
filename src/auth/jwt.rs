//! `jwt`: signed tokens (RFC 7519) for this gateway, each under a key of its own issuer.
//!
//! A token is good if, in this order: its claims name a configured issuer (`iss`), whose keys and settings alone count
//! from here on; its header can be read, names a configured algorithm, is of a type that
//! lets somebody in (`typ`: none, `JWT`, `JOSE` or `at+jwt`; by `require_at_jwt` the last only) and asks
//! for no extension (`crit`); its key (`kid`) is in the issuer's key set and made for that algorithm; the
//! signature holds; `exp` is not past and `nbf` not ahead, by more than the leeway; the audience is a configured
//! one, and it is no ID token, logout token or refresh token. Only asymmetric algorithms can be configured, so a
//! public key can never be taken for a shared secret.
//!
//! Verifying costs some 50 µs, and callers send the same token many times: a verified token is
//! remembered by its hash, until it expires or its issuer's key set changes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::dangerous;
use moka::sync::Cache;
use serde_json::Value;

use self::{claims::Claims, issuer::Issuer, settings::Jwt as Settings};
use super::{StartError, Unidentified, identity::Caller};
use crate::{
    domain::{cause::Cause, redaction::Secret},
    reload::Watch,
    sha256::Sha256,
};

mod claims;
mod issuer;
pub mod key_set;
mod place;
pub mod settings;
mod source;
#[cfg(test)]
mod tests;

/// Most verified tokens that are remembered.
const REMEMBERED: u64 = 20_000;

/// A verified token.
#[derive(Debug, Clone)]
struct Verified {
    caller: Arc<Caller>,
    /// Seconds since 1970.
    expires: u64,
    issuer: Arc<Issuer>,
    /// The key set it was verified under.
    generation: u64,
}

/// The mode.
#[derive(Debug)]
pub struct Jwt {
    issuers: Vec<Arc<Issuer>>,
    remembered: Cache<[u8; 32], Verified>,
}

impl Jwt {
    /// Starts to fetch the key sets, each in a task of the current runtime. What is to be done when another file
    /// changes is added to `watches`.
    ///
    /// # Errors
    ///
    /// The setting that cannot be used.
    pub(super) fn start(settings: &Settings, watches: &mut Vec<Watch>) -> Result<Self, StartError> {
        let all = settings.all();
        let prefixes: Vec<_> = all
            .iter()
            .map(|(_, issuer)| issuer.identity_prefix.as_str())
            .collect();
        let issuers = all.iter().map(|(section, issuer)| {
            Issuer::start(section, issuer, &prefixes, watches).map(Arc::new)
        });
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
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
            && Some(verified.generation) == verified.issuer.generation()
        {
            if now() > verified.expires.saturating_add(verified.issuer.leeway()) {
                return Err(Unidentified {
                    identity: Some(Arc::clone(&verified.caller.identity)),
                    ..Cause::Expired.into()
                });
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
        // Nobody has signed them yet: they say which issuer to ask, and nothing else counts before its signature holds.
        let claims: Claims =
            dangerous::insecure_decode_claims(token).map_err(|_| Cause::Malformed)?;
        let named = match claims.get("iss") {
            None => return Err(Cause::Issuer.into()),
            // RFC 7519 knows one issuer, and no list.
            Some(named) => named.as_str().ok_or(Cause::Malformed)?,
        };
        let issuer = self.issuers.iter().find(|issuer| issuer.name() == named);
        let issuer = Arc::clone(issuer.ok_or(Cause::Issuer)?);
        let (caller, generation) = issuer.verify(token, &claims).await?;
        let expires = claims.get("exp").and_then(Value::as_f64);
        Ok(Verified {
            caller: Arc::new(caller),
            expires: seconds(expires.unwrap_or_default()),
            issuer,
            generation,
        })
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}

/// A NumericDate may have a fraction. It was tested to be a number that is not negative.
fn seconds(date: f64) -> u64 {
    Duration::try_from_secs_f64(date).map_or(u64::MAX, |date| date.as_secs())
}
