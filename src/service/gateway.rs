//! What the handlers share: the policies, and a route to each configured provider.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use url::Url;
use zeroize::Zeroizing;

use super::{request_ids::RequestIds, verify::Verify};
use crate::{
    access::budget::Shared,
    config::{self, Settings},
    domain::{
        curp::CurpRule,
        failure::{Failure, Kind},
        redaction::Secret,
        verification::{Environment, Provider},
    },
    policy::{Policies, Policy, PolicyError},
    provider::{
        Company, Supplies,
        accuauth::{self, Accuauth},
        verifik::Verifik,
        youverify::{self, Youverify},
    },
    reload::{self, Watch},
    sharing::{
        Answers, Creates, Handles, Keys, Lifetimes, Remote, Turns,
        keys::{self, KeyError},
        remote::NotAServer,
        turns::Everywhere,
    },
    telemetry::{metrics, token},
    transport::{
        Credentials, Upstream,
        client::AddressError,
        tls::{ClientTls, OwnCas, TlsError},
        upstream,
    },
};

#[cfg(test)]
mod tests;

/// An adapter with the way to its provider.
#[derive(Debug)]
pub struct Route<A: ?Sized> {
    /// The way there.
    pub upstream: Upstream,
    /// Where it leads.
    pub base_url: Url,
    /// Whether the registry behind it is about real people.
    pub environment: Environment,
    /// What to send and how to read the answer.
    pub adapter: A,
}

/// A route to whoever can answer an RPC.
pub type AnyRoute<V> = Route<dyn Supplies<<V as Verify>::Lookup, Record = <V as Verify>::Record>>;

impl<A: ?Sized> Route<A> {
    /// Whom it leads to.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.upstream.provider()
    }
}

/// One who can answer an RPC, if it is configured.
#[derive(Debug)]
pub struct Supplier<V: Verify> {
    /// Who.
    pub provider: Provider,
    /// The way there; none without a credential.
    pub route: Option<Arc<AnyRoute<V>>>,
}

impl<V: Verify> Supplier<V> {
    /// The supplier by its own route.
    pub fn new<A>(provider: Provider, route: Option<&Arc<Route<A>>>) -> Self
    where
        A: Supplies<V::Lookup, Record = V::Record> + 'static,
    {
        let route = route.map(|route| -> Arc<AnyRoute<V>> { Arc::<Route<A>>::clone(route) });
        Self { provider, route }
    }
}

/// Why a gateway cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The contract's policy table has a gap.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] AddressError),
    /// A provider cannot be reached over TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    pub verifik: Option<Arc<Route<Verifik>>>,
    /// YouVerify, if it is configured.
    pub youverify: Option<Arc<Route<Youverify>>>,
    /// AccuAuth, if it is configured.
    pub accuauth: Option<Arc<Route<Accuauth>>>,
    /// How much of a CURP is tested.
    pub curp_rule: CurpRule,
    /// The answers that are kept for `max_age`.
    pub(super) answers: Answers,
    /// The creates of this process, and of all replicas.
    pub(super) request_ids: RequestIds,
    /// What callers get instead of ids, and page tokens.
    pub(super) handles: Handles,
    /// Who may change a person record now.
    pub(super) turns: Turns,
    /// Writes of persons, which are finished whether their callers wait or not.
    pub(super) writes: TaskTracker,
    counts: Option<Shared>,
    policies: Policies,
}

impl Gateway {
    /// Makes the routes to the configured providers; none of them is dialled yet. Redis is, if it is
    /// configured, in a task of the current runtime. With the gateway comes what reads its files again.
    /// The providers' answers that are being read may have so many bytes in all.
    ///
    /// # Errors
    ///
    /// If the policy table has a gap, or a credential, a key, a CA or the HTTP client is unusable.
    pub fn new(
        settings: &Settings,
        policies: Policies,
        answer_memory: usize,
    ) -> Result<(Arc<Self>, Vec<Watch>), BuildError> {
        let providers = &settings.providers;
        let (answers, creates, turns, counts) = shared(settings)?;
        let mut ways = Ways::new(providers, answer_memory);
        let mut watches = Vec::new();
        let gateway = Arc::new(Self {
            verifik: verifik(&providers.verifik, &mut ways, &mut watches)?,
            youverify: youverify(&providers.youverify, &mut ways, &mut watches)?,
            accuauth: accuauth(&providers.accuauth, &mut ways, &mut watches)?,
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
            handles: handles(settings)?,
            turns,
            writes: TaskTracker::new(),
            counts,
            policies,
        });
        watches.extend(ways.tls.into_watches());
        Ok((gateway, watches))
    }

