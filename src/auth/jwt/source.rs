//! Where the key set comes from, and when it is fetched again.
//!
//! ```text
//!   every jwks_refresh (a file: every second) ─┐
//!   a token with an unknown key id ────────────┴─▶ one task fetches ─▶ keys in force
//!                                                        └ fails ─▶ the old ones stay in force
//! ```
//!
//! A token with a key id that is not known waits for one fetch, unless one has ended less than
//! `jwks_cooldown` ago: then its answer stands. So a flood of made-up key ids causes one fetch in that
//! time, and a rotated key is known with the first token under it. While fetches fail, tokens under known
//! keys are good for `jwks_max_stale`, and others cannot be judged; afterwards none can: who keeps the key set from
//! the gateway must not keep a withdrawn key good.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    key_set::{Key, KeySet},
    settings::Jwt as Settings,
};
use crate::{
    auth::{self, StartError, Unidentified},
    sha256::Sha256,
    telemetry::{labels::Reload, metrics},
    transport::client::Document,
};

/// Largest key set, in bytes.
const LARGEST: usize = 512 * 1024;
/// A file is looked at so often, and for tokens with unknown key ids so often.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
const FILE_COOLDOWN: Duration = Duration::from_millis(100);
/// How soon a fetch that failed is repeated.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// A key, and the key set it is from.
pub(super) struct Look {
    pub key: Arc<Key>,
    pub generation: u64,
}

/// What is known of the key set.
#[derive(Debug, Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Counts the different key sets.
    generation: u64,
    /// When the last fetch ended; none before the first.
    fetched: Option<Instant>,
    /// Since when fetches fail.
    failing: Option<Instant>,
}

#[derive(Debug, Clone)]
enum Place {
    Url(Document, Duration),
    File(Arc<PathBuf>),
}

impl Place {
    /// The configuration key that names it.
    const fn key(&self) -> &'static str {
        match self {
            Self::Url(..) => "auth.jwt.jwks_url",
            Self::File(_) => "auth.jwt.jwks_file",
        }
    }
}

/// The key set in force. The task that fetches it ends with this.
#[derive(Debug)]
pub(super) struct Source {
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    cooldown: Duration,
    patience: Duration,
    max_stale: Duration,
}

impl Source {
    pub(super) fn start(settings: &Settings) -> Result<Self, StartError> {
        let timeout = settings.jwks_timeout.get();
        let place = match (&settings.jwks_url, &settings.jwks_file) {
            (Some(url), None) => {
                let document = Document::at(url.get(), timeout)
                    .map_err(|why| StartError::Setting("auth.jwt.jwks_url", why.to_string()))?;
                Place::Url(document, timeout)
            }
            (None, Some(path)) => Place::File(Arc::new(path.clone())),
            _ => {
                let problem = "exactly one of jwks_url and jwks_file is required".to_owned();
                return Err(StartError::Setting("auth.jwt.jwks_url", problem));
            }
        };
        let (interval, cooldown) = match &place {
            Place::Url(..) => (settings.jwks_refresh.get(), settings.jwks_cooldown.get()),
            Place::File(_) => (FILE_INTERVAL, FILE_COOLDOWN),
        };
        let (sender, state) = watch::channel(State::default());
        let wanted = Arc::new(Notify::new());
        let max_stale = settings.jwks_max_stale.get();
        let pace = Pace {
            interval,
            cooldown,
            max_stale,
        };
        tokio::spawn(fetch_for_ever(place, pace, sender, Arc::clone(&wanted)));
        Ok(Self {
            state,
            wanted,
            cooldown,
            patience: timeout + Duration::from_secs(1),
            max_stale,
        })
    }

    /// Which key set is in force; none if it can no longer be relied upon.
    pub(super) fn generation(&self) -> Option<u64> {
        let state = self.state.borrow();
        (!state.is_stale(self.max_stale)).then_some(state.generation)
    }

    /// The key of a token.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Look, Unidentified> {
        let mut state = self.state.clone();
        let now = state.borrow_and_update().clone();
        if let Some(look) = now.find(kid, algorithm, self.max_stale) {
            return Ok(look);
        }
        let is_recent = |at: Instant| at.elapsed() < self.cooldown;
        if now.fetched.is_some_and(is_recent) {
            return Err(self.unknown(&now));
        }
        self.wanted.notify_one();
        let changed = timeout(self.patience, state.changed()).await;
        let now = state.borrow_and_update().clone();
        match changed {
            Ok(Ok(())) => now
                .find(kid, algorithm, self.max_stale)
                .ok_or_else(|| self.unknown(&now)),
            _ => Err(Unidentified::KeysUnavailable(self.cooldown)),
        }
    }

    /// A key that is not in the set is nobody's; without the set there is no saying.
    fn unknown(&self, state: &State) -> Unidentified {
        match state.failing {
            Some(_) => Unidentified::KeysUnavailable(self.cooldown.max(Duration::from_secs(1))),
            None => Unidentified::Refused,
        }
    }
}

