//! Child processes: started with a clean environment, looked at in /proc, ended by their own pid.
//!
//! Dropping a [`Child`] kills it. What it prints goes to a file, of which the end is shown if it fails.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::Failed;

/// How long anything may take that should be there at once. A limit, never slept.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Below the range that the system takes ports from by itself: a port that is free between the end
/// of an instance and its next start must not go to somebody's outgoing connection.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A program of ours that runs.
pub struct Child {
    name: String,
    process: tokio::process::Child,
    pid: Pid,
    log: PathBuf,
}

impl Child {
    /// Starts a program whose output is appended to `NAME.log` in the directory.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        directory: &Path,
    ) -> Result<Self, Failed> {
        let log = directory.join(format!("{name}.log"));
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let mut command = Command::new(program);
        let foreign = |key: &str| {
            ["IDGW_", "OTEL_", "RUST_LOG"]
                .iter()
                .any(|ours| key.starts_with(ours))
        };
        for (key, _) in std::env::vars().filter(|(key, _)| foreign(key)) {
            command.env_remove(key);
        }
        let process = command
            .args(arguments)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name}: {} cannot be run: {error}", program.display()))?;
        let pid = process
            .id()
            .and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self {
            name: name.to_owned(),
            pid: pid.ok_or_else(|| format!("{name}: has no pid"))?,
            process,
            log,
        })
    }

    /// Waits until `look` says that it is there.
    pub async fn ready<F: Future<Output = bool>>(
        &mut self,
        look: impl Fn() -> F,
    ) -> Result<(), Failed> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait()? {
                return Err(self.tell(&format!("ended before it was ready: {status}")));
            }
            if look().await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(self.tell("is not ready"))
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> Result<ExitStatus, Failed> {
        if let Some(status) = self.process.try_wait()? {
            return Err(self.tell(&format!("ended by itself: {status}")));
        }
        kill_process(self.pid, Signal::TERM)?;
        match tokio::time::timeout(PATIENCE, self.process.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(self.tell("does not end after SIGTERM")),
        }
    }

    /// The memory that it holds, in MiB.
    pub fn resident_mib(&self) -> Result<f64, Failed> {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = std::fs::read_to_string(path)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0)
            .ok_or_else(|| self.tell("is gone: it has no memory"))
    }

    /// The CPU time that all its threads have taken, those that have ended included.
    pub fn cpu_time(&self) -> Result<Duration, Failed> {
        /// Linux tells it in hundredths of a second, whatever the kernel's own tick is.
        const TICK: Duration = Duration::from_millis(10);
        let path = format!("/proc/{}/stat", self.pid.as_raw_nonzero());
        let stat = std::fs::read_to_string(path)?;
        // The name stands in brackets, and may hold spaces. The third field follows it; `utime` and
        // `stime` are the fourteenth and fifteenth.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
        let ticks = fields.and_then(|fields| {
            let mut fields = fields.split(' ').skip(11);
            let user: u32 = fields.next()?.parse().ok()?;
            let system: u32 = fields.next()?.parse().ok()?;
            Some(user + system)
        });
        ticks
            .map(|ticks| TICK * ticks)
            .ok_or_else(|| self.tell("is gone: it has no CPU time"))
    }

    /// An error about it, with the end of what it printed.
    pub fn tell(&self, what: &str) -> Failed {
        let printed = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = printed.lines().rev().take(10).collect();
        let end: Vec<_> = lines.into_iter().rev().collect();
        format!("{} {what}\n{}", self.name, end.join("\n")).into()
    }
}

/// Loopback addresses with free ports, all different.
pub fn addresses<const N: usize>(seed: u64) -> Result<[SocketAddr; N], Failed> {
    free(seed, N)?.try_into().map_err(|_| "ports".into())
}

/// So many of them.
pub fn free(seed: u64, count: usize) -> Result<Vec<SocketAddr>, Failed> {
    let mut found = Vec::new();
    let start = u16::try_from(seed % u64::try_from(PORTS.len())?)?;
    // The listeners stay until all are found.
    for offset in 0..u16::try_from(PORTS.len())? {
        let port = PORTS.start + (start + offset) % u16::try_from(PORTS.len())?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            found.push(listener);
        }
        if found.len() == count {
            let addresses: Result<Vec<_>, _> = found.iter().map(TcpListener::local_addr).collect();
            return Ok(addresses?);
        }
    }
    Err("there are no free ports".into())
}
