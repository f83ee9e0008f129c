//! Paid once, delivered once, as a property over thousands of generated schedules.
//!
//! Callers with deadlines around the provider's latency give up, cancel, hang up and ask again, with a `request_id`
//! and without, at one, two and three replicas, whose Redis stops for a while, and of which one is killed. Real
//! gRPC in front, a provider behind that charges what arrives. In every schedule:
//!
//! - a request id is charged once at most, whatever stops or is killed;
//! - nobody gets an answer that waits for another caller;
//! - of what was charged, 999 of a thousand were told to who paid: at once or to its repeat. What a killed replica or
//!   a stopped Redis was in the way of is counted apart, and printed.
//!
//! `DELIVERY_SCHEDULES` says how many (10,000 if it is not set); the seed is printed, and `DELIVERY_SEED` runs it again:
//! the schedules are the same, the interleaving is the scheduler's.

mod caller;
mod provider;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use identity_gateway::{
    config::{AuthMode, CurpCheck, Settings, Span},
    domain::redaction::Secret,
    proto::identity::v1::Source,
    server,
    sha256::Sha256,
};
use tokio::runtime::Runtime;

use self::{
    caller::{Ended, Plan, converse, reason, stub},
    provider::{Entered, Fate, Provider},
};
use crate::kit::redis_server::{KEY, Redis, redis};

const IN_PARALLEL: usize = 48;
/// Of the provider.
const TIMEOUT: Duration = Duration::from_millis(1500);
const CALLERS: [&str; 2] = ["one", "two"];

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Nothing,
    /// Redis stops answering for a moment, again and again.
    RedisStops,
    /// The last replica is killed at whatever await its tasks stand.
    Kill,
}

#[derive(Debug, Clone, Copy)]
struct World {
    replicas: usize,
    happens: Happens,
    /// Of ten.
    share: usize,
}

const WORLDS: [World; 5] = [
    World {
        replicas: 1,
        happens: Happens::Nothing,
        share: 3,
    },
    World {
        replicas: 2,
        happens: Happens::Nothing,
        share: 2,
    },
    World {
        replicas: 3,
        happens: Happens::Nothing,
        share: 2,
    },
    World {
        replicas: 2,
        happens: Happens::RedisStops,
        share: 1,
    },
    World {
        replicas: 3,
        happens: Happens::Kill,
        share: 2,
    },
];

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_for_reaches_its_caller_and_is_paid_for_once() {
    let seed = number_of("DELIVERY_SEED").unwrap_or_else(|| fastrand::u64(..));
    let schedules = number_of("DELIVERY_SCHEDULES").unwrap_or(10_000);
    let schedules = usize::try_from(schedules).unwrap();
    println!("DELIVERY_SEED={seed} DELIVERY_SCHEDULES={schedules}");
    let mut sum = Sum::default();
    for (number, world) in (0..).zip(WORLDS) {
        let redis = match world.replicas {
            1 => None,
            _ => match redis().await {
                Some(redis) => Some(redis),
                None => continue,
            },
        };
        let count = schedules * world.share / 10;
        world
            .run(seed.wrapping_add(number), count, redis, &mut sum)
            .await;
    }
    println!("all: {sum:?}");
    assert!(
        sum.charged > schedules / 4,
        "a ledger without charges proves nothing"
    );
    assert!(sum.recovered > schedules / 20, "most schedules met nothing");
    let promised = sum.charged / 1000;
    // Of few schedules, three standard deviations more may be chance.
    let chance = if schedules < 100_000 {
        3 * promised.isqrt()
    } else {
        0
    };
    assert!(sum.lost <= promised + chance, "paid answers reached nobody");
}

/// What was seen.
#[derive(Debug, Default)]
struct Sum {
    conversations: usize,
    charged: usize,
    /// Charged, and told to nobody, or charged again.
    lost: usize,
    recovered: usize,
    /// Of conversations that a kill or a stopped Redis was in the way of.
    charged_apart: usize,
    lost_apart: usize,
}

/// A replica in a runtime of its own.
struct Replica {
    address: String,
    runtime: Option<Runtime>,
}

