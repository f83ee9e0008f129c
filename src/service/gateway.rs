//! What the handlers share: the policies, and a route to each configured provider.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{
    request_ids::RequestIds,
    routes::{Configured, RouteError, Routes},
    settings::{CurpCheck, CurpRules, Lookups, Persons},
};
use crate::{
    access::budget::Shared,
    domain::{curp::CurpRule, verification::Provider},
    policy::{Policies, Policy, PolicyError},
    proto::person::v1::Person,
    provider::{accuauth::Accuauth, settings::Providers, verifik::Verifik, youverify::Youverify},
    reload::Watch,
    setting::Span,
    sharing::{
        self, Answers, Handles, Keys, Left, Lifetimes, Once, Remote, Turns,
        keys::{self, KeyError},
        paid::Told,
        remote::NotAServer,
        settings::Paid,
        turns::Everywhere,
    },
    transport::Upstream,
};

#[cfg(test)]
mod tests;

/// Why a gateway cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The contract's policy table has a gap.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A provider cannot be reached as configured.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The cache cannot be used as configured.
    #[error(transparent)]
    Cache(#[from] NotAServer),
    /// There is no key for the cache.
    #[error("cache.key: {0}")]
    CacheKey(#[from] KeyError),
}

/// The settings of what the handlers share.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The providers.
    pub providers: &'a Providers,
    /// What is shared between calls and replicas.
    pub cache: &'a sharing::settings::Settings,
    /// What is paid for once.
    pub sharing: &'a Paid,
    /// Lookups.
    pub lookups: &'a Lookups,
    /// How much of a CURP is tested.
    pub curp: &'a CurpRules,
    /// Person records.
    pub persons: &'a Persons,
}

/// What the handlers share.
#[derive(Debug)]
pub struct Gateway {
    /// Verifik, if it is configured.
    pub verifik: Configured<Verifik>,
    /// YouVerify, if it is configured.
    pub youverify: Configured<Youverify>,
    /// AccuAuth, if it is configured.
    pub accuauth: Configured<Accuauth>,
    /// How much of a CURP is tested.
    pub curp_rule: CurpRule,
    /// The answers that are kept for `max_age`.
    pub(super) answers: Answers,
    /// The answers whose callers went without them.
    pub(super) left: Left,
    /// The lookups with a `request_id`, of this process and of all replicas.
    pub(super) request_ids: RequestIds<Told>,
    /// The creates, likewise.
    pub(super) creates: RequestIds<Person>,
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
        settings: Settings<'_>,
        policies: Policies,
        answer_memory: usize,
    ) -> Result<(Arc<Self>, Vec<Watch>), BuildError> {
        let providers = settings.providers;
        let Shares {
            answers,
            lookups,
            creates,
            turns,
            counts,
        } = shared(settings)?;
        let mut routes = Routes::new(providers, answer_memory);
        let gateway = Arc::new(Self {
            verifik: routes.to(&providers.verifik)?,
            youverify: routes.to(&providers.youverify)?,
            accuauth: routes.to(&providers.accuauth)?,
            curp_rule: match settings.curp.check {
                CurpCheck::Strict => CurpRule::Strict,
                CurpCheck::Shape => CurpRule::Shape,
            },
            left: Left::new(answers.clone(), settings.sharing.recover_ttl.get()),
            answers,
            request_ids: RequestIds::new(settings.lookups.bounds(), lookups),
            creates: RequestIds::new(settings.persons.bounds(), creates),
            handles: handles(settings)?,
            turns,
            writes: TaskTracker::new(),
            counts,
            policies,
        });
        let mut watches = routes.into_watches();
        watches.extend(gateway.answers.remote().and_then(Remote::watch));
        Ok((gateway, watches))
    }

    /// Waits until nothing runs any more that no call in flight waits for: creates, requests whose callers have
    /// gone, and what is written to Redis in the background.
    pub async fn finished(&self) {
        self.creates.finished().await;
        self.request_ids.finished().await;
        self.left.finished().await;
        self.writes.close();
        self.writes.wait().await;
        if let Some(remote) = self.answers.remote() {
            remote.finished().await;
        }
    }

    /// The way to each configured provider.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        Provider::ALL
            .into_iter()
            .filter_map(|provider| match provider {
                Provider::Verifik => self.verifik.as_ref().map(|route| &route.upstream),
                Provider::Youverify => self.youverify.as_ref().map(|route| &route.upstream),
                Provider::Accuauth => self.accuauth.as_ref().map(|route| &route.upstream),
            })
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

struct Shares {
    answers: Answers,
    lookups: Option<Once>,
    creates: Option<Once>,
    turns: Turns,
    counts: Option<Shared>,
}

/// What is shared between calls, and between replicas if there is a Redis.
fn shared(settings: Settings<'_>) -> Result<Shares, BuildError> {
    let cache = settings.cache;
    let keys = Arc::new(match &cache.key {
        Some(key) => Keys::derived(key.expose())?,
        None => Keys::random()?,
    });
    let remote = cache.url.is_some().then(|| Remote::new(cache));
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
    let once = |scope: [&str; 2], lifetime: Span| {
        let remote = remote.clone()?;
        Some(Once::new(remote, Arc::clone(&keys), scope, lifetime.get()))
    };
    Ok(Shares {
        lookups: once(["lookup", ""], settings.lookups.request_id_ttl),
        creates: once(["create", &scope], settings.persons.request_id_ttl),
        answers,
        turns,
        counts,
    })
}

/// Handles under `persons.handle_key`, or under what all replicas have anyway.
fn handles(settings: Settings<'_>) -> Result<Handles, BuildError> {
    let persons = settings.persons;
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
