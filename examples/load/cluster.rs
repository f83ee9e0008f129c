//! Several gateways behind one Envoy, which share a Redis and ask the providers of a run.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use futures_util::future::try_join_all;
use tokio::time::sleep_until;
use tonic::transport::Channel;

use crate::{
    Failed,
    children::{self, Child},
    faults::{CONNECT_TIMEOUT, PROVIDER_TIMEOUT, Schedule},
    fronts::Settings,
    rig::{self, Instance},
};

/// What stands around the gateways.
#[derive(Args)]
pub struct Programs {
    /// Envoy's binary
    #[arg(long)]
    envoy: PathBuf,
    /// Redis's binary
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
}

/// All that runs; it ends when this is dropped.
pub struct Cluster<'a> {
    /// To Envoy.
    pub channel: Channel,
    /// The gateways.
    pub instances: Vec<Instance<'a>>,
    _envoy: Child,
    _redis: Child,
}

impl<'a> Cluster<'a> {
    /// Starts so many gateways, with these settings and what they share, and waits until Envoy knows them.
    pub async fn start(
        gateway: &'a Path,
        programs: &Programs,
        directory: &'a Path,
        instances: usize,
        more: Settings,
    ) -> Result<Self, Failed> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seed = clock.as_micros() as u64;
        let [redis, envoy, admin, ports @ ..] = &children::free(seed, 3 + 2 * instances)?[..]
        else {
            return Err("ports".into());
        };
        let redis_runs = rig::redis(&programs.redis, directory, *redis).await?;
        let settings: Settings = settings(*redis).into_iter().chain(more).collect();
        let (ports, _) = ports.as_chunks::<2>();
        let start = ports.iter().enumerate().map(async |(place, at)| {
            let name = format!("gateway-{place}");
            Instance::start(&name, gateway, directory, *at, "", &settings).await
        });
        let instances = try_join_all(start).await?;
        let all: Vec<_> = instances.iter().map(|instance| instance.grpc).collect();
        let _envoy = rig::envoy(&programs.envoy, directory, [*envoy, *admin], &all).await?;
        Ok(Self {
            channel: rig::channel(*envoy)?,
            instances,
            _envoy,
            _redis: redis_runs,
        })
    }
}

fn settings(redis: SocketAddr) -> Settings {
    let (timeout, connect) = (
        format!("{}s", PROVIDER_TIMEOUT.as_secs()),
        format!("{}s", CONNECT_TIMEOUT.as_secs()),
    );
    vec![
        ("PROVIDERS__VERIFIK__TIMEOUT", timeout.clone()),
        ("PROVIDERS__YOUVERIFY__TIMEOUT", timeout.clone()),
        ("PROVIDERS__ACCUAUTH__TIMEOUT", timeout),
        ("PROVIDERS__VERIFIK__CONNECT_TIMEOUT", connect.clone()),
        ("PROVIDERS__YOUVERIFY__CONNECT_TIMEOUT", connect.clone()),
        ("PROVIDERS__ACCUAUTH__CONNECT_TIMEOUT", connect),
        ("CACHE__URL", format!("redis://{redis}/0")),
        (
            "CACHE__KEY",
            "a key of the chaos run, thirty-two bytes and more".to_owned(),
        ),
    ]
}

/// Restarts the two in turn, so often in all and evenly spread; how long each took to leave.
pub async fn restart_in_turn(
    (one, two): (&mut Instance<'_>, &mut Instance<'_>),
    schedule: Schedule,
    times: u32,
    every: Duration,
) -> Result<Vec<Duration>, Failed> {
    let half = times / 2;
    let (mut leaving, others) = tokio::try_join!(
        restart(one, schedule, times - half, every, Duration::ZERO),
        restart(two, schedule, half, every, every),
    )?;
    leaving.extend(others);
    Ok(leaving)
}

/// Every second restart is this instance's, at a moment that the seed shifts a little.
async fn restart(
    instance: &mut Instance<'_>,
    schedule: Schedule,
    times: u32,
    every: Duration,
    offset: Duration,
) -> Result<Vec<Duration>, Failed> {
    let started = Instant::now();
    let mut leaving = Vec::new();
    for time in 0..times {
        let shift = schedule.roll(u64::from(time), offset.as_millis() as u64) % 100;
        let due = offset + every * (2 * time) + every.mul_f64(shift as f64 / 200.0);
        sleep_until((started + due).into()).await;
        leaving.push(instance.restart().await?);
    }
    Ok(leaving)
}
