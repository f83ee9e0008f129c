//! A Redis of the test's own.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use identity_gateway::{config::Settings, domain::redaction::Secret};
use tempfile::TempDir;

pub const KEY: &str = "the key of all replicas in this test";

/// A Redis on a free port, without a file. It ends with the test.
pub struct Redis {
    child: Child,
    pub port: u16,
    _directory: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A Redis; none if this run does without.
pub async fn redis() -> Option<Redis> {
    if !is_wanted() {
        return None;
    }
    let redis = Redis::on(free_port());
    redis.is_up().await;
    Some(redis)
}

/// Whether this run has a Redis.
pub fn is_wanted() -> bool {
    let wanted = std::env::var("REDIS").as_deref() == Ok("required");
    if !wanted {
        eprintln!("not run: REDIS=required runs it, with redis-server on the path");
    }
    wanted
}

/// A port that nobody listens on. A node of a cluster also takes the one 10,000 above it. Both are below those that the
/// system gives to connections: one of these could be taken by another test between now and then.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 14_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 6_000;
        let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

impl Redis {
    pub fn on(port: u16) -> Self {
        Self::with(port, &["--port", &port.to_string()])
    }

    /// With more arguments, the port among them.
    pub fn with(port: u16, arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("REDIS=required, and redis-server cannot be started");
        Self {
            child,
            port,
            _directory: directory,
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Says something to it. A Sentinel closes the connections of a server whose role it changes, at a moment that no
    /// test can know: what was said on such a connection is said again.
    pub async fn says<T: redis::FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        for _ in 0..200 {
            match self.try_says(&command).await {
                Err(error) if error.is_io_error() || error.is_connection_dropped() => {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                said => return said.unwrap(),
            }
        }
        panic!("{} is not answered", self.url());
    }

    async fn try_says<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }

    /// Waits until a replica has all that was written here, by whomever: `WAIT` speaks of the writes of its own connection
    /// alone.
    pub async fn is_copied_to(&self, replica: &Self) {
        let written = self.offset("master_repl_offset").await;
        super::eventually_in(async || replica.offset("slave_repl_offset").await >= written).await;
    }

    async fn offset(&self, name: &str) -> u64 {
        let info: String = self.says("INFO replication").await;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(key, _)| *key == name).expect("an offset");
        value.parse().unwrap()
    }

    pub async fn is_up(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        for _ in 0..200 {
            if client.get_multiplexed_async_connection().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Redis does not come up");
    }

    pub fn kill(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }

    /// Stops it without closing anything: it takes connections and never answers.
    pub fn freeze(&self) {
        signal(&self.child, "-STOP");
    }

    pub fn thaw(&self) {
        signal(&self.child, "-CONT");
    }

    /// Every key with its value, as bytes.
    pub async fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut connection = self.connection().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut all = Vec::new();
        for key in keys {
            let kind = redis::cmd("TYPE").arg(&key).to_owned();
            let kind: String = kind.query_async(&mut connection).await.unwrap();
            let command = match &*kind {
                "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).to_owned(),
                "hash" => redis::cmd("HGETALL").arg(&key).to_owned(),
                // Several, so that one that has gone meanwhile is no error.
                _ => redis::cmd("MGET").arg(&key).to_owned(),
            };
            let values = command.query_async::<Vec<Option<Vec<u8>>>>(&mut connection);
            let value = values
                .await
                .unwrap()
                .into_iter()
                .flatten()
                .flatten()
                .collect();
            all.push((key, value));
        }
        all
    }

    /// The same once nothing is marked as on its way: marks stay for a moment.
    pub async fn dump_at_rest(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        loop {
            let all = self.dump().await;
            if all.iter().all(|(key, _)| !key.ends_with(b":on_its_way")) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it holds this many keys.
    pub async fn holds(&self, count: usize) {
        for _ in 0..400 {
            if self.dump().await.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it holds {} keys", self.dump().await.len());
    }

    /// The settings of a replica.
    pub fn shared(&self) -> impl FnOnce(&mut Settings) + use<> {
        shared(self.url())
    }
}

/// The settings of a replica with this URL.
pub fn shared(url: String) -> impl FnOnce(&mut Settings) + use<> {
    move |settings| {
        settings.cache.url = Some(Secret::new(url));
        settings.cache.key = Some(Secret::new(KEY));
        // A loaded machine must not turn a hit into a miss; that small budgets hold is tested apart.
        settings.cache.timeout = "1s".parse().unwrap();
    }
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}
