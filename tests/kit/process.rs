//! The built program as a child process, and what the system says of it.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::kit::logs::Log;

pub const BINARY: &str = env!("CARGO_BIN_EXE_identity-gateway");

/// A running gateway. It is killed when it is dropped.
pub struct Process {
    child: Child,
    pub grpc: SocketAddr,
    pub admin: SocketAddr,
    pub log: Log,
}

/// The program with these arguments and variables, and no others.
pub fn program<K: AsRef<str>, V: AsRef<str>>(
    arguments: &[&str],
    variables: impl IntoIterator<Item = (K, V)>,
) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().stdin(Stdio::null());
    for (name, value) in variables {
        command.env(name.as_ref(), value.as_ref());
    }
    command
}

/// What every gateway of a test is told, unless the test says otherwise.
pub const DEFAULTS: [(&str, &str); 4] = [
    ("IDGW_SERVER__LISTEN", "127.0.0.1:0"),
    ("IDGW_ADMIN__LISTEN", "127.0.0.1:0"),
    ("IDGW_AUTH__MODE", "none"),
    ("IDGW_LOG__FORMAT", "json"),
];

impl Process {
    /// `serve` with these arguments and variables, on free ports. It leaves at once when it is asked to, and soon
    /// notices that a file has changed.
    pub async fn serve<K: AsRef<str>, V: AsRef<str>>(
        arguments: &[&str],
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut command = program(&[&["serve"], arguments].concat(), variables);
        command
            .envs(DEFAULTS)
            .env("IDGW_SERVER__LAME_DUCK", "0s")
            .env("IDGW_SERVER__RELOAD_INTERVAL", "100ms");
        Self::start(command).await
    }

    /// A command that serves.
    pub async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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
            log,
        }
    }

    /// A file of the process in /proc.
    pub fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it ever had, in MiB.
    pub fn highest(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = self.proc("status");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib / 1024
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it by force.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// How it ended, if it does within the time.
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
        let answer = reqwest::get(format!("http://{}{path}", self.admin)).await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The value of a series on the admin port, summed over its labels that hold this text.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, page) = self.admin("/metrics").await;
        let series = page.lines().filter(|line| {
            let (series, _) = line.split_once([' ', '{']).unwrap_or((line, ""));
            series == name && line.contains(label)
        });
        series
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until a series is as it should be: what is counted may be counted a moment after it was seen.
    pub async fn metric_becomes(&self, name: &str, label: &str, is_right: impl Fn(f64) -> bool) {
        let mut value = self.metric(name, label).await;
        for _ in 0..1000 {
            if is_right(value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            value = self.metric(name, label).await;
        }
        panic!("{name} {label} stays at {value}");
    }
}

impl Drop for Process {
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