    /// Waits until nothing runs any more that no call in flight waits for: creates, and what is written to
    /// Redis in the background.
    pub async fn finished(&self) {
        self.request_ids.finished().await;
        self.writes.close();
        self.writes.wait().await;
        if let Some(remote) = self.answers.remote() {
            remote.finished().await;
        }
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

/// What the ways to the providers have in common.
struct Ways {
    tls: ClientTls,
    /// Of each.
    answer_memory: usize,
}

impl Ways {
    /// Each provider has its own part of the memory: what one of them sends does not keep the others' answers.
    fn new(providers: &config::Providers, answer_memory: usize) -> Self {
        let states = providers.states();
        let configured = states
            .iter()
            .filter(|(_, state)| *state != config::ProviderState::NotConfigured);
        Self {
            tls: ClientTls::default(),
            answer_memory: answer_memory / configured.count().max(1),
        }
    }
}

/// What is shared between calls, and between replicas if there is a Redis.
fn shared(
    settings: &Settings,
) -> Result<(Answers, Option<Creates>, Turns, Option<Shared>), BuildError> {
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
    let scope = format!("{}{}", verifik.base_url, verifik.persons_path);
    let turns = Turns::new(remote.clone().map(|remote| Everywhere {
        remote,
        keys: Arc::clone(&keys),
        scope: scope.as_str().into(),
        // It is read, and then written.
        lease: 2 * verifik.upstream().longest_call(),
    }));
    let creates = remote.map(|remote| {
        let lifetime = settings.persons.request_id_ttl.get();
        let lease = verifik.upstream().longest_call();
        Creates::new(remote, keys, scope, lifetime, lease)
    });
    Ok((answers, creates, turns, counts))
}

/// Handles under `persons.handle_key`, or under what all replicas have anyway.
fn handles(settings: &Settings) -> Result<Handles, BuildError> {
    let persons = &settings.persons;
    let token = settings.providers.verifik.token.as_ref();
    let newest = match (&persons.handle_key, &settings.cache.key, token) {
        (Some(key), ..) | (None, Some(key), _) => keys::master(key.expose())?,
        // A token may be shorter than a key should be.
        (None, None, Some(token)) => keys::master(token.expose())
            .unwrap_or_else(|_| token.expose().as_bytes().to_vec().into()),
        // Without a token there are no records.
        (None, None, None) => Zeroizing::new(Vec::new()),
    };
    let older = persons.old_handle_keys.iter();
    let older = older.flat_map(|keys| keys.expose().split_whitespace());
    let older = older.map(keys::master).collect::<Result<Vec<_>, _>>()?;
    Ok(Handles::new(
        &newest,
        older.iter().map(|key| key.as_slice()),
    ))
}

fn verifik(
    settings: &config::Verifik,
    ways: &mut Ways,
    watches: &mut Vec<Watch>,
) -> Result<Option<Arc<Route<Verifik>>>, BuildError> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    let headers = |token: &Secret| {
        let headers = Verifik::headers(token);
        headers.map_err(|_| BuildError::Credential(Provider::Verifik))
    };
    let credentials = Credentials::new(headers(token)?);
    metrics::token_expires(Provider::Verifik, token::expiry(token));
    if let Some(file) = &settings.token_file {
        let credentials = credentials.clone();
        let key = "providers.verifik.token_file";
        watches.push(Watch::new(key, vec![file.clone()], move |files| {
            let token = config::credential(only(files)?)?;
            credentials.replace(headers(&token).map_err(|error| error.to_string())?);
            metrics::token_expires(Provider::Verifik, token::expiry(&token));
            Ok(())
        }));
    }
    let adapter = Verifik::new(settings.persons_path.clone());
    route(adapter, credentials, settings.upstream(), ways).map(Some)
}

fn youverify(
    settings: &config::Youverify,
    ways: &mut Ways,
    watches: &mut Vec<Watch>,
) -> Result<Option<Arc<Route<Youverify>>>, BuildError> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    let headers = |token: &Secret| {
        let headers = Youverify::headers(token);
        headers.map_err(|_| BuildError::Credential(Provider::Youverify))
    };
    let credentials = Credentials::new(headers(token)?);
    if let Some(file) = &settings.token_file {
        let credentials = credentials.clone();
        let key = "providers.youverify.token_file";
        watches.push(Watch::new(key, vec![file.clone()], move |files| {
            let token = config::credential(only(files)?)?;
            credentials.replace(headers(&token).map_err(|error| error.to_string())?);
            Ok(())
        }));
    }
    let words = settings.id_types.clone();
    let id_types = youverify::IdTypes {
        national_id: words.national_id,
        passport: words.passport,
        service_id: words.service_id,
        alien_id: words.alien_id,
    };
    let adapter = Youverify::new(id_types);
    route(adapter, credentials, settings.upstream(), ways).map(Some)
}

