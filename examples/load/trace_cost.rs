//! What tracing costs: the CPU time per call of a gateway that sends every trace to a collector,
//! against one that sends nothing, side by side in one run.
//!
//! Both are asked for the same calls in turns, at the same fixed rate, and write the same log lines.
//! The CPU time is the process's own, of all its threads, so that the exporter's counts as well. The
//! collector and the provider run in this process: their work is not the gateway's.

use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use clap::Args;
use identity_gateway::proto::identity::v1::{
    KenyaIdType, ScrubKenyaIdRequest, identity_service_client::IdentityServiceClient,
};
use tonic::{Request, transport::Channel};

use crate::{
    Failed,
    answer::Answer,
    children, collector,
    figures::{Table, percentile, say},
    open_loop::Load,
    provider,
    rig::{self, Instance},
    subjects::Kind,
};

const DEADLINE: Duration = Duration::from_secs(5);
/// What tracing may cost, as a share of a call without it.
const LIMIT: f64 = 0.10;
/// A call has a span of its own and one for its attempt.
const SPANS: u64 = 2;
/// Until the last spans have been sent: they go every five seconds at the latest.
const SETTLING: Duration = Duration::from_secs(6);

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// How often each of the two is asked
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Seconds of a round
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Calls a second
    #[arg(long, default_value_t = 1000)]
    rate: u32,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.rounds * self.seconds)) * 4 + Duration::from_secs(120)
    }

    fn load(&self, first: u64) -> Load {
        let duration = Duration::from_secs(self.seconds.into());
        let load = Load::lasting(duration, self.rate.into());
        Load { first, ..load }
    }
}

/// One of the two.
struct Side<'a> {
    instance: Instance<'a>,
    channel: Channel,
    calls: u64,
    failed: usize,
    /// CPU time per call in each round; the last spans of a round may be sent after it.
    rounds: Vec<Duration>,
}

/// Runs, prints the figures, and fails if tracing costs more than it may.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let providers = provider::found(Duration::ZERO).await?;
    let (collector, spans) = collector::start().await?;
    let directory = tempfile::tempdir()?;
    let ports = children::addresses(u64::from(std::process::id()) * 7)?;
    let [off, off_admin, on, on_admin] = ports;
    let common = [
        ("LOG__FILTER", "info".to_owned()),
        // A machine that stalls for a moment must not make calls queue: that is another call.
        ("PROVIDERS__YOUVERIFY__MAX_IN_FLIGHT", "10000".to_owned()),
    ];
    let otlp = |key: &'static str, value: &str| (key, value.to_owned());
    let [log, places] = common.clone();
    let traced = [
        log,
        places,
        otlp("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &collector),
        otlp("OTEL_TRACES_SAMPLER", "always_on"),
    ];
    let start = async |name, ports, own: &[_]| {
        let instance =
            Instance::start(name, gateway, directory.path(), ports, &providers, own).await?;
        Ok::<_, Failed>(Side {
            channel: rig::channel(instance.grpc)?,
            instance,
            calls: 0,
            failed: 0,
            rounds: Vec::new(),
        })
    };
    let mut off = start("untraced", [off, off_admin], &common).await?;
    let mut on = start("traced", [on, on_admin], &traced).await?;
    say(&format!(
        "trace-cost: {} rounds of {} s for each, {} calls/s",
        options.rounds, options.seconds, options.rate
    ));
    // Connections, pools and pages are made in a round that does not count.
    off.round(options).await?;
    on.round(options).await?;
    tokio::time::sleep(SETTLING).await;
    let before = (off.cpu_time()?, on.cpu_time()?);
    for round in 0..options.rounds {
        // Whoever comes second may find the machine warmer.
        let (first, second) = match round % 2 {
            0 => (&mut off, &mut on),
            _ => (&mut on, &mut off),
        };
        first.round(options).await?;
        second.round(options).await?;
    }
    tokio::time::sleep(SETTLING).await;
    let counted = options.load(0).calls * u64::from(options.rounds);
    let per_call = |after: Duration, before: Duration| (after - before).div_f64(counted as f64);
    let cost = (
        per_call(off.cpu_time()?, before.0),
        per_call(on.cpu_time()?, before.1),
    );
    report(&off, &on, cost, spans.load(Ordering::Relaxed))
}

impl Side<'_> {
    async fn round(&mut self, options: &Options) -> Result<(), Failed> {
        let load = options.load(self.calls);
        let before = self.cpu_time()?;
        let call = |n, due| look_up(self.channel.clone(), n, due);
        let answers = load.run(call).await?;
        let took = self.cpu_time()? - before;
        self.calls += load.calls;
        let failed = answers.iter().filter(|answer| answer.result.is_err());
        self.failed += failed.count();
        self.rounds.push(took.div_f64(load.calls as f64));
        Ok(())
    }

    fn cpu_time(&self) -> Result<Duration, Failed> {
        self.instance.process.cpu_time()
    }
}

fn report(
    off: &Side<'_>,
    on: &Side<'_>,
    cost: (Duration, Duration),
    spans: u64,
) -> Result<(), Failed> {
    let mut table = Table::default();
    let failed = off.failed + on.failed;
    table.must("failed calls", failed, failed == 0);
    let expected = on.calls * SPANS;
    let both = format!("{spans} of {expected}");
    table.must("spans at the collector", both, spans == expected);
    let us = |duration: Duration| format!("{:.1} µs", duration.as_secs_f64() * 1e6);
    for (name, side, whole) in [("off", off, cost.0), ("on", on, cost.1)] {
        // The first was the warm-up.
        let rounds = side.rounds.get(1..).unwrap_or_default();
        let shown = format!("{}, {}", us(whole), us(percentile(rounds, 50)));
        let name = format!("tracing {name}: CPU per call, of the median round");
        table.figure(&name, shown);
    }
    let more = cost.1.as_secs_f64() / cost.0.as_secs_f64() - 1.0;
    let shown = format!("{:.1} %", more * 100.0);
    table.must("tracing costs at most 10 %", shown, more <= LIMIT);
    table.end()
}

async fn look_up(channel: Channel, n: u64, due: Instant) -> Answer {
    let request = ScrubKenyaIdRequest {
        id: Kind::Kenya.identifier(n),
        id_type: KenyaIdType::Passport.into(),
        subject_consent: true,
        ..Default::default()
    };
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    let mut client = IdentityServiceClient::new(channel);
    let call = async {
        client.scrub_kenya_id(request).await?;
        Ok(String::new())
    };
    Answer::of(due, DEADLINE, call).await
}
