//! The connection to Redis (or Valkey), which may be slow, silent or gone.
//!
//! ```text
//!               connected, and a PING answered
//!     Down ──────────────────────────────────────▶ Up
//!      ▲                                           │
//!      └───────────────────────────────────────────┘
//!      broken, or 3 operations in a row not answered in time
//! ```
//!
//! While it is Down a lookup is a miss at once, and a task of its own dials with growing pauses until
//! a PING is answered: no caller ever waits for a connection. While it is Up an operation has its
//! budget and no more. One slow answer is no reason to leave a cache that saves money; three are.
//!
//! Creates with a `request_id` are the exception ([`Store`]): they wait a little, because the answer
//! decides whether something is paid for twice.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::store::Store;
use crate::domain::redaction::Secret;

/// Operations in a row that may be late before the connection is given up.
const PATIENCE: u32 = 3;
/// How long connecting, TLS included, and its PING may each take. Nobody waits for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pauses between attempts to connect: from here, doubled, to there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What an operation of a create may take, the wait for a connection included. A create takes seconds
/// and costs money: half a second to be sure that it is the only one is well spent.
pub const PATIENT_BUDGET: Duration = Duration::from_millis(500);

/// Why an operation has no result. Nothing is known of what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared cache did not respond")]
pub struct NoAnswer;

/// Why there can be no connection at all.
#[derive(Debug, thiserror::Error)]
#[error("cache.url is not the URL of a Redis server")]
pub struct NotAServer;

/// A way to Redis. Clones share it.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    client: Client,
    link: watch::Sender<Option<Link>>,
    budget: Duration,
    late: AtomicU32,
    background: TaskTracker,
}

#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    /// Which connection it is: a late failure of an old one says nothing about the new one.
    number: u64,
}

impl Remote {
    /// Begins to connect, in a task of the current runtime.
    ///
    /// # Errors
    ///
    /// If the URL is none.
    pub fn new(url: &Secret, budget: Duration) -> Result<Self, NotAServer> {
        let inner = Arc::new(Inner {
            client: Client::open(url.expose()).map_err(|_| NotAServer)?,
            link: watch::Sender::new(None),
            budget,
            late: AtomicU32::new(0),
            background: TaskTracker::new(),
        });
        tokio::spawn(dial(Arc::downgrade(&inner), 0));
        Ok(Self(inner))
    }

    /// Waits until nothing is done [`later`](Store::later) any more.
    pub async fn finished(&self) {
        self.0.background.close();
        self.0.background.wait().await;
    }

    /// The value under a key, and for how long it will still be there; none also if that cannot be known
    /// in time.
    pub async fn get(&self, key: &str) -> Option<(Vec<u8>, Duration)> {
        let found = self
            .0
            .run::<(Option<Vec<u8>>, i64)>(self.0.budget, get(key));
        let (value, left) = found.await.ok()?;
        Some((value?, left_of(left)))
    }

    /// Sets a value in the background, if that is possible now, for as long as is `left` then.
    ///
    /// Its end is fixed by Redis's clock before it is sent: a Redis that hangs may read it much later, and
    /// what is left in it tells its age.
    pub fn set_soon(
        &self,
        key: String,
        value: Vec<u8>,
        left: impl Fn() -> Duration + Send + 'static,
    ) {
        let inner = Arc::clone(&self.0);
        self.later(async move {
            let mut commands = redis::pipe();
            commands.cmd("TIME");
            let time = inner.run::<((u64, u64),)>(inner.budget, commands).await;
            let Ok(((seconds, micros),)) = time else {
                return;
            };
            let left = left();
            let end = Duration::from_secs(seconds) + Duration::from_micros(micros) + left;
            let mut commands = set(&key, &value, left, &[]);
            let commands = commands
                .atomic()
                .cmd("PEXPIREAT")
                .arg(&key)
                .arg(millis(end));
            // What could not be kept costs a provider call later, and nothing else.
            let _kept = inner.run::<()>(inner.budget, commands.clone()).await;
        });
    }

    /// Counts one more under a key, unless that is more than `limit`: the count, or none. A new key lives
    /// for `lifetime`.
    ///
    /// # Errors
    ///
    /// If there was no answer in time: it may have counted.
    pub async fn count_up(
        &self,
        key: &str,
        limit: u64,
        lifetime: Duration,
    ) -> Result<Option<u64>, NoAnswer> {
        const UP_TO: &str = "local n=tonumber(redis.call('GET',KEYS[1]) or '0') \
             if n>=tonumber(ARGV[1]) then return -1 end \
             n=redis.call('INCR',KEYS[1]) \
             if n==1 then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end \
             return n";
        let mut commands = redis::pipe();
        let command = commands.cmd("EVAL").arg(UP_TO).arg(1).arg(key);
        command.arg(limit).arg(millis(lifetime));
        let (count,) = self.0.run::<(i64,)>(self.0.budget, commands).await?;
        Ok(u64::try_from(count).ok())
    }

    /// Counts one less under a key in the background, if that is possible now.
    pub fn count_down_soon(&self, key: String) {
        const IF_ANY: &str = "local n=tonumber(redis.call('GET',KEYS[1]) or '0') \
             if n>0 then redis.call('DECR',KEYS[1]) end";
        let inner = Arc::clone(&self.0);
        self.later(async move {
            let mut commands = redis::pipe();
            commands.cmd("EVAL").arg(IF_ANY).arg(1).arg(&key);
            // What could not be given back stays counted, which is the safe side.
            let _given_back = inner.run::<()>(inner.budget, commands).await;
        });
    }

