//! What the handlers share: the policies, and a route to each configured provider.

use std::{sync::Arc, time::Duration};

use url::Url;

use super::request_ids::RequestIds;
use crate::{
    access::budget::Shared,
    config::{self, Settings},
    domain::{
        curp::CurpRule,
        failure::{Failure, Kind},
        verification::Provider,
    },
    policy::{Policies, Policy, PolicyError},
    provider::{
        accuauth::{self, Accuauth},
        verifik::Verifik,
        youverify::{self, Youverify},
    },
    sharing::{Answers, Creates, Keys, Lifetimes, Remote, keys::KeyError, remote::NotAServer},
    telemetry::{metrics, token},
    transport::{Upstream, retry, upstream},
};

/// An adapter with the way to its provider.
#[derive(Debug)]
pub struct Route<A> {
    /// What to send and how to read the answer.
    pub adapter: A,
    /// The way there.
    pub upstream: Upstream,
    /// Where it leads.
    pub base_url: Url,
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
    /// The cache cannot be used as configured.
    #[error(transparent)]
    Cache(#[from] NotAServer),
    /// There is no key for the cache.
    #[error("cache.key: {0}")]
    CacheKey(#[from] KeyError),
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
    /// The answers that are kept for `max_age`.
    pub(super) answers: Answers,
    /// The creates of this process, and of all replicas.
    pub(super) request_ids: RequestIds,
    counts: Option<Shared>,
    policies: Policies,
}

impl Gateway {
    /// Makes the routes to the configured providers; none of them is dialled yet. Redis is, if it is
    /// configured, in a task of the current runtime.
    ///
    /// # Errors
    ///
    /// If the policy table has a gap, or a credential, a key or the HTTP client is unusable.
    pub fn new(settings: &Settings, policies: Policies) -> Result<Arc<Self>, BuildError> {
        let providers = &settings.providers;
        let (answers, creates, counts) = shared(settings)?;
        Ok(Arc::new(Self {
            verifik: verifik(&providers.verifik)?,
            youverify: youverify(&providers.youverify)?,
            accuauth: accuauth(&providers.accuauth)?,
            curp_rule: match settings.curp.check {
                config::CurpCheck::Strict => CurpRule::Strict,
                config::CurpCheck::Shape => CurpRule::Shape,
            },
            answers,
            request_ids: RequestIds::new(
                settings.persons.request_id_capacity,
                settings.persons.request_id_ttl.get(),
                creates,
            ),
            counts,
            policies,
        }))
    }

    /// Waits until nothing runs any more that no call in flight waits for.
    pub async fn finished(&self) {
        self.request_ids.finished().await;
    }

    /// Where the replicas count calls together, if they share a Redis.
    #[must_use]
    pub fn counts(&self) -> Option<Shared> {
        self.counts.clone()
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

/// What is shared between calls, and between replicas if there is a Redis.
fn shared(settings: &Settings) -> Result<(Answers, Option<Creates>, Option<Shared>), BuildError> {
    let cache = &settings.cache;
    let keys = Arc::new(match &cache.key {
        Some(key) => Keys::derived(key.expose())?,
        None => Keys::random()?,
    });
    let remote = cache.url.as_ref();
    let remote = remote.map(|url| Remote::new(url, cache.timeout.get()));
    let remote = remote.transpose()?;
    let lifetimes = Lifetimes {
        found: cache.found_ttl.get(),
        not_found: cache.not_found_ttl.get(),
        invalid: cache.invalid_ttl.get(),
    };
    let answers = Answers::new(
        Arc::clone(&keys),
        remote.clone(),
        lifetimes,
        cache.max_bytes,
    );
    let counts = remote.clone().map(|remote| Shared {
        remote,
        keys: Arc::clone(&keys),
    });
    let verifik = &settings.providers.verifik;
    let creates = remote.map(|remote| {
        let scope = format!("{}{}", verifik.base_url, verifik.persons_path);
        let lifetime = settings.persons.request_id_ttl.get();
        Creates::new(remote, keys, scope, lifetime, lease(&verifik.upstream()))
    });
    Ok((answers, creates, counts))
}

/// How long a create may take: every attempt with its place in the queue and the longest wait after it.
fn lease(verifik: &config::Upstream) -> Duration {
    let limits = &verifik.limits;
    (limits.queue_timeout + verifik.timeout + retry::MAX_WAIT) * limits.max_attempts
}

fn verifik(settings: &config::Verifik) -> Result<Option<Route<Verifik>>, BuildError> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    if let Some(at) = token::expiry(token) {
        metrics::token_expires(Provider::Verifik, at);
    }
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
    let base_url = settings.base_url.clone();
    let upstream = Upstream::new(upstream::Settings {
        provider,
        base_url: settings.base_url,
        timeout: settings.timeout,
        connect_timeout: settings.connect_timeout,
        max_response_bytes: settings.max_response_bytes,
        limits: settings.limits,
        price: settings.price,
    })?;
    Ok(Route {
        adapter,
        upstream,
        base_url,
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
