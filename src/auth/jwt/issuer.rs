//! One issuer of tokens: its settings and its keys, which verify its own tokens and nobody else's.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header, Validation, errors::ErrorKind};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{
    claims::{self, Claims},
    settings::{Issuer as Settings, Section},
    source::{Look, Source},
};
use crate::{
    auth::{
        StartError, Unidentified,
        identity::{Caller, Identity},
        settings::AuthMode,
    },
    domain::cause::Cause,
    reload::Watch,
};

/// Types of a token that lets somebody in (RFC 9068, section 2.1).
const ACCESS_TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];
/// The same and what says nothing of it; other types, such as `logout+jwt`, are for something else. `JOSE` is
/// SPIFFE's (JWT-SVID, section 2.3).
const USUAL_TYPES: [&str; 6] = [
    "",
    "JWT",
    "application/jwt",
    "JOSE",
    "at+jwt",
    "application/at+jwt",
];

/// An issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    settings: Settings,
    name: String,
    algorithms: Vec<Algorithm>,
    validation: Validation,
    types: &'static [&'static str],
    /// Other issuers' prefixes that this one's own names could begin with.
    foreign: Vec<String>,
    source: Source,
}

impl Issuer {
    /// Starts to fetch its key set; `prefixes` are those of all issuers' identities.
    pub fn start(
        section: &Section,
        settings: &Settings,
        prefixes: &[&str],
        watches: &mut Vec<Watch>,
    ) -> Result<Self, StartError> {
        let missing = |key| StartError::of(section.key(key), "is missing");
        let name = settings.issuer.clone().ok_or_else(|| missing("issuer"))?;
        if settings.audience.is_empty() {
            return Err(missing("audience"));
        }
        // The algorithm is set for each token; what is given here is never used.
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = settings.leeway.get().as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&name]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        // It may be in other claims than `aud`.
        validation.validate_aud = false;
        let own = settings.identity_prefix.as_str();
        let foreign = prefixes
            .iter()
            .filter(|other| other.len() > own.len() && other.starts_with(own));
        let algorithms = settings.algorithms.iter();
        Ok(Self {
            name,
            algorithms: algorithms.map(|algorithm| algorithm.algorithm()).collect(),
            validation,
            types: match settings.require_at_jwt {
                true => &ACCESS_TYPES,
                false => &USUAL_TYPES,
            },
            foreign: foreign.map(|other| (*other).to_owned()).collect(),
            source: Source::start(section, settings, watches)?,
            settings: settings.clone(),
        })
    }

    /// What its tokens say in `iss`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Accepted clock skew, in seconds.
    pub const fn leeway(&self) -> u64 {
        self.validation.leeway
    }

    /// Which of its key sets is in force; none if it can no longer be relied upon.
    pub fn generation(&self) -> Option<u64> {
        self.source.generation()
    }

    /// Whose token this is, with these claims, and the key set it was verified under.
    pub async fn verify(
        &self,
        token: &str,
        claims: &Claims,
    ) -> Result<(Caller, u64), Unidentified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Cause::Malformed)?;
        self.test(&header)?;
        let Look { key, generation } = self.source.key(header.kid.as_deref(), header.alg).await?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![header.alg];
        let signed = jsonwebtoken::decode::<IgnoredAny>(token, &key.decoding, &validation);
        let caller = match signed {
            Ok(_) => self.caller(claims),
            Err(error) => Err(cause(error.kind())),
        };
        let caller = caller.map_err(|cause| match cause {
            // Before its signature holds a token is nobody's.
            Cause::Signature | Cause::Algorithm | Cause::Malformed => cause.into(),
            _ => Unidentified {
                identity: self.identity(claims).map(Arc::new),
                ..cause.into()
            },
        });
        Ok((caller?, generation))
    }

    fn test(&self, header: &Header) -> Result<(), Cause> {
        if !self.algorithms.contains(&header.alg) {
            return Err(Cause::Algorithm);
        }
        if header.crit.is_some() {
            return Err(Cause::Malformed);
        }
        let typ = header.typ.as_deref().unwrap_or_default();
        let is_usual = |usual: &&str| usual.eq_ignore_ascii_case(typ);
        match self.types.iter().any(is_usual) {
            true => Ok(()),
            false => Err(Cause::TokenType),
        }
    }

    /// The caller of a token whose signature holds, and whose time it is.
    fn caller(&self, claims: &Claims) -> Result<Caller, Cause> {
        let settings = &self.settings;
        if !claims::is_for(claims, &settings.audience_claims, &settings.audience) {
            return Err(Cause::Audience);
        }
        if claims::is_for_something_else(claims) {
            return Err(Cause::TokenType);
        }
        let mut caller = Caller::new(self.identity(claims).ok_or(Cause::Identity)?);
        let scopes = claims::scopes(claims, &settings.scope_claims);
        caller.token_scopes = scopes.ok_or(Cause::Malformed)?;
        Ok(caller)
    }

    /// The name in the claims, unless it is one that another issuer gives.
    fn identity(&self, claims: &Claims) -> Option<Identity> {
        let name = claims::at(claims, &self.settings.identity_claim).and_then(Value::as_str)?;
        if name.is_empty() {
            return None;
        }
        let name = format!("{}{name}", self.settings.identity_prefix);
        let is_foreign = self.foreign.iter().any(|other| name.starts_with(other));
        Identity::new(AuthMode::Jwt, &name).filter(|_| !is_foreign)
    }
}

/// The library tests the signature first, then the claims.
const fn cause(error: &ErrorKind) -> Cause {
    match error {
        ErrorKind::InvalidSignature => Cause::Signature,
        ErrorKind::ExpiredSignature => Cause::Expired,
        ErrorKind::ImmatureSignature => Cause::NotYetValid,
        ErrorKind::InvalidIssuer => Cause::Issuer,
        ErrorKind::InvalidAlgorithm => Cause::Algorithm,
        _ => Cause::Malformed,
    }
}
