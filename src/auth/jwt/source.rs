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

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    key_set::{Key, KeySet},
    place::Place,
    settings::{Issuer as Settings, Section},
};
use crate::{
    auth::{StartError, Unidentified},
    domain::cause::Cause,
    reload::Watch,
    sha256::Sha256,
    telemetry::{metrics, reloads},
};

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
    pub(super) fn start(
        section: &Section,
        settings: &Settings,
        watches: &mut Vec<Watch>,
    ) -> Result<Self, StartError> {
        let timeout = settings.jwks_timeout.get();
        let place = Place::of(section, settings, watches)?;
        let (interval, cooldown) = match place.is_file() {
            false => (settings.jwks_refresh.get(), settings.jwks_cooldown.get()),
            true => (FILE_INTERVAL, FILE_COOLDOWN),
        };
        metrics::no_reload(place.key());
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
            _ => Err(Unidentified::keys_unavailable(self.cooldown)),
        }
    }

    /// A key that is not in the set is nobody's; without the set there is no saying.
    fn unknown(&self, state: &State) -> Unidentified {
        match state.failing {
            Some(_) => Unidentified::keys_unavailable(self.cooldown.max(Duration::from_secs(1))),
            None => Cause::UnknownKey.into(),
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
        let fetched = place.fetch().await;
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
                tell(place.key(), in_force, outcome.map(|_| ()));
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
                "key set unavailable for longer than jwks_max_stale: the previous key set has expired"
            );
            reloads::nothing_in_use(place.key());
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

/// Says what became of a new key set, as of any file that is read again, where there is one before it or not.
fn tell(key: &'static str, previous: Option<[u8; 32]>, taken: Result<(), String>) {
    match taken {
        Ok(()) => {
            reloads::taken(key);
            tracing::info!(key, "reloaded: the new version is in use");
        }
        Err(why) => {
            reloads::rejected(key, &why);
            match previous {
                Some(_) => {
                    tracing::warn!(key, why, "reload rejected, keeping the previous version")
                }
                None => {
                    reloads::nothing_in_use(key);
                    tracing::warn!(
                        key,
                        why,
                        "key set unavailable: no token of this issuer can be verified"
                    );
                }
            }
        }
    }
}
