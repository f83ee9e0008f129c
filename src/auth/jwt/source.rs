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
//! keys are good, and others cannot be judged.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use url::Url;

use super::key_set::{Key, KeySet};
use crate::{
    auth::{self, StartError, Unidentified},
    config,
    sha256::Sha256,
    telemetry::{labels::Reload, metrics},
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
    failed: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Url(reqwest::Client, Url, Duration),
    File(Arc<PathBuf>),
}

/// The key set in force. The task that fetches it ends with this.
#[derive(Debug)]
pub(super) struct Source {
    state: watch::Receiver<State>,
    wanted: Arc<Notify>,
    cooldown: Duration,
    patience: Duration,
}

impl Source {
    pub(super) fn start(settings: &config::Jwt) -> Result<Self, StartError> {
        let timeout = settings.jwks_timeout.get();
        let place = match (&settings.jwks_url, &settings.jwks_file) {
            (Some(url), None) => {
                let client = reqwest::Client::builder()
                    .connect_timeout(timeout)
                    .redirect(reqwest::redirect::Policy::none())
                    .user_agent(concat!("identity-gateway/", env!("CARGO_PKG_VERSION")))
                    .no_proxy()
                    .build()?;
                Place::Url(client, url.get().clone(), timeout)
            }
            (None, Some(path)) => Place::File(Arc::new(path.clone())),
            _ => {
                let problem = "say one of jwks_url and jwks_file".to_owned();
                return Err(StartError::Setting("auth.jwt.jwks_url", problem));
            }
        };
        let (interval, cooldown) = match &place {
            Place::Url(..) => (settings.jwks_refresh.get(), settings.jwks_cooldown.get()),
            Place::File(_) => (FILE_INTERVAL, FILE_COOLDOWN),
        };
        let (sender, state) = watch::channel(State::default());
        let wanted = Arc::new(Notify::new());
        let pace = Pace { interval, cooldown };
        tokio::spawn(fetch_for_ever(place, pace, sender, Arc::clone(&wanted)));
        Ok(Self {
            state,
            wanted,
            cooldown,
            patience: timeout + Duration::from_secs(1),
        })
    }

    pub(super) fn generation(&self) -> u64 {
        self.state.borrow().generation
    }

    /// The key of a token.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Look, Unidentified> {
        let mut state = self.state.clone();
        let now = state.borrow_and_update().clone();
        if let Some(look) = now.find(kid, algorithm) {
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
            Ok(Ok(())) => now.find(kid, algorithm).ok_or_else(|| self.unknown(&now)),
            _ => Err(Unidentified::KeysUnavailable(self.cooldown)),
        }
    }

    /// A key that is not in the set is nobody's; without the set there is no saying.
    fn unknown(&self, state: &State) -> Unidentified {
        match state.failed {
            true => Unidentified::KeysUnavailable(self.cooldown.max(Duration::from_secs(1))),
            false => Unidentified::Refused,
        }
    }
}

impl State {
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Look> {
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
}

async fn fetch_for_ever(
    place: Place,
    Pace { interval, cooldown }: Pace,
    state: watch::Sender<State>,
    wanted: Arc<Notify>,
) {
    // The digest of the keys in force, and what was said last about the source.
    let (mut in_force, mut said) = (None, None);
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
        if keys.is_some() {
            in_force = digest;
        }
        state.send_modify(|state| {
            if keys.is_some() {
                state.keys = keys;
                state.generation += 1;
            }
            state.fetched = Some(Instant::now());
            state.failed = failed;
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
    let key = match place {
        Place::Url(..) => "auth.jwt.jwks_url",
        Place::File(_) => "auth.jwt.jwks_file",
    };
    match taken {
        Ok(()) => {
            metrics::reloaded(key, Reload::Taken);
            tracing::info!(key, "read again: the new is in force");
        }
        Err(why) => {
            metrics::reloaded(key, Reload::Kept);
            tracing::warn!(key, why, "read again: the old stays in force");
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
        Place::Url(client, url, limit) => timeout(*limit, download(client, url))
            .await
            .unwrap_or_else(|_| Err("did not answer in time".to_owned())),
    }
}

async fn download(client: &reqwest::Client, url: &Url) -> Result<String, String> {
    // What reqwest says in full may repeat the URL.
    let broken = |error: reqwest::Error| match error.is_connect() {
        true => "cannot be reached".to_owned(),
        false => "broke off".to_owned(),
    };
    let mut answer = client.get(url.clone()).send().await.map_err(broken)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("answered with HTTP {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(format!("is larger than {LARGEST} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| "is not UTF-8".to_owned())
}
