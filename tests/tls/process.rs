//! The built program as a child process, and what the system says of it.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::logs::Log;

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    for (name, value) in variables {
        command.env(name.as_ref(), value.as_ref());
    }
    command
}

impl Process {
    /// `serve` with these arguments and variables, on free ports.
    pub async fn serve<K: AsRef<str>, V: AsRef<str>>(
        arguments: &[&str],
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let arguments = [&["serve"], arguments].concat();
        let mut command = program(&arguments, variables);
        for (name, value) in [
            ("IDGW_SERVER__LISTEN", "127.0.0.1:0"),
            ("IDGW_ADMIN__LISTEN", "127.0.0.1:0"),
            ("IDGW_AUTH__MODE", "none"),
            ("IDGW_LOG__FORMAT", "json"),
            ("IDGW_SERVER__LAME_DUCK", "0s"),
            ("IDGW_SERVER__RELOAD_INTERVAL", "100ms"),
        ] {
            command.env(name, value);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let log = Log::read(child.stdout.take().unwrap());
        let Some(serving) = log.line(0, "serving").await else {
            let _ = child.kill();
            panic!("the gateway did not come up: {:?}", log.since(0));
        };
        let address = |name: &str| -> SocketAddr {
            let text: &Value = &serving[name];
            text.as_str().unwrap().parse().unwrap()
        };
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

    /// The value of a series on the admin port, summed over its labels that hold this text.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let page = reqwest::get(format!("http://{}/metrics", self.admin)).await;
        let page = page.unwrap().text().await.unwrap();
        let series = page.lines().filter(|line| {
            let (series, _) = line.split_once([' ', '{']).unwrap_or((line, ""));
            series == name && line.contains(label)
        });
        series
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