impl Replica {
    async fn start(url: &str, redis: Option<&Redis>, policy: &Policy) -> Self {
        let mut settings = Settings::default();
        settings.server.listen = "127.0.0.1:0".parse().unwrap();
        settings.admin.listen = settings.server.listen;
        settings.curp.check = CurpCheck::Shape;
        settings.auth.mode = vec![AuthMode::Keys];
        settings.auth.keys.file = Some(policy.directory.path().join("keys"));
        settings.auth.policy_file = Some(policy.directory.path().join("policy.toml"));
        if let Some(redis) = redis {
            settings.cache.url = Some(Secret::new(redis.url()));
            settings.cache.key = Some(Secret::new(KEY));
            settings.cache.timeout = Span::new(Duration::from_millis(500));
        }
        let accuauth = &mut settings.providers.accuauth;
        accuauth.base_url = url.parse().unwrap();
        accuauth.api_id = Some(Secret::new("id"));
        accuauth.api_secret = Some(Secret::new("secret"));
        accuauth.timeout = Span::new(TIMEOUT);
        accuauth.max_in_flight = 1000;
        accuauth.breaker_consecutive_failures = 0;
        accuauth.breaker_minimum_calls = 1_000_000;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (tell, address) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let serving = server::bind(&settings).await.unwrap();
            let address = format!("http://{}", serving.grpc_address);
            serving
                .run(&settings, || tell.send(address).unwrap())
                .await
                .unwrap();
        });
        Self {
            address: address.await.unwrap(),
            runtime: Some(runtime),
        }
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Two callers under one rule, who share what is in flight.
struct Policy {
    directory: tempfile::TempDir,
}

impl Policy {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let line = |name: &&str| {
            let digest = Sha256::digest(key(name));
            let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name} {hash}\n")
        };
        let lines: String = CALLERS.iter().map(line).collect();
        std::fs::write(directory.path().join("keys"), lines).unwrap();
        let rule = "[[allow]]\nname = 'both'\nidentities = ['one', 'two']\nrpcs = ['idgw.identity.v1.IdentityService/CheckCurp']\n";
        std::fs::write(directory.path().join("policy.toml"), rule).unwrap();
        Self { directory }
    }
}

fn key(name: &str) -> String {
    format!("the preshared key of {name}, for tests only")
}

impl World {
    async fn run(self, seed: u64, count: usize, redis: Option<Redis>, sum: &mut Sum) {
        let mut rng = Rng::with_seed(seed);
        let numbers: HashSet<String> = (0..count).map(|_| number(&mut rng)).collect();
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_unstable();
        let fates = numbers
            .iter()
            .map(|number| (number.clone(), Fate::random(&mut rng)));
        let provider = Provider::start(fates.collect()).await;
        let policy = Policy::new();
        let mut replicas = Vec::new();
        for _ in 0..self.replicas {
            replicas.push(Replica::start(&provider.url, redis.as_ref(), &policy).await);
        }
        // Until each has reached Redis.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut plans = Vec::new();
        for number in numbers {
            // Of ten numbers one is asked about by both callers.
            let rivals = if rng.u32(..10) == 0 { 2 } else { 1 };
            for caller in CALLERS.iter().take(rivals) {
                plans.push(Plan::random(
                    number.clone(),
                    caller,
                    self.replicas,
                    &mut rng,
                ));
            }
        }
        let addresses: Vec<_> = replicas.iter().map(|one| one.address.clone()).collect();
        let stubs: Vec<_> = addresses.iter().map(|address| stub(address)).collect();
        let begun = Instant::now();
        let half = plans.len() / 2;
        let mut conversations = stream::iter(plans)
            .map(|plan| {
                let key = key(plan.caller);
                let (stubs, addresses) = (&stubs, &addresses);
                async move { converse(plan, stubs, addresses, &key).await }
            })
            .buffer_unordered(IN_PARALLEL);
        let mut told = Vec::new();
        let mut disturbed = Vec::new();
        let mut killed = None;
        let mut stops = interval(self.happens);
        loop {
            tokio::select! {
                next = conversations.next() => match next {
                    Some(ended) => told.push(ended),
                    None => break,
                },
                _ = stops.tick(), if self.happens == Happens::RedisStops => {
                    let redis = redis.as_ref().unwrap();
                    let from = Instant::now();
                    redis.freeze();
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    redis.thaw();
                    disturbed.push((from, Instant::now() + Duration::from_secs(2)));
                }
            }
            if self.happens == Happens::Kill && killed.is_none() && told.len() >= half {
                replicas.last_mut().unwrap().kill();
                killed = Some(Instant::now());
            }
        }
        drop(conversations);
        let is_apart = |ended: &Ended| {
            let overlaps =
                |(from, to): &(Instant, Instant)| ended.began < *to && *from < ended.ended;
            let met = |at: Instant| ended.began < at && at < ended.ended;
            let asked = ended.asked.contains(&(self.replicas - 1));
            disturbed.iter().any(overlaps) || (asked && killed.is_some_and(met))
        };
        let ledger = std::mem::take(&mut *provider.ledger.lock().unwrap());
        let before = (sum.charged, sum.lost, sum.charged_apart, sum.lost_apart);
        check(&ledger, &told, is_apart, sum);
        println!(
            "{self:?}: {} conversations, {} charged ({} lost), apart {} ({} lost), {:?}",
            told.len(),
            sum.charged - before.0,
            sum.lost - before.1,
            sum.charged_apart - before.2,
            sum.lost_apart - before.3,
            begun.elapsed(),
        );
    }
}

