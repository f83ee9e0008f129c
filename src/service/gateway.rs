//! What the handlers share: the policies, and a route to each configured provider.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::request_ids::RequestIds;
use crate::{
    audit::call as audit,
    config::{self, Settings},
    domain::{
        curp::CurpRule,
        failure::{Failure, Kind},
        verification::{Billing, Outcome, Provider, VerificationId, Verified},
    },
    policy::{Policies, Policy, PolicyError},
    proto::identity::v1 as pb,
    provider::{
        accuauth::{self, Accuauth},
        verifik::Verifik,
        youverify::{self, Youverify},
    },
    telemetry::call_facts::CallFacts,
    transport::{Answer, Request, Upstream, upstream},
};

/// An adapter with the way to its provider.
#[derive(Debug)]
pub struct Route<A> {
    /// What to send and how to read the answer.
    pub adapter: A,
    /// The way there.
    pub upstream: Upstream,
    /// Whether the registry behind it is about real people.
    pub environment: config::Environment,
}

/// Why a gateway cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The contract's policy table has a gap.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made (are there CA certificates on this machine?): {0}")]
    Client(#[from] reqwest::Error),
    /// A credential holds bytes that no HTTP header can.
    #[error("the credential of {0} holds characters that an HTTP header cannot carry")]
    Credential(Provider),
}

/// What the handlers share.
#[derive(Debug)]
pub struct Gateway {
    /// Verifik, if it is configured.
    pub verifik: Option<Route<Verifik>>,
    /// YouVerify, if it is configured.
    pub youverify: Option<Route<Youverify>>,
    /// AccuAuth, if it is configured.
    pub accuauth: Option<Route<Accuauth>>,
    /// How much of a CURP is tested.
    pub curp_rule: CurpRule,
    /// The creates of this process.
    pub(super) request_ids: RequestIds,
    policies: Policies,
}

impl Gateway {
    /// Makes the routes to the configured providers; nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// If the policy table has a gap, or a credential or the HTTP client is unusable.
    pub fn new(settings: &Settings, policies: Policies) -> Result<Arc<Self>, BuildError> {
        let providers = &settings.providers;
        Ok(Arc::new(Self {
            verifik: verifik(&providers.verifik)?,
            youverify: youverify(&providers.youverify)?,
            accuauth: accuauth(&providers.accuauth)?,
            curp_rule: match settings.curp.check {
                config::CurpCheck::Strict => CurpRule::Strict,
                config::CurpCheck::Shape => CurpRule::Shape,
            },
            request_ids: RequestIds::new(
                settings.persons.request_id_capacity,
                settings.persons.request_id_ttl.get(),
            ),
            policies,
        }))
    }

    /// The policy of an RPC.
    ///
    /// # Errors
    ///
    /// If the contract has none.
    pub fn policy(&self, rpc: &str) -> Result<Policy, PolicyError> {
        self.policies.get(rpc)
    }
}

fn verifik(settings: &config::Verifik) -> Result<Option<Route<Verifik>>, BuildError> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    let adapter = Verifik::new(token, settings.persons_path.clone())
        .map_err(|_| BuildError::Credential(Provider::Verifik))?;
    route(Provider::Verifik, adapter, settings.upstream()).map(Some)
}

fn youverify(settings: &config::Youverify) -> Result<Option<Route<Youverify>>, BuildError> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    let words = settings.id_types.clone();
    let id_types = youverify::IdTypes {
        national_id: words.national_id,
        passport: words.passport,
        service_id: words.service_id,
        alien_id: words.alien_id,
    };
    let adapter =
        Youverify::new(token, id_types).map_err(|_| BuildError::Credential(Provider::Youverify))?;
    route(Provider::Youverify, adapter, settings.upstream()).map(Some)
}

