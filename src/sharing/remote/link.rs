//! The connection itself: what keeps it, asks through it, gives it up and makes it anew.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    CONNECT_TIMEOUT, FIRST_PAUSE, LONGEST_PAUSE, NoAnswer, PATIENCE, PATIENT_BUDGET, cause,
    facts::Facts,
    parts::Problem,
    way::{Connection, Way},
};
use crate::{
    reload::Watch,
    sharing::settings::Settings,
    telemetry::{labels::CacheFailure, metrics},
};

/// How often a connection is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// At most one complaint about one cause in this time.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// What all clones of a [`Remote`](super::Remote) share.
pub(super) struct Inner {
    way: Way,
    /// Up; or down, and why.
    link: watch::Sender<Result<Link, CacheFailure>>,
    pub budget: Duration,
    late: AtomicU32,
    connections: AtomicU64,
    pub background: TaskTracker,
    /// The server that was connected last, by its `run_id`.
    server: Mutex<Option<String>>,
    complaints: Mutex<Vec<(CacheFailure, Instant)>>,
    lives: Mutex<Lives>,
}

/// How long connections were good for.
#[derive(Default)]
struct Lives {
    /// Since when there is the last one.
    began: Option<Instant>,
    /// How many in a row were lost at once.
    short: u32,
}

impl Lives {
    /// How long to wait before a connection that was lost is made anew: not at all, if it was good for a while; else the
    /// longer the more often in a row it was lost at once, such as where a name leads to a replica.
    fn lost(&mut self) -> Duration {
        let began = self.began.take();
        let was_short = began.is_some_and(|began| began.elapsed() < LONGEST_PAUSE);
        self.short = if was_short {
            self.short.saturating_add(1)
        } else {
            0
        };
        let doubled = self.short.checked_sub(1).map(|times| 1 << times.min(6));
        doubled.map_or(Duration::ZERO, |times| {
            FIRST_PAUSE.saturating_mul(times).min(LONGEST_PAUSE)
        })
    }
}

#[derive(Clone)]
pub(super) struct Link {
    connection: Connection,
    /// Which connection it is: a late failure of an old one says nothing about the new one.
    number: u64,
}

impl Inner {
    /// Begins to connect.
    pub fn new(settings: &Settings) -> Result<Arc<Self>, Problem> {
        let inner = Arc::new(Self {
            way: Way::new(settings)?,
            link: watch::Sender::new(Err(CacheFailure::Connecting)),
            budget: settings.timeout.get(),
            late: AtomicU32::new(0),
            connections: AtomicU64::new(0),
            background: TaskTracker::new(),
            server: Mutex::default(),
            complaints: Mutex::default(),
            lives: Mutex::default(),
        });
        metrics::cache_connected(u64::from(false));
        metrics::no_cache_failures();
        tokio::spawn(dial(Arc::downgrade(&inner), Duration::ZERO));
        Ok(inner)
    }

    pub fn is_up(&self) -> bool {
        self.link.borrow().is_ok()
    }

    /// Waits for a connection.
    pub async fn comes_up(&self) -> Result<(), NoAnswer> {
        let mut link = self.link.subscribe();
        let up = link.wait_for(Result::is_ok).await;
        up.map(|_| ()).map_err(|_| NoAnswer(CacheFailure::Closed))
    }

    /// Why whoever waited too long did so.
    pub fn why_late(&self) -> CacheFailure {
        self.link
            .borrow()
            .as_ref()
            .err()
            .copied()
            .unwrap_or(CacheFailure::Timeout)
    }

