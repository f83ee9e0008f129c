//! The impatient run: how often a question is paid for when callers give up about as often as the provider
//! takes longer than they wait, and ask again as a real client does.
//!
//! The rig is that of the chaos run, and the providers have no fault but that they take their time. Every
//! conversation is one caller's about one person whom nobody else asks about, so each charge after the first
//! is one that somebody's impatience has cost.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use identity_gateway::proto::identity::v1::Source;
use tokio::time::sleep_until;
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    Failed,
    answer::Answer,
    calls::hang_up_after,
    cluster::{self, Cluster, Programs},
    faults::{self, PROVIDER_TIMEOUT, Schedule},
    figures::say,
    fronts,
    impatient_report::Report,
    ledger::Ledger,
    open_loop::Load,
    pace,
    question::Question,
    stalls::Stalls,
    subjects::Kind,
};

/// A caller asks at most so often.
const TRIES: u64 = 6;
/// Each time it waits so much longer.
const LONGER: f64 = 1.5;
/// Nobody's first deadline is shorter.
const LEAST: Duration = Duration::from_millis(150);
/// Milliseconds before it asks again.
const PAUSE: u64 = 200;
/// One caller in so many drops its calls instead of waiting for the deadline.
const HANGS_UP: u64 = 10;
/// A conversation is about so many calls: the machine must bear them all.
const CALLS: f64 = 2.0;

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// The seed of all that is random; replays the latencies, deadlines and pauses [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How long conversations begin
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Conversations that begin in a second, or what the machine can bear if that is less
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Gateways behind Envoy
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// How often one of the second and third gateways is terminated and started again, evenly spread
    #[arg(long, default_value_t = 0)]
    restarts: u32,
    /// The most charges for each question that was charged, such as 1.001; more fails the run
    #[arg(long)]
    at_most: Option<f64>,
    /// Which conversations have a request_id, the same in each try
    #[arg(long, value_enum, default_value = "half")]
    request_ids: RequestIds,
    #[command(flatten)]
    programs: Programs,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        self.duration() + Duration::from_secs(180)
    }
}

/// Runs, prints the figures, and fails if something is not as it must be.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    if options.instances == 0 || options.restarts > 0 && options.instances < 3 {
        return Err("a run needs an instance, and --restarts three".into());
    }
    let schedule = Schedule::quiet(faults::seed(options.seed)?);
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let ledger = Arc::new(Ledger::new(schedule));
    let spoken = |provider| schedule.protocol(provider);
    let mut settings = fronts::start(&ledger, directory, Duration::ZERO, spoken).await?;
    settings.extend(patient_breakers());
    let (programs, instances) = (&options.programs, options.instances);
    let mut cluster = Cluster::start(gateway, programs, directory, instances, settings).await?;
    let callers = Callers {
        channel: cluster.channel.clone(),
        schedule: Schedule {
            takes_time: true,
            ..schedule
        },
        ids: options.request_ids,
    };
    // Only before a provider that answers at once can it be seen how fast the machine is.
    let call = |n| {
        ledger.announce(n, kind(n).identifier(n));
        callers.ask(question(n, RequestIds::None), PROVIDER_TIMEOUT)
    };
    let rate = options.rate.min(pace::bearable(call).await / CALLS);
    ledger.reschedule(callers.schedule);
    let load = Load {
        first: 1 + pace::CALLS,
        ..Load::lasting(options.duration(), rate)
    };
    say(&format!(
        "impatient: seed {}, {} restarts, {} conversations, {rate:.1} a second",
        schedule.seed, options.restarts, load.calls
    ));
    let stalls = Stalls::watch();
    let talks = load.run(|n, due| {
        ledger.announce(n, kind(n).identifier(n));
        callers.clone().converse(n, due)
    });
    let (talks, leaving) = match cluster.instances.as_mut_slice() {
        [_, one, two, ..] => {
            let every = options.duration() / options.restarts.max(1);
            let leave = cluster::restart_in_turn((one, two), schedule, options.restarts, every);
            tokio::try_join!(talks, leave)?
        }
        _ => (talks.await?, Vec::new()),
    };
    let report = Report {
        talks,
        leaving,
        restarts: options.restarts,
        at_most: options.at_most,
        stalls,
    };
    let replay = |broken| format!("{broken}; replay: --seed {}", schedule.seed).into();
    report.show(&ledger).map_err(replay)
}