impl State {
    fn is_stale(&self, most: Duration) -> bool {
        self.failing.is_some_and(|since| since.elapsed() >= most)
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm, max_stale: Duration) -> Option<Look> {
        if self.is_stale(max_stale) {
            return None;
        }
        let key = self.keys.as_ref()?.find(kid, algorithm)?;
        Some(Look {
            key,
            generation: self.generation,
        })
    }
}

/// How often it is fetched.
#[derive(Debug, Clone, Copy)]
struct Pace {
    interval: Duration,
    /// After this only if a token asks for it.
    cooldown: Duration,
    /// After this it is said that the old keys are not in force any more.
    max_stale: Duration,
}

async fn fetch_for_ever(
    place: Place,
    Pace {
        interval,
        cooldown,
        max_stale,
    }: Pace,
    state: watch::Sender<State>,
    wanted: Arc<Notify>,
) {
    // The digest of the keys in force, and what was said last about the source.
    let (mut in_force, mut said) = (None, None);
    let (mut failing, mut said_stale) = (None, false);
    loop {
        let fetched = fetch(&place).await;
        let digest = fetched.as_ref().ok().map(Sha256::digest);
        let news = match (fetched, in_force == digest) {
            (Ok(_), true) => Ok(None),
            (Ok(text), false) => KeySet::parse(&text).map(Some),
            (Err(problem), _) => Err(problem),
        };
        let outcome = news.as_ref().map(|_| digest).map_err(Clone::clone);
        let failed = outcome.is_err();
        if said.as_ref() != Some(&outcome) {
            // The first good one is no news.
            let first = said.is_none() && !failed;
            said = Some(outcome.clone());
            if !first {
                tell(&place, outcome.map(|_| ()));
            }
        }
        let keys = news.ok().flatten().map(Arc::new);
        if let Some(keys) = &keys {
            in_force = digest;
            if keys.is_empty() {
                tracing::warn!(
                    key = place.key(),
                    "key set has no public key for signatures: every token is rejected"
                );
            }
        }
        let now = Instant::now();
        failing = failed.then(|| failing.unwrap_or(now));
        let is_stale = failing.is_some_and(|since| now >= since + max_stale);
        if is_stale && !said_stale {
            tracing::error!(
                key = place.key(),
                "key set unavailable for longer than auth.jwt.jwks_max_stale: the previous key set has expired"
            );
        }
        said_stale = is_stale;
        state.send_modify(|state| {
            if keys.is_some() {
                state.keys = keys;
                state.generation += 1;
            }
            state.fetched = Some(now);
            state.failing = failing;
        });
        let pause = if failed {
            interval.min(AFTER_FAILURE)
        } else {
            interval
        };
        let (again, cool) = (Instant::now() + pause, Instant::now() + cooldown);
        loop {
            tokio::select! {
                () = sleep_until(again) => break,
                // What was wanted while it was fetched has been answered by that.
                () = wanted.notified() => if Instant::now() >= cool { break },
                () = state.closed() => return,
            }
        }
    }
}

/// Says what became of a new key set, as of any file that is read again.
fn tell(place: &Place, taken: Result<(), String>) {
    let key = place.key();
    match taken {
        Ok(()) => {
            metrics::reloaded(key, Reload::Taken);
            tracing::info!(key, "reloaded: the new version is in use");
        }
        Err(why) => {
            metrics::reloaded(key, Reload::Kept);
            tracing::warn!(key, why, "reload rejected, keeping the previous version");
        }
    }
}

async fn fetch(place: &Place) -> Result<String, String> {
    match place {
        Place::File(path) => {
            let path = Arc::clone(path);
            let read = tokio::task::spawn_blocking(move || auth::text(&path)).await;
            read.unwrap_or_else(|_| Err("cannot be read".to_owned()))
        }
        Place::Url(document, limit) => match timeout(*limit, document.fetch(LARGEST)).await {
            Ok(fetched) => String::from_utf8(fetched.map_err(|why| why.to_string())?)
                .map_err(|_| "is not UTF-8".to_owned()),
            Err(_) => Err("did not answer in time".to_owned()),
        },
    }
}
