//! What stands on stage while figures are taken: one program, and callers in a closed loop.

use std::{
    cell::Cell,
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use identity_gateway::{hex::Hex, sha256::Sha256};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::{
    Failed,
    children::{self, Child},
    collector,
    figures::{percentile, say},
    rig::{self, Instance},
};

/// What the callers say to be known.
const KEY: &str = "9d0f3c5a71e84b26af12c7d9e05b8364f1a27c3e";
/// What they may do: everything.
const POLICY: &str = r#"[[allow]]
name = "backend"
identities = ["backend"]
rpcs = ["*"]
persons = "all"
classes = ["bureau", "contacts", "envelope", "images"]
"#;

/// A program that is measured.
pub struct Stage {
    process: Child,
    /// Where it serves.
    pub at: SocketAddr,
    callers: Vec<Caller>,
    seconds: Duration,
}

/// One point: what a call took, and what the process held.
pub struct Point {
    /// How many calls ended well.
    pub calls_per_second: f64,
    /// The program's CPU time of each.
    pub cpu_microseconds: f64,
    /// Half of them took less.
    pub median: Duration,
    /// All but one in a hundred took less.
    pub p99: Duration,
    /// The memory that the program holds in the end.
    pub mib: f64,
}

/// A connection whose calls say who calls.
pub type Caller = InterceptedService<Channel, Key>;

/// What a call says of who calls.
#[derive(Clone)]
pub struct Key(MetadataValue<Ascii>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Stage {
    /// The gateway as it is really run, before providers at one URL: callers identified by a key and held
    /// to a policy, spans sampled at 1 % to a collector, a log line and a line of the audit for each call,
    /// and what these settings say.
    pub async fn gateway(
        program: &Path,
        directory: &Path,
        providers: &str,
        settings: &[(&str, String)],
        seconds: Duration,
    ) -> Result<Self, Failed> {
        let ports = children::addresses(u64::from(std::process::id()) * 7)?;
        let (collector, _spans) = collector::start().await?;
        let everything = everything(directory, &collector)?;
        let settings: Vec<_> = everything.iter().chain(settings).cloned().collect();
        let instance =
            Instance::start("gateway", program, directory, ports, providers, &settings).await?;
        let at = instance.grpc;
        Self::over(instance.process, at, seconds)
    }

    /// A program that serves.
    pub fn over(process: Child, at: SocketAddr, seconds: Duration) -> Result<Self, Failed> {
        let callers = (0..32).map(|_| caller(at));
        Ok(Self {
            process,
            at,
            callers: callers.collect::<Result<_, _>>()?,
            seconds,
        })
    }

    /// Ends the program by SIGTERM, which must make it exit with 0.
    pub async fn end(mut self) -> Result<(), Failed> {
        let status = self.process.terminate().await?;
        match status.success() {
            true => Ok(()),
            false => Err(self.process.tell(&format!("left with {status}"))),
        }
    }

    /// So many callers, each with one call after the other, for the time of a point.
    pub async fn load<C>(
        &self,
        callers: u64,
        call: impl Fn(u64, Caller) -> C,
    ) -> Result<Point, Failed>
    where
        C: Future<Output = Result<(), Status>>,
    {
        let end = Instant::now() + self.seconds;
        self.measure(callers, call, |_| Instant::now() < end).await
    }

    /// So many calls in all.
    pub async fn times<C>(
        &self,
        calls: u64,
        callers: u64,
        call: impl Fn(u64, Caller) -> C,
    ) -> Result<Point, Failed>
    where
        C: Future<Output = Result<(), Status>>,
    {
        self.measure(callers, call, |n| n < calls).await
    }

    async fn measure<C>(
        &self,
        callers: u64,
        call: impl Fn(u64, Caller) -> C,
        goes_on: impl Fn(u64) -> bool,
    ) -> Result<Point, Failed>
    where
        C: Future<Output = Result<(), Status>>,
    {
        let next = Cell::new(0);
        let one = |number: u64| {
            let (next, call, goes_on) = (&next, &call, &goes_on);
            async move {
                let mut took = Vec::new();
                let spread = usize::try_from(number)? % self.callers.len();
                let caller = self.callers.get(spread).ok_or("no caller")?;
                while goes_on(next.get()) {
                    let n = next.replace(next.get() + 1);
                    let begun = Instant::now();
                    call(n, caller.clone()).await?;
                    took.push(begun.elapsed());
                }
                Ok::<_, Failed>(took)
            }
        };
        let (before, begun) = (self.process.cpu_time()?, Instant::now());
        let took = futures_util::future::try_join_all((0..callers).map(one)).await?;
        let lasted = begun.elapsed();
        let cpu = self.process.cpu_time()?.saturating_sub(before);
        let took: Vec<Duration> = took.into_iter().flatten().collect();
        let calls = u32::try_from(took.len().max(1))?;
        Ok(Point {
            calls_per_second: f64::from(calls) / lasted.as_secs_f64(),
            cpu_microseconds: cpu.as_secs_f64() * 1e6 / f64::from(calls),
            median: percentile(&took, 50),
            p99: percentile(&took, 99),
            mib: self.process.resident_mib()?,
        })
    }
}

impl Point {
    /// Prints it.
    pub fn tell(&self, what: &str, number: u64) {
        let mut line = format!("  {what:<22}{number:>10}");
        let _written = write!(
            line,
            "{:>9.0} calls/s{:>10.1} µs CPU{:>9.2} ms p50{:>9.2} ms p99{:>8.1} MiB",
            self.calls_per_second,
            self.cpu_microseconds,
            self.median.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
            self.mib
        );
        say(&line);
    }
}

/// The settings under which everything is on.
pub fn everything(
    directory: &Path,
    collector: &str,
) -> Result<[(&'static str, String); 11], Failed> {
    let path = |name: &str| directory.join(name).display().to_string();
    let hash = Hex::of(&Sha256::digest(KEY.as_bytes()));
    std::fs::write(path("keys"), format!("backend {}\n", &*hash))?;
    std::fs::write(path("policy.toml"), POLICY)?;
    Ok([
        ("AUTH__MODE", "keys".to_owned()),
        ("AUTH__KEYS__FILE", path("keys")),
        ("AUTH__POLICY_FILE", path("policy.toml")),
        ("LOG__FILTER", "info".to_owned()),
        ("LOG__FORMAT", "json".to_owned()),
        ("AUDIT__SINK", "file".to_owned()),
        ("AUDIT__PATH", path("audit.log")),
        (
            "AUDIT__KEY",
            "a key of this test, long enough for it".to_owned(),
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.to_owned()),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01".to_owned()),
    ])
}

/// A connection, made when it is first needed, for calls with the key.
pub fn caller(at: SocketAddr) -> Result<Caller, Failed> {
    let key = Key(format!("Bearer {KEY}").parse()?);
    Ok(InterceptedService::new(rig::channel(at)?, key))
}