    /// Boxed: a future is as large as all that it may ever wait for, and every call may wait for Redis.
    pub fn run<'a, T: FromRedisValue + Send + 'a>(
        self: &'a Arc<Self>,
        budget: Duration,
        command: Cmd,
    ) -> BoxFuture<'a, Result<T, NoAnswer>> {
        Box::pin(self.ask(budget, command))
    }

    async fn ask<T: FromRedisValue + Send>(
        self: &Arc<Self>,
        budget: Duration,
        command: Cmd,
    ) -> Result<T, NoAnswer> {
        let link = self.link.borrow().clone();
        let mut link = link.map_err(NoAnswer)?;
        match timeout(budget, link.connection.query(&command)).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                let cause = cause::of(&error);
                self.failed(cause);
                if is_lost(&link.connection, &error, cause) {
                    self.lose(link.number, cause);
                }
                Err(NoAnswer(cause))
            }
            Err(_elapsed) => {
                self.failed(CacheFailure::Timeout);
                // One node of a cluster that is silent is not the cluster, and its connection has its own patience.
                let is_server = matches!(link.connection, Connection::Server(_));
                if is_server && self.late.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
                    self.lose(link.number, CacheFailure::Timeout);
                }
                Err(NoAnswer(CacheFailure::Timeout))
            }
        }
    }

    /// Counts a failure, and says it, but not again and again.
    fn failed(&self, cause: CacheFailure) {
        metrics::cache_failed(cause);
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        complaints.retain(|(_, said)| said.elapsed() < COMPLAINT_INTERVAL);
        if !complaints.iter().any(|(known, _)| *known == cause) {
            complaints.push((cause, Instant::now()));
            drop(complaints);
            let (cause, advice) = (cause.as_str(), cause::advice(cause));
            tracing::warn!(cause, advice, "shared cache operation failed");
        }
    }

    /// Up to Down, once for each connection.
    fn lose(self: &Arc<Self>, number: u64, cause: CacheFailure) {
        let lost = self.link.send_if_modified(|link| {
            let same = link.as_ref().is_ok_and(|link| link.number == number);
            if same {
                *link = Err(cause);
            }
            same
        });
        if lost {
            metrics::cache_connected(u64::from(false));
            let cause = cause.as_str();
            tracing::warn!(
                cause,
                "shared cache unavailable: lookups go to the providers"
            );
            let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
            let pause = lives.lost();
            drop(lives);
            tokio::spawn(dial(Arc::downgrade(self), pause));
        }
    }

    async fn connect(&self) -> Result<Link, CacheFailure> {
        let mut connection = self.way.connect().await?;
        if let Connection::Server(_) = &connection {
            let ping = redis::cmd("PING");
            match timeout(CONNECT_TIMEOUT, connection.query::<String>(&ping)).await {
                Ok(Ok(_pong)) => {}
                Ok(Err(error)) => return Err(cause::of(&error)),
                Err(_elapsed) => return Err(CacheFailure::Timeout),
            }
        }
        self.look_at(&mut connection).await;
        Ok(Link {
            connection,
            number: self.connections.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Says what the server may lose, and whether it is another one than before.
    async fn look_at(&self, connection: &mut Connection) {
        let facts = timeout(CONNECT_TIMEOUT, Facts::of(connection)).await;
        let Ok(Ok(facts)) = facts else {
            return;
        };
        let is_cluster = matches!(connection, Connection::Cluster(_));
        if let Some(now) = facts.run_id.filter(|_| !is_cluster) {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            let before = server.replace(now);
            let is_another = before.is_some() && before != *server;
            drop(server);
            if is_another {
                metrics::cache_primary_changed();
                tracing::warn!(
                    "shared cache is another server, or was restarted: request ids and answers of the last moments may \
                     be lost"
                );
            } else if before.is_some() {
                return;
            }
        }
        if facts.evicts {
            tracing::warn!(
                advice = "set maxmemory-policy to noeviction",
                "shared cache may evict request ids, whose repeats would then be charged again"
            );
        }
        if facts.forgets {
            tracing::info!(
                advice = "set appendonly yes",
                "shared cache is not persisted: a restart of Redis forgets request ids"
            );
        }
    }

    fn up(self: &Arc<Self>, link: Link) {
        self.late.store(0, Ordering::Relaxed);
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.began = Some(Instant::now());
        drop(lives);
        tokio::spawn(keep_looking(Arc::downgrade(self), link.number));
        let _old_or_why_none = self.link.send_replace(Ok(link));
        metrics::cache_connected(u64::from(true));
    }

    /// What reads the files again; none if there are none. A connection with what they say takes the place of the
    /// one there is once it is made; what is in flight ends on the old one.
    pub fn watch(self: &Arc<Self>) -> Option<Watch> {
        let files = self.way.files();
        if files.is_empty() {
            return None;
        }
        let (inner, runtime) = (Arc::downgrade(self), Handle::try_current().ok()?);
        Some(Watch::new("cache", files, move |_| {
            let Some(inner) = inner.upgrade() else {
                return Ok(());
            };
            let read = inner.way.read_again();
            if read.map_err(|(key, problem)| format!("{key} {problem}"))? {
                runtime.spawn(renew(Arc::downgrade(&inner)));
            }
            Ok(())
        }))
    }
}

/// Notices that a connection is gone though nobody asks anything: what is said of it must be true, and the next call
/// should not be the one that finds out.
async fn keep_looking(inner: Weak<Inner>, number: u64) {
    loop {
        sleep(LOOK_INTERVAL).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let is_same = matches!(&*inner.link.borrow(), Ok(link) if link.number == number);
        if !is_same {
            return;
        }
        // Whatever it says is counted, and loses the connection, as for any other command. Of a cluster it asks every
        // node: a connection that a node has closed is found, and made anew at the next look.
        let ping = inner.run::<redis::Value>(PATIENT_BUDGET, redis::cmd("PING"));
        let _answer = ping.await;
    }
}

/// Whether the connection is of no use any more after this error.
fn is_lost(connection: &Connection, error: &RedisError, cause: CacheFailure) -> bool {
    match (connection, cause) {
        // Another credential may be in the files by now.
        (_, CacheFailure::NoAuth | CacheFailure::WrongPass) => true,
        // A primary that became a replica refuses writes for ever: its name may lead elsewhere.
        (Connection::Server(_), CacheFailure::Readonly) => true,
        (Connection::Server(_), _) => error.is_unrecoverable_error(),
        // One node that is gone is not the cluster; of its nodes' errors ours have no source.
        (Connection::Cluster(_), _) => match error.kind() {
            ErrorKind::ClusterConnectionNotFound => true,
            ErrorKind::Io => std::error::Error::source(error).is_some(),
            _ => false,
        },
    }
}

/// Down to Up. Ends with the last owner, too.
async fn dial(inner: Weak<Inner>, first: Duration) {
    sleep(first).await;
    let mut pause = first.max(FIRST_PAUSE);
    let mut said = None;
    loop {
        let Some(owned) = inner.upgrade().filter(|inner| !inner.is_up()) else {
            return;
        };
        let reader = Arc::clone(&owned);
        // What cannot be used changes nothing; whoever watches the files says so.
        let _read = tokio::task::spawn_blocking(move || reader.way.read_again().is_ok()).await;
        match owned.connect().await {
            Ok(link) => {
                owned.up(link);
                tracing::info!("shared cache available");
                return;
            }
            Err(cause) => {
                metrics::cache_failed(cause);
                owned.link.send_if_modified(|link| match link {
                    Ok(_) => false,
                    Err(known) => std::mem::replace(known, cause) != cause,
                });
                // Once for each cause while it is down; a password that is wrong must not stay unseen.
                if said.replace(cause) != Some(cause) {
                    let (cause, advice) = (cause.as_str(), cause::advice(cause));
                    tracing::warn!(cause, advice, "shared cache unreachable");
                }
            }
        }
        drop(owned);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Up to Up, with another credential or certificate.
async fn renew(inner: Weak<Inner>) {
    let mut pause = FIRST_PAUSE;
    loop {
        // While it is down it is dialled anyway.
        let Some(inner) = inner.upgrade().filter(|inner| inner.is_up()) else {
            return;
        };
        match inner.connect().await {
            Ok(link) => return inner.up(link),
            Err(cause) if pause == FIRST_PAUSE => {
                metrics::cache_failed(cause);
                let (cause, advice) = (cause.as_str(), cause::advice(cause));
                tracing::warn!(
                    cause,
                    advice,
                    "shared cache unreachable with the new credential: the old connection is kept"
                );
            }
            Err(_) => {}
        }
        drop(inner);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_lost_at_once_is_made_anew_more_and_more_slowly() {
        let mut lives = Lives::default();
        let mut lost_after = |lived: Duration| {
            lives.began = Instant::now().checked_sub(lived);
            lives.lost()
        };
        assert_eq!(lost_after(LONGEST_PAUSE), Duration::ZERO);
        let pauses: Vec<_> = (0..8).map(|_| lost_after(Duration::ZERO)).collect();
        assert_eq!(pauses[..3], [1, 2, 4].map(|times| FIRST_PAUSE * times));
        assert_eq!(pauses[7], LONGEST_PAUSE);
        assert_eq!(lost_after(LONGEST_PAUSE), Duration::ZERO);
        assert_eq!(lost_after(Duration::ZERO), FIRST_PAUSE);
    }
}
