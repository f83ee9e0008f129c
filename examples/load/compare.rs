//! The comparison: the gateway, as it is by default and with an audit file, against the floor
//! (examples/floor.rs), which does the same lookup and nothing else. Both take turns, round by round, before the same provider.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use crate::{
    Failed,
    children::{self, Child},
    figures::say,
    stage::{self, Point, Stage, kenya},
};

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// The floor
    #[arg(long, default_value = "target/release/examples/floor")]
    floor: PathBuf,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// How often each is measured; the best counts
    #[arg(long, default_value_t = 4)]
    rounds: u32,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds * self.rounds)) * 12 + Duration::from_secs(120)
    }
}

/// Runs, and prints the figures.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let provider = stage::provider(Duration::ZERO).await?;
    let seconds = Duration::from_secs(u64::from(options.seconds));
    let audit = directory.path().join("audit.log").display().to_string();
    let settings = [
        ("LOG__FILTER", "info".to_owned()),
        ("AUDIT__SINK", "file".to_owned()),
        ("AUDIT__PATH", audit),
        ("AUDIT__KEY", "k".repeat(32)),
    ];
    let ours = Stage::gateway(gateway, directory.path(), &provider, &settings, seconds).await?;
    let [listen] = children::addresses(u64::from(std::process::id()) * 11)?;
    let arguments = [listen.to_string(), provider.clone()];
    let mut floor = Child::start("floor", &options.floor, &arguments, &[], directory.path())?;
    let answers = || async { tokio::net::TcpStream::connect(listen).await.is_ok() };
    floor.ready(answers).await?;
    let floor = Stage::over(floor, listen, seconds)?;
    say(
        "callers          floor                          gateway                        ratio of CPU",
    );
    for callers in [1, 16, 64, 256] {
        let (mut least, mut own) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            least.push(
                floor
                    .load(callers, |n, channel| kenya(n, channel, false))
                    .await?,
            );
            own.push(
                ours.load(callers, |n, channel| kenya(n, channel, false))
                    .await?,
            );
        }
        let (least, own) = (best(least)?, best(own)?);
        let ratio = own.cpu_microseconds / least.cpu_microseconds;
        say(&format!(
            "{callers:>7}  {}  {}  {ratio:.2}",
            shown(&least),
            shown(&own)
        ));
    }
    Ok(())
}

/// The machine's other work can only add to the time that a call takes.
fn best(points: Vec<Point>) -> Result<Point, Failed> {
    let cpu = |point: &Point| point.cpu_microseconds;
    let best = points.into_iter().min_by(|a, b| cpu(a).total_cmp(&cpu(b)));
    best.ok_or_else(|| "there were no rounds".into())
}

fn shown(point: &Point) -> String {
    let median = point.median.as_secs_f64() * 1e3;
    let Point {
        calls_per_second,
        cpu_microseconds,
        mib,
        ..
    } = point;
    format!("{calls_per_second:>6.0}/s {cpu_microseconds:>6.1} µs {median:>6.2} ms {mib:>4.0} MiB")
}
