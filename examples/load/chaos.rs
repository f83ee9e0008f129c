//! The chaos run: constant load through Envoy on three instances that share a Redis, while two of
//! them are terminated and started again and again. The first half of the calls meets no fault, so
//! that every failure in it was caused by an instance's leaving; then the faults begin.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    Failed,
    calls::Callers,
    chaos_report::Seen,
    cluster::{self, Cluster, Programs},
    faults::{self, Schedule},
    figures::say,
    fronts,
    ledger::Ledger,
    memory::Memory,
    open_loop::Load,
    pace,
    rig::Instance,
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
    #[command(flatten)]
    programs: Programs,
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
    let seed = faults::seed(options.seed)?;
    let calls = Load::lasting(options.duration(), options.rate).calls;
    let first = 1 + pace::CALLS;
    let schedule = Schedule {
        from: first + calls / 2,
        giants_until: first + calls * 3 / 4,
        ..Schedule::quiet(seed)
    };

    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let ledger = Arc::new(Ledger::new(schedule));
    let spoken = |provider| schedule.protocol(provider);
    let providers = fronts::start(&ledger, directory, Duration::ZERO, spoken).await?;
    let programs = &options.programs;
    let mut cluster = Cluster::start(gateway, programs, directory, 3, providers).await?;
    let mut callers = Callers {
        channel: cluster.channel.clone(),
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
    let [witness, one, two] = cluster.instances.as_mut_slice() else {
        return Err("three instances are needed".into());
    };
    let every = Duration::from_secs_f64(options.every.clamp(0.1, 600.0));
    let restarts = cluster::restart_in_turn((one, two), schedule, options.restarts, every);
    let work = async { tokio::try_join!(calls, restarts) };
    let (asked, leaving) = tokio::select! {
        done = work => done?,
        gone = watch(witness, &memory, began) => return Err(gone),
    };
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
