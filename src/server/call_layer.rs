//! What surrounds every call of the contract: its facts, its span, its figures, its log line, its caller,
//! its place, its deadline.
//!
//! Outermost what tells of the call, so that it tells of every end a call can have, also the caller's
//! giving up and a defect; then the door, where the caller is identified and its rights are looked up;
//! then the place, so that a flood is turned away at once and by callers; then the deadline. Place and deadline
//! last until the reply is written, or the stream reset.
//! Dropping the call, as hyper does when the caller gives up and the deadline does here, drops the work
//! upstream. Health and reflection pass by: they must answer in a flood too, and are not logged. Health is
//! open to everybody, reflection to every identified caller.

use std::{
    net::{IpAddr, SocketAddr},
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

use super::{
    admission::Admission,
    deadline,
    holding::{self, Holding},
    passing::{self, Passing},
    peer,
    quota::Quota,
    slow_body, stream,
};
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
    proto::{codec, gateway::v1::Charge},
    status,
    telemetry::{
        call_facts::CallFacts,
        labels::{Limit, Rpc, Rpcs},
        metrics,
        sampled::Sampled,
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
            None => Self::at(extensions),
        }
    }

    fn at(extensions: &Extensions) -> Self {
        peer::ip(extensions).map_or(Self::Unknown, Self::Peer)
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
    bytes: Arc<Quota<Caller>>,
    /// The same bytes, by connection: many callers may share one.
    connections: Arc<Quota<Option<SocketAddr>>>,
    /// The replies that wait for room because they were paid for.
    waiting: Arc<Quota<Caller>>,
    passing: Passing,
    /// The log lines of callers that nobody knows.
    strangers: Sampled,
    default_deadline: Duration,
    request_timeout: Duration,
}

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The deadline of a call that names none.
    pub default_deadline: Duration,
    /// How long a request's message may take to arrive.
    pub request_timeout: Duration,
}

/// The layer.
#[derive(Debug, Clone)]
pub struct CallLayer(Arc<Shared>);

