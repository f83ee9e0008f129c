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
//!
//! Each operation is one command about keys of one hash slot, so that a cluster executes it as a single server does;
//! none is sent a second time after it may have been executed ([`node`]). The clock that an operation goes by is that
//! of the node that has the key.

mod cause;
mod facts;
mod left;
mod link;
mod node;
mod parts;
mod way;

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue};
use tokio::time::timeout;

pub use self::left::{Batch, Left};
use self::link::Inner;
pub(super) use self::parts::Parts;
use super::{settings::Settings, store::Store};
use crate::{reload::Watch, telemetry::labels::CacheFailure};

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
#[error("the shared cache did not respond: {}", .0.as_str())]
pub struct NoAnswer(pub CacheFailure);

/// Why there can be no connection at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub struct NotAServer(&'static str, String);

/// A way to Redis. Clones share it.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

impl Remote {
    /// Begins to connect, in a task of the current runtime.
    ///
    /// # Errors
    ///
    /// If the URL is none, or a file cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, NotAServer> {
        let inner = Inner::new(settings);
        let inner = inner.map_err(|(key, problem)| NotAServer(key, problem))?;
        Ok(Self(inner))
    }

    /// What reads the files of the way again.
    #[must_use]
    pub fn watch(&self) -> Option<Watch> {
        self.0.watch()
    }

    /// How long a lookup waits for an answer.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.0.budget
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.is_up()
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
        const UNTIL: &str = "redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) \
             redis.call('PEXPIREAT',KEYS[1],ARGV[3])";
        let inner = Arc::clone(&self.0);
        self.later(async move {
            // Of the server that has the key, whichever of a cluster that is.
            let time = script("return redis.call('TIME')", &[&key]);
            let time = inner.run::<(u64, u64)>(inner.budget, time).await;
            let Ok((seconds, micros)) = time else {
                return;
            };
            let left = left();
            let end = Duration::from_secs(seconds) + Duration::from_micros(micros) + left;
            let mut command = script(UNTIL, &[&key]);
            command.arg(value).arg(millis(left)).arg(millis(end));
            // What could not be kept costs a provider call later, and nothing else.
            let _kept = inner.run::<()>(inner.budget, command).await;
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
        let mut command = script(UP_TO, &[key]);
        command.arg(limit).arg(millis(lifetime));
        let count = self.0.run::<i64>(self.0.budget, command).await?;
        Ok(u64::try_from(count).ok())
    }

    /// Counts one less under a key in the background, if that is possible now.
    pub fn count_down_soon(&self, key: String) {
        const IF_ANY: &str = "local n=tonumber(redis.call('GET',KEYS[1]) or '0') \
             if n>0 then redis.call('DECR',KEYS[1]) end";
        let inner = Arc::clone(&self.0);
        self.later(async move {
            let command = script(IF_ANY, &[&key]);
            // What could not be given back stays counted, which is the safe side.
            let _given_back = inner.run::<()>(inner.budget, command).await;
        });
    }

    async fn patiently<T: FromRedisValue + Send>(&self, command: Cmd) -> Result<T, NoAnswer> {
        let up_and_answered = async {
            self.0.comes_up().await?;
            self.0.run(PATIENT_BUDGET, command).await
        };
        let answered = timeout(PATIENT_BUDGET, up_and_answered).await;
        answered.unwrap_or_else(|_elapsed| Err(NoAnswer(self.0.why_late())))
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
        let mut command = redis::cmd("SET");
        command.arg(key).arg(value).arg("NX");
        command.arg("PX").arg(millis(lifetime));
        let set = self.patiently::<Option<String>>(command).await?;
        Ok(set.is_some())
    }

    async fn replace(
        &self,
        key: &str,
        old: &[u8],
        new: &[u8],
        lifetime: Duration,
    ) -> Result<bool, NoAnswer> {
        const WHATEVER: &str = "local v=redis.call('GET',KEYS[1]) \
             redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) \
             if v==ARGV[1] or v==ARGV[2] then return 1 end return 0";
        let mut command = script(WHATEVER, &[key]);
        command.arg(old).arg(new).arg(millis(lifetime));
        self.patiently(command).await
    }

    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Duration)>, NoAnswer> {
        let found = self.patiently::<(Option<Vec<u8>>, i64)>(get(key));
        let (value, left) = found.await?;
        Ok(value.map(|value| (value, left_of(left))))
    }

    async fn delete(&self, key: &str, value: &[u8]) -> Result<(), NoAnswer> {
        const IF_EQUAL: &str =
            "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end";
        let mut command = script(IF_EQUAL, &[key]);
        command.arg(value);
        self.patiently(command).await
    }

    fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        // A process that ends drops its calls outside of the runtime.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.0.background.spawn_on(work, &runtime);
        }
    }
}

fn get(key: &str) -> Cmd {
    const AND_LEFT: &str = "return {redis.call('GET',KEYS[1]),redis.call('PTTL',KEYS[1])}";
    script(AND_LEFT, &[key])
}

/// One step, on keys of one slot.
fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(keys.len()).arg(keys);
    command
}

/// What is left of a key, from Redis's milliseconds. A key without end is nobody's here: it is as old as
/// it can be.
fn left_of(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Redis refuses a lifetime of zero.
fn millis(lifetime: Duration) -> u64 {
    u64::try_from(lifetime.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The URL may hold a password.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_up() {
            "Remote(up)"
        } else {
            "Remote(down)"
        })
    }
}
