//! A Redis of the test's own.

use std::{
    process::{Child, Command, Stdio},
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
    if std::env::var("REDIS").as_deref() != Ok("required") {
        eprintln!("not run: REDIS=required runs it, with redis-server on the path");
        return None;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let redis = Redis::on(port);
    redis.is_up().await;
    Some(redis)
}

impl Redis {
    pub fn on(port: u16) -> Self {
        let directory = TempDir::new().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
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
            let get = redis::cmd("GET").arg(&key).to_owned();
            let value: Vec<u8> = get.query_async(&mut connection).await.unwrap();
            all.push((key, value));
        }
        all
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
        let url = self.url();
        move |settings| {
            settings.cache.url = Some(Secret::new(url));
            settings.cache.key = Some(Secret::new(KEY));
            // A loaded machine must not turn a hit into a miss; that small budgets hold is tested apart.
            settings.cache.timeout = "1s".parse().unwrap();
        }
    }
}

fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}
