//! The comparison: the gateway, as it is really run, against the floor (examples/floor.rs), which does the
//! same lookup and nothing else. Each has a CPU of its own and the load has another; both take turns, round
//! by round, before the same provider.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use identity_gateway::proto::identity::v1::{
    CheckCurpRequest, identity_service_client::IdentityServiceClient,
};
use tonic::Status;

use crate::{
    Failed,
    children::{self, Child, PATIENCE},
    figures::say,
    lookups::kenya,
    provider,
    rig::Instance,
    stage::{self, Caller, Point, Stage},
};

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// The floor
    #[arg(long, default_value = "target/dist/examples/floor")]
    floor: PathBuf,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// How often each is measured; the best counts
    #[arg(long, default_value_t = 4)]
    rounds: u32,
    /// The CPU that the floor and the gateway run on; the load should have another
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// The CPUs on which both are measured once more, to see what a second one adds
    #[arg(long, default_value = "0,1")]
    cpus: String,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds * self.rounds)) * 20 + Duration::from_secs(120)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

/// Runs, and prints the figures.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let one = options.cpu.to_string();
    let pinned_gateway = pinned(gateway, &one, directory)?;
    let pinned_floor = pinned(&options.floor, &one, directory)?;
    say("Kenya's lookup, found           callers      floor    gateway   ratio");

    let provider = provider::found(Duration::ZERO).await?;
    let ours = everything_on(&pinned_gateway, directory, &provider, options).await?;
    let floor = floor_at(&pinned_floor, directory, &provider, options).await?;
    let (mut idle_floor, mut idle) = (0.0, 0.0);
    let (mut floor_on_one, mut on_one) = (0.0, 0.0);
    for callers in [1, 16, 64, 256] {
        let call = |n, caller| kenya(n, caller, false);
        let (least, own) = in_turns(&floor, &ours, callers, options, call).await?;
        if callers == 1 {
            (idle_floor, idle) = (least.mib, own.mib);
        }
        if callers == 64 {
            (floor_on_one, on_one) = (least.cpu_microseconds, own.cpu_microseconds);
        }
        row(
            "CPU of a call, µs",
            callers,
            least.cpu_microseconds,
            own.cpu_microseconds,
        );
        row("median, ms", callers, ms(&least), ms(&own));
        row(
            "calls a second",
            callers,
            least.calls_per_second,
            own.calls_per_second,
        );
    }
    row("memory, MiB", 1, idle_floor, idle);
    cached(&floor, &ours, options).await?;
    drop((floor, ours));

    let slow = provider::found(Duration::from_millis(20)).await?;
    let ours = everything_on(&pinned_gateway, directory, &slow, options).await?;
    let floor = floor_at(&pinned_floor, directory, &slow, options).await?;
    let call = |n, caller| kenya(n, caller, false);
    let (least, own) = in_turns(&floor, &ours, 2000, options, call).await?;
    row(
        "provider takes 20 ms: calls/s",
        2000,
        least.calls_per_second,
        own.calls_per_second,
    );
    row("memory, MiB", 2000, least.mib, own.mib);
    drop((floor, ours));

    let spread_gateway = pinned(gateway, &options.cpus, directory)?;
    let spread_floor = pinned(&options.floor, &options.cpus, directory)?;
    let ours = everything_on(&spread_gateway, directory, &provider, options).await?;
    let floor = floor_at(&spread_floor, directory, &provider, options).await?;
    let (least, own) = in_turns(&floor, &ours, 64, options, call).await?;
    let cpus = options.cpus.split(',').count();
    for (name, one, all) in [
        ("floor", floor_on_one, least.cpu_microseconds),
        ("gateway", on_one, own.cpu_microseconds),
    ] {
        say(&format!(
            "{name} on {cpus} CPUs: {all:.1} µs of CPU for a call, where it takes {one:.1} on one: {:.2} times the throughput",
            cpus as f64 * one / all
        ));
    }
    drop((floor, ours));

    let mut took = Vec::new();
    for _ in 0..options.rounds.max(3) {
        took.push(first_reply(&pinned_gateway, directory, &provider).await?);
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    say(&format!(
        "from exec to the first good reply: {:.1} ms, median of {}",
        median.as_secs_f64() * 1e3,
        took.len()
    ));
    Ok(())
}