fn accuauth(settings: &config::Accuauth) -> Result<Option<Route<Accuauth>>, BuildError> {
    let (Some(id), Some(secret)) = (&settings.api_id, &settings.api_secret) else {
        return Ok(None);
    };
    let encoding = match settings.body_encoding {
        config::BodyEncoding::Json => accuauth::BodyEncoding::Json,
        config::BodyEncoding::Form => accuauth::BodyEncoding::Form,
    };
    let adapter = Accuauth::new(id, secret, encoding)
        .map_err(|_| BuildError::Credential(Provider::Accuauth))?;
    route(Provider::Accuauth, adapter, settings.upstream()).map(Some)
}

fn route<A>(
    provider: Provider,
    adapter: A,
    settings: config::Upstream,
) -> Result<Route<A>, BuildError> {
    let upstream = Upstream::new(upstream::Settings {
        provider,
        base_url: settings.base_url,
        timeout: settings.timeout,
        connect_timeout: settings.connect_timeout,
        max_response_bytes: settings.max_response_bytes,
        limits: settings.limits,
    })?;
    Ok(Route {
        adapter,
        upstream,
        environment: settings.environment,
    })
}

/// The route, or the failure that says that there is none.
///
/// # Errors
///
/// [`Kind::NotConfigured`].
pub fn configured<A>(provider: Provider, route: Option<&Route<A>>) -> Result<&Route<A>, Failure> {
    route.ok_or_else(|| Failure::before_sending(Kind::NotConfigured, provider))
}

/// Asks the provider for a verification whose request passed its checks.
///
/// # Errors
///
/// What went wrong; every failure carries the verification's id.
pub async fn verify<A, R>(
    facts: &CallFacts,
    policy: &Policy,
    (provider, route): (Provider, Option<&Route<A>>),
    request: impl FnOnce(&A) -> Request,
    read: impl Fn(&A, &Answer) -> Result<Verified<R>, Failure>,
) -> Result<(pb::Verification, Option<R>), Failure> {
    let id = VerificationId::mint();
    facts.verifies(id);
    facts.asks(provider);
    let asked = async {
        audit::intend(facts).await?;
        let route = configured(provider, route)?;
        let request = request(&route.adapter);
        let read = |answer: &Answer| read(&route.adapter, answer);
        let verified = route.upstream.call(facts, policy, &request, read).await?;
        Ok((verified, route.environment))
    };
    let (verified, environment) = asked.await.map_err(|failure: Failure| failure.of(id))?;
    facts.found(verified.outcome, verified.billing);
    let verification = pb::Verification {
        id: id.to_string(),
        outcome: outcome(verified.outcome).into(),
        provider: provider.as_str().to_owned(),
        provider_reference: verified.reference,
        provider_code: verified.code,
        provider_message: verified.message,
        checked_at: Some(now()),
        source: pb::Source::Provider.into(),
        billing: billing(verified.billing).into(),
        environment: match environment {
            config::Environment::Live => pb::Environment::Live,
            config::Environment::Sandbox => pb::Environment::Sandbox,
        }
        .into(),
    };
    Ok((verification, verified.record))
}

/// Tests `max_age`: the rule that it breaks, if any.
///
/// # Errors
///
/// The rule.
pub fn check_max_age(max_age: Option<prost_types::Duration>) -> Result<(), &'static str> {
    let age = max_age.unwrap_or_default();
    Duration::try_from(age).map_or(Err("must be a duration that is not negative"), |_| Ok(()))
}

fn now() -> prost_types::Timestamp {
    let now = Timestamp::now();
    prost_types::Timestamp {
        seconds: now.as_second(),
        nanos: now.subsec_nanosecond(),
    }
}

const fn outcome(outcome: Outcome) -> pb::Outcome {
    match outcome {
        Outcome::Found => pb::Outcome::Found,
        Outcome::NotFound => pb::Outcome::NotFound,
        Outcome::InvalidIdentifier => pb::Outcome::InvalidIdentifier,
        Outcome::Inconclusive => pb::Outcome::Inconclusive,
    }
}

const fn billing(billing: Billing) -> pb::Billing {
    match billing {
        Billing::Billed => pb::Billing::Billed,
        Billing::NotBilled => pb::Billing::NotBilled,
        Billing::Unknown => pb::Billing::Unknown,
    }
}
