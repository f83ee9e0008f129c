//! What stands on stage while figures are taken: one program, and callers in a closed loop.

use std::{
    cell::Cell,
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use identity_gateway::{
    proto::identity::v1::{
        KenyaIdType, ScrubKenyaIdRequest, identity_service_client::IdentityServiceClient,
    },
    sandbox,
};
use tokio::net::TcpListener;
use tonic::{Status, transport::Channel};

use crate::{
    Failed,
    children::{self, Child},
    figures::{percentile, say},
    rig::{self, Instance},
    subjects::Kind,
};

/// A program that is measured.
pub struct Stage {
    process: Child,
    /// Where it serves.
    pub at: SocketAddr,
    channels: Vec<Channel>,
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

impl Stage {
    /// The gateway before providers at one URL, with these settings and everything else as it is.
    pub async fn gateway(
        program: &Path,
        directory: &Path,
        providers: &str,
        settings: &[(&str, String)],
        seconds: Duration,
    ) -> Result<Self, Failed> {
        let ports = children::addresses(u64::from(std::process::id()) * 7)?;
        let instance =
            Instance::start("gateway", program, directory, ports, providers, settings).await?;
        let at = instance.grpc;
        Self::over(instance.process, at, seconds)
    }

    /// A program that serves.
    pub fn over(process: Child, at: SocketAddr, seconds: Duration) -> Result<Self, Failed> {
        let channels = (0..32).map(|_| rig::channel(at));
        Ok(Self {
            process,
            at,
            channels: channels.collect::<Result<_, _>>()?,
            seconds,
        })
    }

    /// So many callers, each with one call after the other, for the time of a point.
    pub async fn load<C>(
        &self,
        callers: u64,
        call: impl Fn(u64, Channel) -> C,
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
        call: impl Fn(u64, Channel) -> C,
    ) -> Result<Point, Failed>
    where
        C: Future<Output = Result<(), Status>>,
    {
        self.measure(callers, call, |n| n < calls).await
    }

    async fn measure<C>(
        &self,
        callers: u64,
        call: impl Fn(u64, Channel) -> C,
        goes_on: impl Fn(u64) -> bool,
    ) -> Result<Point, Failed>
    where
        C: Future<Output = Result<(), Status>>,
    {
        let next = Cell::new(0);
        let caller = |number: u64| {
            let (next, call, goes_on) = (&next, &call, &goes_on);
            async move {
                let mut took = Vec::new();
                let spread = usize::try_from(number)? % self.channels.len();
                let channel = self.channels.get(spread).ok_or("no channel")?;
                while goes_on(next.get()) {
                    let n = next.replace(next.get() + 1);
                    let begun = Instant::now();
                    call(n, channel.clone()).await?;
                    took.push(begun.elapsed());
                }
                Ok::<_, Failed>(took)
            }
        };
        let (before, begun) = (self.process.cpu_time()?, Instant::now());
        let took = futures_util::future::try_join_all((0..callers).map(caller)).await?;
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

/// A provider that takes so long.
pub async fn provider(delay: Duration) -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let options = sandbox::Options { delay };
    tokio::spawn(sandbox::serve(listener, options, std::future::pending()));
    Ok(url)
}

/// A lookup in Kenya, which may be answered from the cache.
pub async fn kenya(n: u64, channel: Channel, kept: bool) -> Result<(), Status> {
    let request = ScrubKenyaIdRequest {
        id: Kind::Kenya.identifier(n),
        id_type: KenyaIdType::Passport.into(),
        subject_consent: true,
        max_age: kept.then_some(prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let mut client = IdentityServiceClient::new(channel);
    client.scrub_kenya_id(request).await.map(drop)
}
