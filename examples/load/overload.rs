//! The overload run: one instance with few places before a provider of fixed latency, asked for
//! several times what it can do.
//!
//! Its capacity is places / latency. The unloaded latency is measured in the same run, at a fifth of
//! the capacity, so that the assertions are ratios and hold on a slow machine too.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use identity_gateway::{
    proto::identity::v1::{
        VerifyPeForeignerIdRequest, identity_service_client::IdentityServiceClient,
    },
    sandbox,
};
use tokio::net::TcpListener;
use tonic::{Request, transport::Channel};

use crate::{
    Failed,
    answer::Answer,
    children,
    figures::say,
    open_loop::Load,
    overload_report::{LENIENT, Looks, Report, STRICT},
    rig::{self, Instance},
    subjects::Kind,
};

/// How long the provider takes.
const LATENCY: Duration = Duration::from_millis(200);
/// How many calls the gateway takes at once.
const PLACES: u32 = 20;
/// How many times its capacity it is asked for.
const FACTOR: f64 = 5.0;
const DEADLINE: Duration = Duration::from_secs(5);
/// How often health, /readyz and the memory are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// Seconds of overload
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Tolerances for a short run on a machine that does other things as well
    #[arg(long)]
    lenient: bool,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) * 2 + Duration::from_secs(120)
    }
}

/// Runs, prints the figures, and fails if something is not as it must be.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let provider = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", provider.local_addr()?);
    let slow = sandbox::Options { delay: LATENCY };
    tokio::spawn(sandbox::serve(provider, slow, std::future::pending()));
    let directory = tempfile::tempdir()?;
    let ports = children::addresses(u64::from(std::process::id()) * 7)?;
    let settings = [("SERVER__MAX_IN_FLIGHT", PLACES.to_string())];
    let instance =
        Instance::start("gateway", gateway, directory.path(), ports, &url, &settings).await?;
    let channel = rig::channel(instance.grpc)?;

    let capacity = f64::from(PLACES) / LATENCY.as_secs_f64();
    let seconds = Duration::from_secs(u64::from(options.seconds));
    say(&format!(
        "overload: {capacity:.0} calls/s possible, {:.0} offered, {seconds:?}",
        capacity * FACTOR
    ));
    let unloaded = Load::lasting(seconds / 4, capacity / 5.0);
    let loaded = Load {
        first: unloaded.calls,
        ..Load::lasting(seconds, capacity * FACTOR)
    };
    let call = |n, due| look_up(channel.clone(), n, due);
    let calm = unloaded.run(call).await?;
    let before = instance.process.resident_mib()?;
    let looks = Mutex::new(Looks::default());
    let started = Instant::now();
    let stormy = tokio::select! {
        answers = loaded.run(call) => answers?,
        gone = watch(&instance, ports[1], &looks) => return Err(gone),
    };
    let took = started.elapsed().max(seconds);
    let looks = looks.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report {
        calm,
        stormy,
        took,
        capacity,
        growth: looks.peak - before,
        looks,
    }
    .show(if options.lenient { &LENIENT } else { &STRICT })
}

async fn look_up(channel: Channel, n: u64, due: Instant) -> Answer {
    let request = VerifyPeForeignerIdRequest {
        document_number: Kind::Foreigner.identifier(n),
        birthdate: "1990-01-01".to_owned(),
        ..Default::default()
    };
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    let mut client = IdentityServiceClient::new(channel);
    let call = async {
        client.verify_pe_foreigner_id(request).await?;
        Ok(String::new())
    };
    Answer::of(due, call).await
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