    async fn patiently<T: FromRedisValue + Send>(&self, commands: Pipeline) -> Result<T, NoAnswer> {
        let up_and_answered = async {
            let mut link = self.0.link.subscribe();
            let up = link.wait_for(Option::is_some).await.map(|_| ());
            up.map_err(|_| NoAnswer)?;
            self.0.run(PATIENT_BUDGET, commands).await
        };
        let answered = timeout(PATIENT_BUDGET, up_and_answered).await;
        answered.unwrap_or(Err(NoAnswer))
    }
}

/// A create waits for its answers a little longer than a lookup does.
impl Store for Remote {
    async fn set_if_absent(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<bool, NoAnswer> {
        let commands = set(key, value, lifetime, &["NX"]);
        let set = self.patiently::<(Option<String>,)>(commands).await?;
        Ok(set.0.is_some())
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<(), NoAnswer> {
        self.patiently(set(key, value, lifetime, &[])).await
    }

    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Duration)>, NoAnswer> {
        let found = self.patiently::<(Option<Vec<u8>>, i64)>(get(key));
        let (value, left) = found.await?;
        Ok(value.map(|value| (value, left_of(left))))
    }

    async fn delete(&self, key: &str, value: &[u8]) -> Result<(), NoAnswer> {
        const IF_EQUAL: &str =
            "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end";
        let mut commands = redis::pipe();
        let command = commands.cmd("EVAL").arg(IF_EQUAL).arg(1);
        command.arg(key).arg(value);
        self.patiently(commands).await
    }

    fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.background.spawn(work);
    }
}

fn get(key: &str) -> Pipeline {
    let mut commands = redis::pipe();
    commands.cmd("GET").arg(key).cmd("PTTL").arg(key);
    commands
}

/// What is left of a key, from Redis's milliseconds. A key without end is nobody's here: it is as old as
/// it can be.
fn left_of(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn set(key: &str, value: &[u8], lifetime: Duration, condition: &[&str]) -> Pipeline {
    let mut commands = redis::pipe();
    let command = commands.cmd("SET").arg(key).arg(value);
    command.arg(condition).arg("PX").arg(millis(lifetime));
    commands
}

/// Redis refuses a lifetime of zero.
fn millis(lifetime: Duration) -> u64 {
    u64::try_from(lifetime.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Inner {
    /// Boxed: a future is as large as all that it may ever wait for, and every call may wait for Redis.
    fn run<'a, T: FromRedisValue + Send + 'a>(
        self: &'a Arc<Self>,
        budget: Duration,
        commands: Pipeline,
    ) -> BoxFuture<'a, Result<T, NoAnswer>> {
        Box::pin(self.ask(budget, commands))
    }

    async fn ask<T: FromRedisValue + Send>(
        self: &Arc<Self>,
        budget: Duration,
        commands: Pipeline,
    ) -> Result<T, NoAnswer> {
        let link = self.link.borrow().clone();
        let Link {
            mut connection,
            number,
        } = link.ok_or(NoAnswer)?;
        match timeout(budget, commands.query_async(&mut connection)).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                // A primary that became a replica refuses writes for ever: its name may lead elsewhere.
                let moved = error.code() == Some("READONLY");
                if moved || error.is_unrecoverable_error() {
                    self.lose(number);
                } else {
                    tracing::warn!(
                        error = error.category(),
                        "shared cache rejected an operation"
                    );
                }
                Err(NoAnswer)
            }
            Err(_elapsed) => {
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
                    self.lose(number);
                }
                Err(NoAnswer)
            }
        }
    }

    /// Up to Down, once for each connection.
    fn lose(self: &Arc<Self>, number: u64) {
        let lost = self.link.send_if_modified(|link| {
            let same = link.as_ref().is_some_and(|link| link.number == number);
            if same {
                *link = None;
            }
            same
        });
        if lost {
            tracing::warn!("shared cache unavailable: lookups go to the providers");
            tokio::spawn(dial(Arc::downgrade(self), number + 1));
        }
    }

    /// The error is a word for the log: what Redis says in full may repeat the URL.
    async fn connect(&self, number: u64) -> Result<Link, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Each operation has its own budget.
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let client = &self.client;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let word = |error: RedisError| error.category().to_owned();
        let mut connection = connection.await.map_err(word)?;
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let pong = ping.query_async::<(String,)>(&mut connection);
        match timeout(CONNECT_TIMEOUT, pong).await {
            Ok(pong) => pong.map(|_| Link { connection, number }).map_err(word),
            Err(_elapsed) => Err("no answer to a PING".to_owned()),
        }
    }
}

/// Down to Up. Ends with the last owner, too.
async fn dial(inner: Weak<Inner>, number: u64) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        match inner.connect(number).await {
            Ok(link) => {
                inner.late.store(0, Ordering::Relaxed);
                inner.link.send_replace(Some(link));
                tracing::info!("shared cache available");
                return;
            }
            // Once for each time that it is down; a password that is wrong must not stay unseen.
            Err(error) if pause == FIRST_PAUSE => {
                tracing::warn!(error, "shared cache unreachable");
            }
            Err(_) => {}
        }
        drop(inner);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The URL may hold a password.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = self.0.link.borrow().is_some();
        f.write_str(if up { "Remote(up)" } else { "Remote(down)" })
    }
}