fn accuauth(
    settings: &config::Accuauth,
    ways: &mut Ways,
    watches: &mut Vec<Watch>,
) -> Result<Option<Arc<Route<Accuauth>>>, BuildError> {
    let (Some(id), Some(secret)) = (&settings.api_id, &settings.api_secret) else {
        return Ok(None);
    };
    let headers = |id: &Secret, secret: &Secret| {
        let headers = Accuauth::headers(id, secret);
        headers.map_err(|_| BuildError::Credential(Provider::Accuauth))
    };
    let credentials = Credentials::new(headers(id, secret)?);
    let (id_file, secret_file) = (&settings.api_id_file, &settings.api_secret_file);
    let files: Vec<_> = id_file.iter().chain(secret_file).cloned().collect();
    if !files.is_empty() {
        let credentials = credentials.clone();
        // What is not in a file stays what it was at the start.
        let (id, secret) = (id.clone(), secret.clone());
        let (id_from_file, secret_from_file) = (id_file.is_some(), secret_file.is_some());
        let key = "providers.accuauth.api_secret_file";
        watches.push(Watch::new(key, files, move |files| {
            let mut files = files.iter().map(|file| config::credential(file));
            let mut next = |from_file: bool, kept: &Secret| match from_file {
                true => files.next().ok_or("is missing")?,
                false => Ok(kept.clone()),
            };
            let id = next(id_from_file, &id)?;
            let secret = next(secret_from_file, &secret)?;
            credentials.replace(headers(&id, &secret).map_err(|error| error.to_string())?);
            Ok(())
        }));
    }
    let encoding = match settings.body_encoding {
        config::BodyEncoding::Json => accuauth::BodyEncoding::Json,
        config::BodyEncoding::Form => accuauth::BodyEncoding::Form,
    };
    let adapter = Accuauth::new(encoding);
    route(adapter, credentials, settings.upstream(), ways).map(Some)
}

/// The one file of a watch.
fn only(files: &[reload::Content]) -> Result<&reload::Content, String> {
    files.first().ok_or_else(|| "is missing".to_owned())
}

fn route<A: Company>(
    adapter: A,
    credentials: Credentials,
    settings: config::Upstream,
    ways: &mut Ways,
) -> Result<Arc<Route<A>>, BuildError> {
    let provider = A::PROVIDER;
    let base_url = settings.base_url.clone();
    let over_tls = base_url.scheme() == "https"
        || settings
            .proxy
            .as_ref()
            .is_some_and(|proxy| proxy.expose().starts_with("https:"));
    let config = match &settings.ca_file {
        _ if !over_tls => ClientTls::none(),
        None => ways.tls.system()?,
        Some(file) => ways.tls.own(OwnCas {
            key: match provider {
                Provider::Verifik => "providers.verifik.ca_file",
                Provider::Youverify => "providers.youverify.ca_file",
                Provider::Accuauth => "providers.accuauth.ca_file",
            },
            file,
        })?,
    };
    let settings_of_way = upstream::Settings {
        provider,
        base_url: settings.base_url,
        proxy: settings.proxy,
        timeout: settings.timeout,
        connect_timeout: settings.connect_timeout,
        keep_alive: settings.keep_alive,
        trace: settings.trace,
        max_response_bytes: settings.max_response_bytes,
        answer_memory: ways.answer_memory,
        limits: settings.limits,
        price: settings.price,
    };
    let upstream = Upstream::new(settings_of_way, credentials, config)?;
    Ok(Arc::new(Route {
        upstream,
        base_url,
        environment: settings.environment,
        adapter,
    }))
}

/// The route, or the failure that says that there is none.
///
/// # Errors
///
/// [`Kind::NotConfigured`].
pub fn configured<A: Company>(route: Option<&Arc<Route<A>>>) -> Result<&Route<A>, Failure> {
    let route = route.map(|route| &**route);
    route.ok_or_else(|| Failure::before_sending(Kind::NotConfigured, A::PROVIDER))
}