/// By default a request whose caller has cancelled it after a second counts as failed. These providers often
/// take longer, and the setting's own words are to set it longer than they usually do.
fn patient_breakers() -> fronts::Settings {
    let longer = format!("{}s", PROVIDER_TIMEOUT.as_secs());
    let keys = [
        "PROVIDERS__VERIFIK__BREAKER_ABANDONED_AFTER",
        "PROVIDERS__YOUVERIFY__BREAKER_ABANDONED_AFTER",
        "PROVIDERS__ACCUAUTH__BREAKER_ABANDONED_AFTER",
    ];
    keys.map(|key| (key, longer.clone())).into()
}

/// All RPCs of the service in turn.
const fn kind(n: u64) -> Kind {
    match n % 4 {
        0 => Kind::Foreigner,
        1 => Kind::Dni,
        2 => Kind::Kenya,
        _ => Kind::Curp,
    }
}

/// Which conversations have a `request_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RequestIds {
    None,
    Half,
    All,
}

/// What conversation `n` asks, every time the same. Every message that is sent in a conversation is a clone of this
/// one, its `request_id` included.
fn question(n: u64, ids: RequestIds) -> Result<Question, Status> {
    let question = Question::about(kind(n), n)?;
    let has_id = match ids {
        RequestIds::None => false,
        // The kinds go round by fours.
        RequestIds::Half => (n / 4).is_multiple_of(2),
        RequestIds::All => true,
    };
    Ok(match has_id {
        true => question.with_id(uuid::Uuid::new_v4().to_string()),
        false => question,
    })
}

/// One caller's tries to learn one thing.
pub struct Talk {
    /// The number.
    n: u64,
    /// What came of each try, the last one last.
    pub tries: Vec<Answer<Source>>,
}

impl Talk {
    /// Whom it was about.
    pub fn identifier(&self) -> String {
        kind(self.n).identifier(self.n)
    }

    /// Where the answer came from, if there was one in the end.
    pub fn source(&self) -> Option<Source> {
        self.tries.last()?.result.as_ref().ok().copied()
    }
}

/// Callers behind one connection to Envoy.
#[derive(Clone)]
struct Callers {
    channel: Channel,
    schedule: Schedule,
    ids: RequestIds,
}

impl Callers {
    async fn ask(
        &self,
        question: Result<Question, Status>,
        deadline: Duration,
    ) -> Result<Source, Status> {
        let mut head = Request::new(());
        head.set_timeout(deadline);
        question?.ask(self.channel.clone(), head).await
    }

    /// Asks until there is an answer, or an error that repeating does not help.
    async fn converse(self, n: u64, mut due: Instant) -> Talk {
        let question = question(n, self.ids);
        let mut deadline = self.first_deadline(n);
        let mut tries = Vec::new();
        for time in 0..TRIES {
            sleep_until(due.into()).await;
            let call = self.ask(question.clone(), deadline);
            let answer = match self.schedule.chance(n, 40, HANGS_UP) {
                true => {
                    let patience = deadline.mul_f64(self.share(n, 41 + time, 0.5, 1.0));
                    Answer::of(due, patience, hang_up_after(patience, call)).await
                }
                false => Answer::of(due, deadline, call).await,
            };
            let wait = repeats_after(&answer);
            tries.push(answer);
            let Some(wait) = wait else {
                break;
            };
            let pause = Duration::from_millis(self.schedule.roll(n, 50 + time) % (PAUSE + 1));
            due = Instant::now() + wait + pause;
            deadline = deadline.mul_f64(LONGER);
        }
        Talk { n, tries }
    }

    /// About as long as the provider takes: somewhat less than half of the callers wait long enough.
    fn first_deadline(&self, n: u64) -> Duration {
        let latency = self.schedule.latency(n);
        latency.mul_f64(self.share(n, 60, 0.3, 1.7)).max(LEAST)
    }

    fn share(&self, n: u64, salt: u64, least: f64, most: f64) -> f64 {
        least + (most - least) * self.schedule.share(n, salt)
    }
}

/// How long a client is asked to wait before it repeats, if it is one of the errors after which it does.
fn repeats_after(answer: &Answer<Source>) -> Option<Duration> {
    let refusal = answer.result.as_ref().err()?;
    match refusal.code {
        Code::DeadlineExceeded => Some(refusal.retry_after.unwrap_or_default()),
        Code::Unavailable | Code::ResourceExhausted => refusal.retry_after,
        // Its own timer, or it hung up.
        _ => answer.ended_by_caller().map(|_| Duration::ZERO),
    }
}
