//! A conversation: one caller that wants to know one thing, gives up, and asks again, as real clients do.

use std::time::{Duration, Instant};

use fastrand::Rng;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use identity_gateway::proto::identity::v1::{
    CheckCurpRequest, Source, identity_service_client::IdentityServiceClient,
};
use tonic::{Code, Request, Status, body::Body};
use tonic_types::StatusExt as _;
use uuid::Uuid;

/// Without a timer of its own: what the gateway says of a deadline is what is to be seen.
pub type Stub = IdentityServiceClient<Client<HttpConnector, Body>>;

pub fn stub(address: &str) -> Stub {
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.http2_only(true).build_http();
    Stub::with_origin(client, address.parse().unwrap())
}

/// How a try ends, if it is not answered before.
#[derive(Debug, Clone, Copy)]
enum Patience {
    Deadline(Duration),
    Cancels(Duration),
    /// The connection is the call's own, and goes with it.
    HangsUp(Duration),
}

/// What a caller is going to do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub number: String,
    pub caller: &'static str,
    pub request_id: Option<Uuid>,
    tries: Vec<(usize, Patience)>,
    last: usize,
    begins: Duration,
}

impl Plan {
    pub fn random(number: String, caller: &'static str, replicas: usize, rng: &mut Rng) -> Self {
        let time = |rng: &mut Rng| Duration::from_secs_f64(0.004 * 60_f64.powf(rng.f64()));
        let one = |rng: &mut Rng| {
            let patience = match rng.u32(..10) {
                0..7 => Patience::Deadline(time(rng)),
                7..9 => Patience::Cancels(time(rng)),
                _ => Patience::HangsUp(time(rng)),
            };
            (rng.usize(..replicas), patience)
        };
        Self {
            number,
            caller,
            request_id: rng.bool().then(|| Uuid::from_u128(rng.u128(1..))),
            tries: (0..rng.usize(0..4)).map(|_| one(rng)).collect(),
            last: rng.usize(..replicas),
            begins: Duration::from_millis(rng.u64(..30)),
        }
    }
}

/// What became of a conversation.
#[derive(Debug)]
pub struct Ended {
    pub plan: Plan,
    pub began: Instant,
    pub ended: Instant,
    /// The replicas that it asked.
    pub asked: Vec<usize>,
    pub said: Result<(Source, String), Status>,
    /// What it got before it had given anything up.
    pub at_first: Option<Source>,
}

impl Ended {
    /// Whether the caller was told what it paid for, be it that nobody knows.
    pub fn is_told(&self) -> bool {
        match &self.said {
            Ok(_) => true,
            Err(status) => reason(status).is_some_and(|(_, billing)| billing == "unknown"),
        }
    }
}

pub fn reason(status: &Status) -> Option<(String, String)> {
    let info = status.get_details_error_info()?;
    let billing = info.metadata.get("billing").cloned();
    Some((info.reason, billing.unwrap_or_default()))
}

/// Goes through the plan, and then waits for as long as it takes. What standard clients repeat it repeats.
pub async fn converse(plan: Plan, stubs: &[Stub], addresses: &[String], key: &str) -> Ended {
    const PATIENT: Duration = Duration::from_secs(20);
    tokio::time::sleep(plan.begins).await;
    let began = Instant::now();
    let mut asked = Vec::new();
    let mut has_gone = false;
    let mut at_first = None;
    let mut tries: std::collections::VecDeque<_> = plan.tries.clone().into();
    let mut last = plan.last;
    let said = loop {
        let (replica, patience) = tries
            .pop_front()
            .unwrap_or((last, Patience::Deadline(PATIENT)));
        asked.push(replica);
        let (stub, limit) = match patience {
            Patience::HangsUp(time) => (stub(&addresses[replica]), time),
            Patience::Cancels(time) => (stubs[replica].clone(), time),
            Patience::Deadline(_) => (stubs[replica].clone(), 3 * PATIENT),
        };
        let call = ask(stub, &plan, patience, key);
        let answered = match tokio::time::timeout(limit, call).await {
            Ok(answered) => answered,
            Err(_gone) => {
                has_gone = true;
                continue;
            }
        };
        match answered {
            Ok((source, reference)) => {
                at_first = at_first.or((!has_gone).then_some(source));
                break Ok((source, reference));
            }
            Err(status) => match reason(&status) {
                // Its own deadline: it asks again, and waits longer.
                Some((reason, _)) if reason == "DEADLINE_EXCEEDED" => has_gone = true,
                Some(_)
                    if status.code() == Code::Unavailable
                        || status.code() == Code::ResourceExhausted =>
                {
                    if status.get_details_retry_info().is_none() || asked.len() > 60 {
                        break Err(status);
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // The replica is gone: nobody knows of what was sent.
                None if asked.len() < 60 => {
                    has_gone = true;
                    last = (last + 1) % stubs.len();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => break Err(status),
            },
        }
    };
    Ended {
        plan,
        began,
        ended: Instant::now(),
        asked,
        said,
        at_first,
    }
}

async fn ask(
    mut stub: Stub,
    plan: &Plan,
    patience: Patience,
    key: &str,
) -> Result<(Source, String), Status> {
    let mut request = Request::new(CheckCurpRequest {
        curp: plan.number.clone(),
        request_id: plan.request_id.map(|id| id.to_string()).unwrap_or_default(),
        ..CheckCurpRequest::default()
    });
    let bearer = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    if let Patience::Deadline(time) = patience {
        request.set_timeout(time);
    }
    let answer = stub.check_curp(request).await?.into_inner();
    let verification = answer.verification.unwrap();
    let reference = verification.provider_reference().to_owned();
    Ok((verification.source(), reference))
}
