//! The built program as a child process, with a configuration of its own.

use std::{
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{client::Client, logs::Log};

/// A running gateway. It is killed when it is dropped.
pub struct Gateway {
    child: Child,
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    pub log: Log,
    pub client: Client,
}

impl Gateway {
    /// `serve` with these `IDGW_` variables and no others, on free loopback ports.
    pub async fn serve<K: AsRef<str>, V: AsRef<str>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::with(&["serve"], variables).await
    }

    /// The same, with the sandbox for its providers.
    pub async fn sandbox<K: AsRef<str>, V: AsRef<str>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::with(&["serve", "--sandbox"], variables).await
    }

    async fn with<K: AsRef<str>, V: AsRef<str>>(
        arguments: &[&str],
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
        command
            .args(arguments)
            .env_clear()
            .env("IDGW_SERVER__LISTEN", "127.0.0.1:0")
            .env("IDGW_ADMIN__LISTEN", "127.0.0.1:0")
            .env("IDGW_AUTH__MODE", "none")
            .env("IDGW_LOG__FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        for (name, value) in variables {
            command.env(name.as_ref(), value.as_ref());
        }
        let mut child = command.spawn().unwrap();
        let log = Log::read(child.stdout.take().unwrap());
        let Some(serving) = log.line(0, "serving").await else {
            let _ = child.kill();
            panic!("the gateway did not come up: {:?}", log.since(0));
        };
        let address = |name: &str| -> SocketAddr { text(&serving, name).parse().unwrap() };
        let (grpc, admin) = (address("grpc"), address("admin"));
        Self {
            child,
            grpc,
            admin,
            client: Client::connect(grpc).await,
            log,
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How the process ended, if it does within the time.
    pub async fn exit(&mut self, within: Duration) -> Option<ExitStatus> {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(within, ended).await.ok()
    }

    /// Status and body of a GET on the admin port.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.admin))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a field of a log line.
pub fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} is no text in {line}"))
}
