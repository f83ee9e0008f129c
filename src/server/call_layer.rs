//! What surrounds every call of the contract: its facts, its span, its figures, its log line, its caller,
//! its place, its deadline.
//!
//! Outermost what tells of the call, so that it tells of every end a call can have, also the caller's
//! giving up and a defect; then the door, where the caller is identified and its rights are looked up;
//! then the place, so that a flood is turned away at once and by callers; then the deadline.
//! Dropping the call, as tonic does when the caller gives up and the deadline does here, drops the work
//! upstream. Health and reflection pass by: they must answer in a flood too, and are not logged. Health is
//! open to everybody, reflection to every identified caller.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use foldhash::HashMap;
use futures_util::FutureExt as _;
use http::{Extensions, HeaderMap, Request, Response};
use opentelemetry::context::FutureExt as _;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::{admission::Admission, deadline, peer, slow_body};
use crate::{
    access::door::Door,
    auth::identity::Identity,
    config::AuthMode,
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Outcome, Provider, Source},
        violation::Violation,
    },
    policy::{Policies, Policy},
    proto::gateway::v1::Charge,
    status,
    telemetry::{
        call_facts::CallFacts,
        labels::{Limit, Rpc, Rpcs},
        metrics::{self, UnderWay},
        spans::CallSpan,
    },
};

#[cfg(test)]
mod tests;

/// What a caller that is turned away is asked to wait.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);
/// Services that pass by. A question to reflection may last: it is a stream.
const HEALTH: &str = "/grpc.health.";
const REFLECTION: &str = "/grpc.reflection.";

/// Whose share of the places a call takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Who calls, where callers are identified: behind a proxy they all share one address.
    Identified(Arc<Identity>),
    /// Where they are not, the address that the connection came from.
    Peer(IpAddr),
    /// There is no address, as in a test.
    Unknown,
}

impl Caller {
    fn of(facts: &CallFacts, extensions: &Extensions) -> Self {
        let known = facts.caller().map(|caller| &caller.identity);
        match known.filter(|identity| identity.mode() != AuthMode::None) {
            Some(identity) => Self::Identified(Arc::clone(identity)),
            None => peer::ip(extensions).map_or(Self::Unknown, Self::Peer),
        }
    }
}

/// What all calls share.
#[derive(Debug)]
struct Shared {
    /// By path, as in `/package.Service/Method`.
    policies: HashMap<String, Policy>,
    rpcs: Rpcs,
    door: Door,
    places: Arc<Admission<Caller>>,
    default_deadline: Duration,
    request_timeout: Duration,
}

/// The layer.
#[derive(Debug, Clone)]
pub struct CallLayer(Arc<Shared>);

impl CallLayer {
    /// The layer over the door and the places of the process.
    #[must_use]
    pub fn new(
        policies: &Policies,
        door: Door,
        places: Admission<Caller>,
        default_deadline: Duration,
        request_timeout: Duration,
    ) -> Self {
        let by_path = policies.iter();
        let rpcs = Rpcs::new(policies.iter().map(|(rpc, _)| rpc));
        Self(Arc::new(Shared {
            policies: by_path
                .map(|(rpc, policy)| (format!("/{rpc}"), policy.clone()))
                .collect(),
            rpcs,
            door,
            places: Arc::new(places),
            default_deadline,
            request_timeout,
        }))
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// The service under the layer.
#[derive(Debug, Clone)]
pub struct CallService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if path.starts_with(HEALTH) {
            if !peer::is_good(request.extensions()) {
                let failure = Failure::new(Kind::Unauthenticated);
                let refused = refusal(&failure, &CallFacts::default());
                return Box::pin(async move { Ok(refused) });
            }
            let time = self.shared.request_timeout;
            return Box::pin(
                self.inner
                    .call(request.map(|body| slow_body::within(time, body))),
            );
        }
        // The clone that was made ready goes; the new one waits for its turn.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let shared = Arc::clone(&self.shared);
        if path.starts_with(REFLECTION) {
            return Box::pin(async move {
                match shared.door.identify(&mut request).await {
                    Ok(_anybody) => inner.call(request).await,
                    Err(failure) => Ok(refusal(&failure, &CallFacts::default())),
                }
            });
        }
        // Not when the future is first polled: on a busy machine that is later by more than the margin,
        // and tonic's own timer, which runs from now, would answer CANCELLED.
        let budget = deadline::budget(request.headers(), shared.default_deadline);
        let end = Instant::now() + budget;
        let facts = request.extensions().get::<Arc<CallFacts>>();
        let facts = facts.map(Arc::clone).unwrap_or_default();
        // Whatever a caller wrote there that is not of the contract belongs into no log.
        let rpc = shared.rpcs.of(path);
        let mut told = Told::new(rpc, Arc::clone(&facts), request.headers());
        let context = told.span.context();
        let call = async move {
            let policy = shared.policies.get(request.uri().path());
            let door = enter(&shared.door, &mut request, policy, &facts);
            let entered = tokio::time::timeout_at(end, door).await;
            let late = |_elapsed| Err(cut_off(Kind::DeadlineExceeded, &facts, policy));
            if let Err(failure) = entered.unwrap_or_else(late) {
                return Ok(told.end(refusal(&failure, &facts)));
            }
            let caller = Caller::of(&facts, request.extensions());
            let Ok(_place) = shared.places.enter(caller) else {
                let failure = Failure {
                    retry_after: Some(OVERLOAD_WAIT),
                    ..Failure::new(Kind::Overloaded)
                };
                metrics::refused(None, Limit::Process);
                return Ok(told.end(refusal(&failure, &facts)));
            };
            if end <= Instant::now() {
                // A future is polled once before its time is looked at: no work for nobody.
                let failure = cut_off(Kind::DeadlineExceeded, &facts, policy);
                return Ok(told.end(refusal(&failure, &facts)));
            }
            facts.ends(end);
            request.extensions_mut().insert(Arc::clone(&facts));
            let request = request.map(|body| slow_body::within(shared.request_timeout, body));
            let answer = AssertUnwindSafe(inner.call(request)).catch_unwind();
            match tokio::time::timeout_at(end, answer).await {
                Ok(Ok(answered)) => answered.map(|response| {
                    let unread = policy.and_then(|_| unreadable(&response, &facts, policy));
                    told.end(unread.map_or(response, |failure| refusal(&failure, &facts)))
                }),
                Ok(Err(_panic)) => {
                    let failure = cut_off(Kind::Internal, &facts, policy);
                    Ok(told.end(refusal(&failure, &facts)))
                }
                Err(_elapsed) => {
                    let failure = cut_off(Kind::DeadlineExceeded, &facts, policy);
                    Ok(told.end(refusal(&failure, &facts)))
                }
            }
        };
        Box::pin(call.with_context(context))
    }
}