/// Answers from the cache, against an answer that the floor makes up: an echo with nobody behind it.
async fn cached(floor: &Stage, ours: &Stage, options: &Options) -> Result<(), Failed> {
    // Every number that is asked for is kept before the time runs.
    const KEPT: u64 = 50;
    ours.times(KEPT, 1, |n, caller| kenya(n, caller, true))
        .await?;
    let mut points = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        points
            .0
            .push(floor.load(64, |_, caller| echo(caller)).await?);
        points.1.push(
            ours.load(64, |n, caller| kenya(n % KEPT, caller, true))
                .await?,
        );
    }
    let (least, own) = (best(points.0)?, best(points.1)?);
    row(
        "from the cache, against an echo: CPU, µs",
        64,
        least.cpu_microseconds,
        own.cpu_microseconds,
    );
    Ok(())
}

async fn echo(caller: Caller) -> Result<(), Status> {
    let mut client = IdentityServiceClient::new(caller);
    client
        .check_curp(CheckCurpRequest::default())
        .await
        .map(drop)
}

async fn in_turns<C: Future<Output = Result<(), Status>>>(
    floor: &Stage,
    ours: &Stage,
    callers: u64,
    options: &Options,
    call: impl Fn(u64, Caller) -> C,
) -> Result<(Point, Point), Failed> {
    let (mut least, mut own) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        least.push(floor.load(callers, &call).await?);
        own.push(ours.load(callers, &call).await?);
    }
    Ok((best(least)?, best(own)?))
}

/// The machine's other work can only add to the time that a call takes.
fn best(points: Vec<Point>) -> Result<Point, Failed> {
    let cpu = |point: &Point| point.cpu_microseconds;
    let best = points.into_iter().min_by(|a, b| cpu(a).total_cmp(&cpu(b)));
    best.ok_or_else(|| "there were no rounds".into())
}

async fn everything_on(
    program: &Path,
    directory: &Path,
    providers: &str,
    options: &Options,
) -> Result<Stage, Failed> {
    let directory = &room(directory)?;
    let settings = [("PROVIDERS__YOUVERIFY__MAX_IN_FLIGHT", "4096".to_owned())];
    Stage::gateway(program, directory, providers, &settings, options.seconds()).await
}

async fn floor_at(
    program: &Path,
    directory: &Path,
    provider: &str,
    options: &Options,
) -> Result<Stage, Failed> {
    let [listen] = children::addresses(u64::from(std::process::id()) * 11)?;
    let arguments = [listen.to_string(), provider.to_owned()];
    let mut floor = Child::start("floor", program, &arguments, &[], directory)?;
    let answers = || async { tokio::net::TcpStream::connect(listen).await.is_ok() };
    floor.ready(answers).await?;
    Stage::over(floor, listen, options.seconds())
}

/// How long the gateway takes from its start to its first answer.
async fn first_reply(program: &Path, directory: &Path, provider: &str) -> Result<Duration, Failed> {
    let directory = &room(directory)?;
    let settings = stage::everything(directory, "http://127.0.0.1:9")?;
    let ports = children::addresses(u64::from(std::process::id()) * 13)?;
    let begun = Instant::now();
    let instance = Instance::spawn("first", program, directory, ports, provider, &settings)?;
    while begun.elapsed() < PATIENCE {
        // A connection of its own each time: one that was refused waits before it tries again.
        let answered = kenya(1, stage::caller(instance.grpc)?, false).await;
        if answered.is_ok() {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Err(instance.process.tell("gives no answer"))
}

/// A directory for one process: the one before may still hold its own audit.
fn room(directory: &Path) -> Result<PathBuf, Failed> {
    Ok(tempfile::tempdir_in(directory)?.keep())
}

/// A program that does the same on these CPUs alone.
fn pinned(program: &Path, cpus: &str, directory: &Path) -> Result<PathBuf, Failed> {
    let whole = std::path::absolute(program)?;
    let name = program
        .file_name()
        .ok_or("not a program")?
        .to_string_lossy();
    let path = directory.join(format!("{name}-on-{cpus}"));
    let script = format!(
        "#!/bin/sh\nexec taskset -c {cpus} '{}' \"$@\"\n",
        whole.display()
    );
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

fn ms(point: &Point) -> f64 {
    point.median.as_secs_f64() * 1e3
}

fn row(what: &str, callers: u64, floor: f64, gateway: f64) {
    let digits = usize::from(floor < 1000.0) + usize::from(floor < 10.0);
    say(&format!(
        "{what:<32}{callers:>7}{floor:>11.digits$}{gateway:>11.digits$}{:>8.2}",
        gateway / floor
    ));
}