impl CallLayer {
    /// The layer over the door, the places of the process, and the bytes that calls may hold.
    #[must_use]
    pub fn new(
        policies: &Policies,
        door: Door,
        places: Admission<Caller>,
        bytes: Arc<Quota<Caller>>,
        times: Times,
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
            connections: Quota::new(bytes.most()),
            waiting: Quota::new(bytes.most() / 2),
            bytes,
            passing: Passing::default(),
            strangers: Sampled::default(),
            default_deadline: times.default_deadline,
            request_timeout: times.request_timeout,
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
    S: Service<Request<Body>, Response = Response<Body>, Error: Send> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone that was made ready goes; the new one waits for its turn.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let shared = Arc::clone(&self.shared);
        let path = request.uri().path();
        if path.starts_with(HEALTH) {
            if !peer::is_good(request.extensions()) {
                let failure = Failure::new(Kind::Unauthenticated);
                let refused = refusal(&failure, &CallFacts::default());
                return Box::pin(async move { Ok(refused) });
            }
            let caller = Caller::of(&CallFacts::default(), request.extensions());
            // At once, and not when its turn comes: many may wait for that.
            let request = passing::slim(request, shared.request_timeout);
            return Box::pin(async move {
                let path = request.uri().path().to_owned();
                let answer = inner.call(request);
                shared.passing.health(&path, caller, answer).await
            });
        }
        // Headers count for the address until it is known who calls: many may wait for their turn.
        let mut unknown = shared.bytes.share(Caller::at(request.extensions()));
        let has_room = unknown.take(head_bytes(request.headers())).is_ok();
        if path.starts_with(REFLECTION) {
            if !has_room {
                let facts = CallFacts::default();
                let refused = refusal(&overloaded(&facts), &facts);
                return Box::pin(async move { Ok(refused) });
            }
            return Box::pin(async move {
                let _unknown = unknown;
                if let Err(failure) = shared.door.identify(&mut request).await {
                    return Ok(refusal(&failure, &CallFacts::default()));
                }
                let caller = Caller::of(&CallFacts::default(), request.extensions());
                let answer = inner.call(passing::slim(request, shared.request_timeout));
                shared.passing.reflection(caller, answer).await
            });
        }
        // Not when the future is first polled: on a busy machine that is later by more than the margin,
        // and the caller's own timer would be first, with no word of why.
        let budget = deadline::budget(request.headers(), shared.default_deadline);
        let end = Instant::now() + budget;
        let facts = request.extensions().get::<Arc<CallFacts>>();
        let facts = facts.map(Arc::clone).unwrap_or_default();
        // Whatever a caller wrote there that is not of the contract belongs into no log.
        let rpc = shared.rpcs.of(path);
        let mut told = Told::new(
            Arc::clone(&shared),
            rpc,
            Arc::clone(&facts),
            request.headers(),
        );
        if !has_room {
            let refused = told.end(refusal(&overloaded(&facts), &facts));
            return Box::pin(async move { Ok(refused) });
        }
        let context = told.span.context();
        let call = async move {
            let policy = shared.policies.get(request.uri().path());
            let door = enter(&shared.door, &mut request, policy, &facts);
            let entered = tokio::time::timeout_at(end, door).await;
            let late = |_elapsed| Err(cut_off(Kind::DeadlineExceeded, &facts, policy));
            if let Err(failure) = entered.unwrap_or_else(late) {
                return Ok(told.end(refusal(&failure, &facts)));
            }
            drop(unknown);
            let caller = Caller::of(&facts, request.extensions());
            let share = shared.bytes.share(caller.clone());
            let waits = shared.waiting.share(caller.clone());
            let place = shared.places.enter(caller);
            let connection = peer::address(request.extensions());
            let of_connection = shared.connections.share(connection);
            let holding = place.map(|place| Holding::new(place, share, of_connection));
            let head = head_bytes(request.headers());
            // Whose replies wait gets no new ones: they would be paid for and wait as well.
            let holding = holding.ok().filter(|_| waits.is_empty());
            let Some(holding) = holding.filter(|held| held.take(head).is_ok()) else {
                return Ok(told.end(refusal(&overloaded(&facts), &facts)));
            };
            if end <= Instant::now() {
                // A future is polled once before its time is looked at: no work for nobody.
                let failure = cut_off(Kind::DeadlineExceeded, &facts, policy);
                return Ok(told.end(refusal(&failure, &facts)));
            }
            facts.ends(end);
            request.extensions_mut().insert(Arc::clone(&facts));
            let held = Some(Arc::clone(&holding));
            let request = request.map(|body| slow_body::within(shared.request_timeout, body, held));
            let answer = AssertUnwindSafe(inner.call(request)).catch_unwind();
            match tokio::time::timeout_at(end, answer).await {
                Ok(Ok(answered)) => {
                    let response = answered?;
                    let unread = policy.and_then(|_| unreadable(&response, &facts, policy));
                    if let Some(failure) = unread {
                        return Ok(told.end(refusal(&failure, &facts)));
                    }
                    stream::ends(end);
                    let is_paid = may_be_charged(&facts, policy);
                    let held = holding::held(response, holding, is_paid.then_some(waits));
                    let held = match tokio::time::timeout_at(end, held).await {
                        Ok(Ok(held)) => Ok(held),
                        // Nobody shall take it for free and repeat it.
                        Ok(Err(_full)) if is_paid => {
                            metrics::refused(None, Limit::Process);
                            Err(cut_off(Kind::OutcomeUnknown, &facts, policy))
                        }
                        Ok(Err(_full)) => Err(overloaded(&facts)),
                        Err(_elapsed) => Err(cut_off(Kind::DeadlineExceeded, &facts, policy)),
                    };
                    Ok(told.end(held.unwrap_or_else(|failure| refusal(&failure, &facts))))
                }
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

/// What the headers of a request take, as HTTP/2 counts it.
fn head_bytes(headers: &HeaderMap) -> usize {
    let each = headers.iter();
    each.map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}

/// There is no place, or no room for what the call makes the gateway hold. If a provider was asked, it was for free.
fn overloaded(facts: &CallFacts) -> Failure {
    metrics::refused(None, Limit::Process);
    Failure {
        retry_after: Some(OVERLOAD_WAIT),
        provider: facts.provider(),
        verification_id: facts.verification_id(),
        billing: facts.provider().map(|_| Billing::NotBilled),
        ..Failure::new(Kind::Overloaded)
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
    let status = Status::from_header_map(response.headers())?;
    if let Some(field) = status.message().strip_suffix(codec::TOO_MANY) {
        return Some(Failure::invalid(vec![Violation {
            field: known_field(field),
            rule: codec::TOO_MANY,
        }]));
    }
    if status.message() == slow_body::NO_ROOM {
        return Some(overloaded(facts));
    }
    let rule = match status.code() {
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

/// The field of that name, if it is one that can have many elements.
fn known_field(name: &str) -> &'static str {
    let known = ["metadata", "read_mask", "update_mask", "person"];
    let named = known.into_iter().find(|known| *known == name.trim_end());
    named.unwrap_or("request")
}

/// The call was cut off, by the caller's deadline or by a defect: what it may have cost depends on
/// what was out by then.
fn cut_off(kind: Kind, facts: &CallFacts, policy: Option<&Policy>) -> Failure {
    Failure {
        provider: facts.provider(),
        verification_id: facts.verification_id(),
        billing: facts
            .provider()
            .map(|_| match may_be_charged(facts, policy) {
                true => Billing::Unknown,
                false => Billing::NotBilled,
            }),
        ..Failure::new(kind)
    }
}

/// Whether something is out for the call that may be charged.
fn may_be_charged(facts: &CallFacts, policy: Option<&Policy>) -> bool {
    facts.may_be_charged() && policy.is_some_and(|policy| policy.charge == Charge::PerRequest)
}

/// What is told of the call: its span, its figures, its log line. It is told when the call ends, however
/// it ends.
struct Told {
    shared: Arc<Shared>,
    rpc: Rpc,
    facts: Arc<CallFacts>,
    started: Instant,
    code: Code,
    span: CallSpan,
}

impl Told {
    fn new(shared: Arc<Shared>, rpc: Rpc, facts: Arc<CallFacts>, headers: &HeaderMap) -> Self {
        Self {
            shared,
            rpc,
            facts,
            started: Instant::now(),
            // Until it is known better: a future that is dropped was given up by the caller.
            code: Code::Cancelled,
            span: CallSpan::start(rpc, headers),
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
        let mut suppressed = None;
        if self.code == Code::Unauthenticated {
            // Whoever reaches the port could fill the log.
            match self.shared.strangers.next() {
                Some(left_out) => suppressed = Some(left_out).filter(|left_out| *left_out > 0),
                None => return,
            }
        }
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
                    suppressed,
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
