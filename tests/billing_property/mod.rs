//! The billing rule as a property, over thousands of generated schedules of faults.
//!
//! A gateway in this process, real gRPC in front and a scripted provider of HTTP/1.1 or HTTP/2 behind. For each call the
//! provider's ledger is held against what the caller was told:
//!
//! - nothing is sent after a request whose outcome is not known or that was charged;
//! - who is told `not_billed` was not charged, who is told `billed` was, once;
//! - what is told in all (billed and unknown) is never less than what the ledger says;
//! - repeats are at most a fifth of the calls and the reserve.
//!
//! `shared` does the same for callers that ask the same: calls in flight, kept answers, request ids, and
//! two replicas with a Redis of which one is killed.
//!
//! Seeds are printed. `BILLING_SEED` runs one again: the scripts are the same, the interleaving is the
//! scheduler's.

mod provider;
mod shared;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use identity_gateway::{
    config::{CurpCheck, Settings, Span},
    domain::redaction::Secret,
    proto::identity::v1::{
        Billing, CheckCurpRequest, identity_service_client::IdentityServiceClient,
    },
    server,
};
use tonic::{Code, Request, Status, body::Body};
use tonic_types::StatusExt as _;

use provider::{Greed, Provider, Received, Speaks, Step};

const CALLS: usize = 1500;
const IN_PARALLEL: usize = 32;
/// One world at a time: what they are about is order, and not how busy the machine is.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What a caller heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Billed,
    NotBilled,
    Unknown,
    /// The caller gave up.
    Nothing,
}

/// Without the timer of tonic's own client: on a busy machine that is often faster than the answer,
/// and what the gateway says of a deadline is what is to be seen.
type Caller = IdentityServiceClient<Client<HttpConnector, Body>>;

/// When a caller gives up.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Endless,
    Deadline(Duration),
    Cancels(Duration),
}

impl Patience {
    fn random(rng: &mut Rng) -> Self {
        let time = Duration::from_millis(rng.u64(2..120));
        match rng.u32(..100) {
            0..15 => Self::Deadline(time),
            15..20 => Self::Cancels(time),
            _ => Self::Endless,
        }
    }
}

/// A world of its own: a gateway and a provider.
#[derive(Clone, Copy, Debug)]
struct World {
    speaks: Speaks,
    greed: Greed,
    /// Whether the circuit may open; most schedules would meet nothing but an open one.
    circuit: Circuit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Default,
    NeverOpens,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_charged_call_is_sent_again_and_no_charge_is_kept_from_the_caller() {
    let _alone = ALONE.lock().await;
    let seed = std::env::var("BILLING_SEED");
    let seed = seed.map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("BILLING_SEED={seed}");
    let never = Circuit::NeverOpens;
    for (number, (speaks, greed, circuit)) in [
        (Speaks::Http1, Greed::AsDocumented, never),
        (Speaks::Http2, Greed::AsDocumented, never),
        (Speaks::Http1, Greed::AsDocumented, Circuit::Default),
        (Speaks::Http1, Greed::Errors, never),
        (Speaks::Http2, Greed::Errors, never),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed.wrapping_add(u64::try_from(number).unwrap());
        let world = World {
            speaks,
            greed,
            circuit,
        };
        world.run(seed).await;
    }
}

impl World {
    async fn run(self, seed: u64) {
        let begun = Instant::now();
        let mut rng = Rng::with_seed(seed);
        let numbers: HashSet<String> = (0..CALLS).map(|_| number(&mut rng)).collect();
        let holds = if self.circuit == Circuit::Default {
            2
        } else {
            0
        };
        let script = |rng: &mut Rng| (0..3).map(|_| Step::random(rng, holds)).collect::<Vec<_>>();
        let scripts: HashMap<_, _> = numbers
            .iter()
            .map(|number| (number.clone(), script(&mut rng)))
            .collect();
        let provider = Provider::start(self.speaks, scripts, self.greed, seed).await;
        let client = self.gateway(&provider).await;
        let calls: Vec<_> = numbers
            .into_iter()
            .map(|number| (number, Patience::random(&mut rng)))
            .collect();
        let count = calls.len();
        let told: Vec<_> = stream::iter(calls)
            .map(|(number, patience)| {
                let client = client.clone();
                async move {
                    let told = tell(client, &number, patience).await;
                    (number, patience, told)
                }
            })
            .buffer_unordered(IN_PARALLEL)
            .collect()
            .await;
        // Requests of callers that gave up may still be on their way.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ledger = std::mem::take(&mut *provider.ledger.lock().unwrap());
        let charges = check(&ledger, &told);
        let received: usize = ledger.values().map(Vec::len).sum();
        let summary = |heard| told.iter().filter(|(_, _, told)| *told == heard).count();
        println!(
            "{self:?}: {count} calls, {received} requests received, told billed {} not {} unknown {} nothing {}, {:?}",
            summary(Told::Billed),
            summary(Told::NotBilled),
            summary(Told::Unknown),
            summary(Told::Nothing),
            begun.elapsed(),
        );
        assert!(
            received <= count + count / 5 + 10,
            "repeats over the budget"
        );
        if self.circuit == Circuit::NeverOpens {
            assert!(received > count / 2, "most schedules met nothing");
            assert!(
                charges > count / 10,
                "a ledger without charges proves nothing"
            );
        }
    }