/// Lets the call in. What is not of the contract is for tonic to refuse, once it is known who asks.
async fn enter(
    door: &Door,
    request: &mut Request<Body>,
    policy: Option<&Policy>,
    facts: &CallFacts,
) -> Result<(), Failure> {
    match policy {
        Some(_) => door.enter(request, facts).await,
        None => door.identify(request).await.map(|_anybody| ()),
    }
}

fn refusal(failure: &Failure, facts: &CallFacts) -> Response<Body> {
    status::of(failure, facts).into_http()
}

/// What tonic refused before a handler saw it, and so without a reason: the request's frame. It is the
/// caller's to mend, whatever code tonic has for it.
fn unreadable(
    response: &Response<Body>,
    facts: &CallFacts,
    policy: Option<&Policy>,
) -> Option<Failure> {
    if facts.reason().is_some() {
        return None;
    }
    let rule = match Status::from_header_map(response.headers())?.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            "must be no larger than server.max_request_bytes"
        }
        // It did not arrive in time.
        Code::DeadlineExceeded => return Some(cut_off(Kind::DeadlineExceeded, facts, policy)),
        Code::Internal | Code::InvalidArgument => "must be a message of the contract",
        _ => return None,
    };
    Some(Failure::invalid(vec![Violation {
        field: "request",
        rule,
    }]))
}

/// The call was cut off, by the caller's deadline or by a defect: what it may have cost depends on
/// what was out by then.
fn cut_off(kind: Kind, facts: &CallFacts, policy: Option<&Policy>) -> Failure {
    let chargeable = policy.is_some_and(|policy| policy.charge == Charge::PerRequest);
    Failure {
        provider: facts.provider(),
        verification_id: facts.verification_id(),
        billing: facts.provider().map(|_| match facts.may_be_charged() {
            true if chargeable => Billing::Unknown,
            _ => Billing::NotBilled,
        }),
        ..Failure::new(kind)
    }
}

/// What is told of the call: its span, its figures, its log line. It is told when the call ends, however
/// it ends.
struct Told {
    rpc: Rpc,
    facts: Arc<CallFacts>,
    started: Instant,
    code: Code,
    span: CallSpan,
    _counted: UnderWay,
}

impl Told {
    fn new(rpc: Rpc, facts: Arc<CallFacts>, headers: &HeaderMap) -> Self {
        Self {
            rpc,
            facts,
            started: Instant::now(),
            // Until it is known better: a future that is dropped was given up by the caller.
            code: Code::Cancelled,
            span: CallSpan::start(rpc, headers),
            _counted: UnderWay::call(),
        }
    }

    fn end(&mut self, response: Response<Body>) -> Response<Body> {
        // A unary success carries its status in the trailers; only failures have it up here.
        self.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |s| s.code());
        response
    }

    fn count(&self, took: Duration) {
        let facts = &self.facts;
        metrics::called(self.rpc, self.code, took, &self.span.span_context());
        if let Some(reason) = facts.reason() {
            metrics::failed(self.rpc, reason, facts.provider());
        }
        let verified = facts.provider().zip(facts.outcome()).zip(facts.source());
        if let Some(((provider, outcome), source)) = verified {
            metrics::verified(provider, outcome, source);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // A call that is given up is dropped outside of its context.
        let _entered = self.span.context().attach();
        let took = self.started.elapsed();
        self.span.tell(self.code, &self.facts);
        self.count(took);
        let (rpc, facts) = (self.rpc.as_str(), &self.facts);
        let code = status::code_name(self.code);
        let duration_ms = took.as_secs_f64() * 1e3;
        let (reason, caller) = (facts.reason(), facts.rule());
        let verification_id = facts.verification_id().map(tracing::field::display);
        let provider = facts.provider().map(Provider::as_str);
        let outcome = facts.outcome().map(Outcome::as_str);
        let billing = facts.billing().map(Billing::as_str);
        let source = facts.source().map(Source::as_str);
        let attempts = facts.attempts();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    rpc,
                    caller,
                    code,
                    reason,
                    duration_ms,
                    verification_id,
                    provider,
                    outcome,
                    billing,
                    source,
                    attempts,
                    "call"
                )
            };
        }
        match self.code {
            // Defects, and what may have cost money for nothing.
            Code::Internal | Code::Unknown | Code::DataLoss => line!(error),
            // Somebody has to look after a provider or the load.
            Code::Unavailable
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::DeadlineExceeded => line!(warn),
            _ => line!(info),
        }
    }
}
