//! The chaos run: constant load through Envoy on three instances that share a Redis, while two of
//! them are terminated and started again and again. The first half of the calls meets no fault, so
//! that every failure in it was caused by an instance's leaving; then the faults begin.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use tokio::time::sleep_until;

use crate::{
    Failed,
    calls::Callers,
    chaos_report::Seen,
    children,
    faults::{CONNECT_TIMEOUT, PROVIDER_TIMEOUT, Schedule},
    figures::say,
    fronts::{self, Settings},
    ledger::Ledger,
    memory::Memory,
    open_loop::Load,
    pace,
    rig::{self, Instance},
    stalls::Stalls,
};

/// How often the memory is read.
const LOOK: Duration = Duration::from_millis(250);

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// The seed of all that is random; replays a schedule [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How often an instance is terminated and started again
    #[arg(long, default_value_t = 100)]
    restarts: u32,
    /// Seconds between two restarts
    #[arg(long, default_value_t = 2.5)]
    every: f64,
    /// Calls a second, or what the machine can bear if that is less; one in eight is a create that is asked
    /// for three times
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Envoy's binary
    #[arg(long)]
    envoy: PathBuf,
    /// Redis's binary
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.restarts) * self.every.clamp(0.1, 600.0))
    }

    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        self.duration() + Duration::from_secs(180)
    }
}

/// Runs, prints the figures, and fails if something is not as it must be.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = options.seed.unwrap_or(clock.as_secs() % 1_000_000);
    let calls = Load::lasting(options.duration(), options.rate).calls;
    let first = 1 + pace::CALLS;
    let schedule = Schedule {
        seed,
        from: first + calls / 2,
        giants_until: first + calls * 3 / 4,
    };

    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let ledger = Arc::new(Ledger::new(schedule));
    let spoken = |provider| schedule.protocol(provider);
    let providers = fronts::start(&ledger, directory, Duration::ZERO, spoken).await?;
    let [g0, a0, g1, a1, g2, a2, redis, envoy, admin] =
        children::addresses(clock.as_micros() as u64)?;
    let _redis = rig::redis(&options.redis, directory, redis).await?;
    let settings: Settings = settings(redis).into_iter().chain(providers).collect();
    let start = |name, at| Instance::start(name, gateway, directory, at, "", &settings);
    let (witness, mut one, mut two) = tokio::try_join!(
        start("gateway-0", [g0, a0]),
        start("gateway-1", [g1, a1]),
        start("gateway-2", [g2, a2]),
    )?;
    let all = [g0, g1, g2];
    let _envoy = rig::envoy(&options.envoy, directory, [envoy, admin], &all).await?;

    let mut callers = Callers {
        channel: rig::channel(envoy)?,
        schedule,
    };
    let call = |n| {
        ledger.expect(n);
        callers.warm_up(n)
    };
    let rate = options.rate.min(pace::bearable(call).await);
    let load = Load {
        first,
        ..Load::lasting(options.duration(), rate)
    };
    // The same halves of fewer calls.
    let schedule = Schedule {
        from: first + load.calls / 2,
        giants_until: first + load.calls * 3 / 4,
        ..schedule
    };
    ledger.reschedule(schedule);
    callers.schedule = schedule;
    say(&format!(
        "chaos: seed {seed}, {} restarts, {} calls, {rate:.1} a second",
        options.restarts, load.calls
    ));
    let (memory, stalls, began) = (Mutex::default(), Stalls::watch(), Instant::now());
    let calls = load.run(|n, due| {
        ledger.expect(n);
        callers.clone().ask(n, due)
    });
    let half = options.restarts / 2;
    let every = Duration::from_secs_f64(options.every.clamp(0.1, 600.0));
    let work = async {
        tokio::try_join!(
            calls,
            restart(
                &mut one,
                schedule,
                options.restarts - half,
                every,
                Duration::ZERO
            ),
            restart(&mut two, schedule, half, every, every),
        )
    };
    let (asked, mut leaving, others) = tokio::select! {
        done = work => done?,
        gone = watch(&witness, &memory, began) => return Err(gone),
    };
    leaving.extend(others);
    let memory = memory.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lasted = options.duration();
    let seen = Seen {
        asked,
        leaving,
        memory,
        settled: (lasted * 3 / 4, lasted),
        stalls,
    };
    seen.report(&ledger, schedule, options.restarts)
}

fn settings(redis: std::net::SocketAddr) -> Settings {
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

/// Notes the memory of the instance that stays, for as long as it stays.
async fn watch(witness: &Instance<'_>, memory: &Mutex<Memory>, began: Instant) -> Failed {
    loop {
        match witness.process.resident_mib() {
            Ok(mib) => memory
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(began.elapsed(), mib),
            Err(gone) => return gone,
        }
        tokio::time::sleep(LOOK).await;
    }
}