    async fn gateway(self, provider: &Provider) -> Caller {
        let mut settings = Settings::default();
        settings.server.listen = "127.0.0.1:0".parse().unwrap();
        settings.admin.listen = settings.server.listen;
        settings.curp.check = CurpCheck::Shape;
        let accuauth = &mut settings.providers.accuauth;
        accuauth.base_url = provider.url.parse().unwrap();
        accuauth.ca_file.clone_from(&provider.ca_file);
        accuauth.api_id = Some(Secret::new("id"));
        accuauth.api_secret = Some(Secret::new("secret"));
        accuauth.timeout = Span::new(Duration::from_millis(250));
        accuauth.errors_are_free = self.greed == Greed::AsDocumented;
        if self.circuit == Circuit::NeverOpens {
            accuauth.breaker_consecutive_failures = 0;
            accuauth.breaker_minimum_calls = 1_000_000;
        }
        let serving = server::bind(&settings).await.unwrap();
        let address = format!("http://{}", serving.grpc_address);
        tokio::spawn(async move { serving.run(&settings, || ()).await.unwrap() });
        let mut client = Client::builder(TokioExecutor::new());
        let client = client.http2_only(true).build_http();
        Caller::with_origin(client, address.parse().unwrap())
    }
}

/// A number that has the shape of a CURP.
fn number(rng: &mut Rng) -> String {
    let [a, b, c] = [(); 3].map(|()| rng.char('A'..='Z'));
    format!("{a}A{b}{c}900101HDFSND{:02}", rng.u32(..100))
}

async fn tell(mut client: Caller, number: &str, patience: Patience) -> Told {
    let mut request = Request::new(CheckCurpRequest {
        curp: number.to_owned(),
        ..CheckCurpRequest::default()
    });
    if let Patience::Deadline(deadline) = patience {
        request.set_timeout(deadline);
    }
    let limit = match patience {
        Patience::Cancels(time) => time,
        _ => Duration::from_secs(60),
    };
    let Ok(answer) = tokio::time::timeout(limit, client.check_curp(request)).await else {
        assert!(matches!(patience, Patience::Cancels(_)), "a call hangs");
        return Told::Nothing;
    };
    match answer {
        Ok(answer) => match answer.get_ref().verification.as_ref().unwrap().billing() {
            Billing::Billed => Told::Billed,
            Billing::NotBilled => Told::NotBilled,
            Billing::Unknown | Billing::Unspecified => Told::Unknown,
        },
        Err(status) => heard(&status),
    }
}

/// What an error says of the cost.
fn heard(status: &Status) -> Told {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("{status:?}"));
    let billing = info.metadata.get("billing").map(String::as_str);
    if status.code() == Code::Unavailable {
        // Standard clients repeat it.
        assert_eq!(billing, Some("not_billed"), "{status:?}");
    }
    match billing {
        Some("not_billed") => Told::NotBilled,
        Some("unknown") => Told::Unknown,
        // The deadline passed before the provider was chosen: nothing can have been sent.
        None if status.code() == Code::DeadlineExceeded => Told::NotBilled,
        _ => panic!("{info:?}"),
    }
}

/// Holds the ledger against what was told; how many charges there were.
fn check(ledger: &HashMap<String, Received>, told: &[(String, Patience, Told)]) -> usize {
    let (mut charges, mut owned_up) = (0, 0);
    for (number, patience, told) in told {
        let received = ledger.get(number).map_or(&[][..], Vec::as_slice);
        let case = || format!("{number} {patience:?}: received {received:?}, told {told:?}");
        let charged = received.iter().filter(|(_, charged)| *charged).count();
        let costly = |(step, charged): &(Step, bool)| !step.is_free() || *charged;
        let first_costly = received.iter().position(costly);
        let after = first_costly.map_or(0, |at| received.len() - at - 1);
        assert_eq!(
            after,
            0,
            "sent again after it may have been charged: {}",
            case()
        );
        match told {
            Told::Billed => assert_eq!(charged, 1, "{}", case()),
            Told::NotBilled => assert_eq!(charged, 0, "{}", case()),
            Told::Unknown | Told::Nothing => assert!(charged <= 1, "{}", case()),
        }
        if *told != Told::Nothing {
            charges += charged;
            owned_up += usize::from(matches!(told, Told::Billed | Told::Unknown));
        }
    }
    assert!(owned_up >= charges, "told {owned_up} of {charges} charges");
    charges
}
