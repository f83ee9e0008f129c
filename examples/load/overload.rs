//! The overload run: one instance with few places before a provider of fixed latency, asked for
//! several times what it can do; once with HTTP/1.1 on the way to the provider, once with HTTP/2.
//!
//! Its capacity is places / latency. Both are fitted to the machine as it is now, and the unloaded latency is
//! measured in the same run, at a fifth of the capacity, so that the assertions are ratios.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use identity_gateway::proto::identity::v1::{
    VerifyPeForeignerIdRequest, identity_service_client::IdentityServiceClient,
};
use tonic::{Request, transport::Channel};

use crate::{
    Failed,
    answer::Answer,
    children,
    faults::{Protocol, Schedule},
    figures::say,
    fronts,
    ledger::Ledger,
    open_loop::Load,
    overload_report::{LENIENT, Looks, Report, STRICT},
    pace,
    rig::{self, Instance},
    subjects::Kind,
};

/// How long the provider takes,
const LATENCY: f64 = 0.2;
/// and how many calls the gateway takes at once, where the machine can bear it.
const PLACES: f64 = 20.0;
/// How many times its capacity it is asked for.
const FACTOR: f64 = 5.0;
/// How often health, /readyz and the memory are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// Seconds of overload, for each protocol
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Tolerances for a short run on a machine that does other things as well
    #[arg(long)]
    lenient: bool,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) * 4 + Duration::from_secs(240)
    }
}

/// Runs, prints the figures, and fails if something is not as it must be.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let mut broken = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        if let Err(error) = over(protocol, gateway, options).await {
            broken.push(format!("{protocol:?}: {error}"));
        }
    }
    match broken.is_empty() {
        true => Ok(()),
        false => Err(broken.join("; ").into()),
    }
}

/// A gateway of few places before a provider that is slow.
struct Fit {
    places: f64,
    latency: f64,
}

impl Fit {
    /// So that the load is what the machine can bear: fewer places first, then a slower provider.
    fn to(bearable: f64) -> Self {
        let places = (bearable * LATENCY / FACTOR).floor().clamp(4.0, PLACES);
        let latency = (places * FACTOR / bearable).max(LATENCY);
        Self { places, latency }
    }

    fn capacity(&self) -> f64 {
        self.places / self.latency
    }
}

async fn over(protocol: Protocol, gateway: &Path, options: &Options) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let ledger = Arc::new(Ledger::new(Schedule::quiet(0)));
    let ports = children::addresses(u64::from(std::process::id()) * 7)?;
    let bearable = {
        let settings = fronts::start(&ledger, directory, Duration::ZERO, |_| protocol).await?;
        let free = Instance::start("free", gateway, directory, ports, "", &settings).await?;
        let channel = rig::channel(free.grpc)?;
        pace::bearable(|n| look_up(channel.clone(), &ledger, n, Instant::now(), LONGEST)).await
    };
    let fit = Fit::to(bearable);
    let latency = Duration::from_secs_f64(fit.latency);
    let mut settings = fronts::start(&ledger, directory, latency, |_| protocol).await?;
    settings.push(("SERVER__MAX_IN_FLIGHT", fit.places.to_string()));
    let instance = Instance::start("gateway", gateway, directory, ports, "", &settings).await?;
    let channel = rig::channel(instance.grpc)?;

    let capacity = fit.capacity();
    let seconds = Duration::from_secs(u64::from(options.seconds));
    say(&format!(
        "overload, {protocol:?} to the provider: concurrency limit {}, {latency:?}: {capacity:.0} calls/s possible, {:.0} offered, {seconds:?}",
        fit.places,
        capacity * FACTOR
    ));
    let unloaded = Load {
        first: 1 + pace::CALLS,
        ..Load::lasting(seconds / 4, capacity / 5.0)
    };
    let loaded = Load {
        first: unloaded.first + unloaded.calls,
        ..Load::lasting(seconds, capacity * FACTOR)
    };
    let calm = |n, due| look_up(channel.clone(), &ledger, n, due, LONGEST);
    let calm = unloaded.run(calm).await?;
    let before = instance.process.resident_mib()?;
    let looks = Mutex::new(Looks::default());
    let started = Instant::now();
    let storm = |n, due| look_up(channel.clone(), &ledger, n, due, deadline(n, latency));
    let stormy = tokio::select! {
        answers = loaded.run(storm) => answers?,
        gone = watch(&instance, ports[1], &looks) => return Err(gone),
    };
    let took = started.elapsed().max(seconds);
    let looks = looks.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report {
        calm,
        stormy,
        took,
        places: fit.places,
        growth: looks.peak - before,
        looks,
        ledger,
    }
    .show(if options.lenient { &LENIENT } else { &STRICT })
}

/// The longest deadline of a caller.
const LONGEST: Duration = Duration::from_secs(40);

/// One caller in ten has less time than the provider takes, half of it and more; the others from five times as
/// much to 40 s.
fn deadline(n: u64, latency: Duration) -> Duration {
    let schedule = Schedule::quiet(0);
    let share = (schedule.roll(n, 1) % 1000) as f64 / 1000.0;
    match schedule.chance(n, 2, 10) {
        true => latency.mul_f64(0.5 + share * 0.4),
        false => {
            (latency * 5 + LONGEST.saturating_sub(latency * 5).mul_f64(share * share)).min(LONGEST)
        }
    }
}

/// One lookup.
async fn ask(channel: Channel, n: u64, deadline: Duration) -> Result<String, tonic::Status> {
    let request = VerifyPeForeignerIdRequest {
        document_number: Kind::Foreigner.identifier(n),
        birthdate: "1990-01-01".to_owned(),
        ..Default::default()
    };
    let mut request = Request::new(request);
    request.set_timeout(deadline);
    let mut client = IdentityServiceClient::new(channel);
    client.verify_pe_foreigner_id(request).await.map(drop)?;
    Ok(String::new())
}

fn look_up(
    channel: Channel,
    ledger: &Ledger,
    n: u64,
    due: Instant,
    deadline: Duration,
) -> impl Future<Output = (u64, Answer)> + use<> {
    ledger.announce(n, Kind::Foreigner.identifier(n));
    async move {
        let call = ask(channel, n, deadline);
        (n, Answer::of(due, deadline, call).await)
    }
}

/// Asks for health and /readyz as a probe would, on connections of its own.
async fn watch(
    instance: &Instance<'_>,
    admin: std::net::SocketAddr,
    looks: &Mutex<Looks>,
) -> Failed {
    let url = format!("http://{admin}/readyz");
    loop {
        let begun = Instant::now();
        let healthy = match rig::channel(instance.grpc) {
            Ok(channel) => rig::is_serving(channel).await,
            Err(error) => return error,
        };
        let asked = Instant::now();
        let ready = rig::is_ok(&url).await;
        let memory = match instance.process.resident_mib() {
            Ok(memory) => memory,
            Err(gone) => return gone,
        };
        {
            let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.healthy.push(asked - begun);
            looks.ready.push(asked.elapsed());
            looks.failed += u32::from(!healthy) + u32::from(!ready);
            looks.peak = looks.peak.max(memory);
        }
        tokio::time::sleep(LOOK).await;
    }
}