fn interval(happens: Happens) -> tokio::time::Interval {
    let every = match happens {
        Happens::RedisStops => Duration::from_secs(4),
        _ => Duration::from_secs(3600),
    };
    tokio::time::interval_at(tokio::time::Instant::now() + every / 4, every)
}

/// A number that has the shape of a CURP.
fn number(rng: &mut Rng) -> String {
    let letters: Vec<_> = (0..6).map(|_| rng.char('B'..='Z')).collect();
    let [a, b, c, d, e, f] = letters[..] else {
        unreachable!("there are six")
    };
    let consonant = |letter: char| {
        if "AEIOU".contains(letter) {
            'X'
        } else {
            letter
        }
    };
    let (d, e, f) = (consonant(d), consonant(e), consonant(f));
    format!("{a}A{b}{c}900101HDF{d}{e}{f}{:02}", rng.u32(..100))
}

fn check(
    ledger: &HashMap<String, Vec<Entered>>,
    told: &[Ended],
    is_apart: impl Fn(&Ended) -> bool,
    sum: &mut Sum,
) {
    let mut about: HashMap<&str, Vec<&Ended>> = HashMap::new();
    for ended in told {
        about.entry(&ended.plan.number).or_default().push(ended);
    }
    for (number, asked) in about {
        let requests = ledger.get(number).map_or(&[][..], Vec::as_slice);
        let charges = requests.iter().filter(|request| request.charged).count();
        let case = || format!("{number}: requests {requests:?}, {asked:#?}");
        sum.conversations += asked.len();
        for ended in &asked {
            let gets = |source| matches!(&ended.said, Ok((said, _)) if *said == source);
            sum.recovered += usize::from(gets(Source::Recovered));
            assert_ne!(
                ended.at_first,
                Some(Source::Recovered),
                "another caller's: {}",
                case()
            );
            if let Err(status) = &ended.said {
                let known = reason(status).unwrap_or_else(|| panic!("{status:?}: {}", case()));
                assert_ne!(known.0, "INTERNAL", "{}", case());
            }
        }
        if asked.iter().all(|ended| ended.plan.request_id.is_some()) {
            assert!(
                charges <= asked.len(),
                "an id was paid for twice: {}",
                case()
            );
        }
        // Of several conversations about a number each may pay once.
        let delivered = asked.iter().filter(|ended| ended.is_told()).count();
        let lost = charges.saturating_sub(delivered);
        if asked.iter().any(|ended| is_apart(ended)) {
            sum.charged_apart += charges;
            sum.lost_apart += lost;
        } else {
            sum.charged += charges;
            sum.lost += lost;
            if lost > 0 {
                println!("lost: {}", case());
            }
        }
    }
}
