//! What surrounds every call of the contract: its facts, its span, its figures, its log line, its caller,
//! its place, its deadline.
//!
//! Outermost what tells of the call, so that it tells of every end a call can have, also the caller's
//! giving up and a defect; then the door, where the caller is identified and its rights are looked up;
//! then the place, so that a flood is turned away at once and by callers; then the deadline. Place and deadline
//! last until the reply is written, or the stream reset.
//! Dropping the call, as hyper does when the caller gives up and the deadline does here, drops the work
//! upstream, unless it may have been charged: then the call's place is held until that has ended. Health and
//! reflection pass by: they must answer in a flood too, and only what is refused of them is logged. Health is open to
//! everybody, reflection to every identified caller.

use std::{
    any::Any,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use foldhash::HashMap;
use futures_util::{FutureExt as _, future::Either};
use http::{Extensions, HeaderMap, Request, Response};
use opentelemetry::context::FutureExt as _;
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use self::{told::Told, unreadable::unreadable};
use super::{
    admission::Admission,
    compression::{self, Encoding},
    deadline,
    delivery::Delivery,
    holding::{self, Holding},
    passing::{self, HEALTH, Leaving, Passing, REFLECTION},
    quota::Quota,
    slow_body, stream,
};
use crate::{
    access::door::{Authorized, Door},
    auth::{identity::Identity, peer},
    call::Call,
    config::AuthMode,
    domain::{
        failure::{Failure, Kind},
        verification::Billing,
    },
    policy::{Policies, Policy},
    proto::{codec, gateway::v1::Charge},
    telemetry::{
        labels::{Limit, Rpc, Rpcs},
        metrics,
        sampled::Sampled,
    },
};

mod told;
mod unreadable;

/// What a path of no method is told. The path is the caller's own text, and is not repeated.
const UNKNOWN: &str = "no such method here; docs/api.md lists those there are";

#[cfg(test)]
mod tests;

/// What a caller that is turned away is asked to wait.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

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
    fn of(call: &Call, extensions: &Extensions) -> Self {
        let known = call.caller().map(|caller| &caller.identity);
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
    /// Those of callers that are known, and may not call.
    not_allowed: Sampled,
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
        metrics::nothing_wrong(rpcs.all());
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
            not_allowed: Sampled::default(),
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
            if let Some(unidentified) = peer::refused(request.extensions()) {
                let refused = told::passed_by(&shared, Rpc::HEALTH, &unidentified);
                return Box::pin(async move { Ok(refused) });
            }
            let caller = Caller::of(&Call::default(), request.extensions());
            let leaving = Leaving::of(request.extensions());
            // At once, and not when its turn comes: many may wait for that.
            let request = passing::slim(request, shared.request_timeout);
            return Box::pin(async move {
                let path = request.uri().path().to_owned();
                let answer = inner.call(request);
                let passing = &shared.passing;
                passing.health(&path, caller, leaving, answer).await
            });
        }
        // Headers count for the address until it is known who calls: many may wait for their turn.
        let mut unknown = shared.bytes.share(Caller::at(request.extensions()));
        let has_room = unknown.take(head_bytes(request.headers())).is_ok();
        if path.starts_with(REFLECTION) {
            if !has_room {
                let call = Call::default();
                let refused = refusal(&overloaded(&call), &call);
                return Box::pin(async move { Ok(refused) });
            }
            return Box::pin(async move {
                let _unknown = unknown;
                if let Err(unidentified) = shared.door.identify(&mut request).await {
                    return Ok(told::passed_by(&shared, Rpc::REFLECTION, &unidentified));
                }
                let caller = Caller::of(&Call::default(), request.extensions());
                let leaving = Leaving::of(request.extensions());
                let answer = inner.call(passing::slim(request, shared.request_timeout));
                shared.passing.reflection(caller, leaving, answer).await
            });
        }
        // Not when the future is first polled: on a busy machine that is later by more than the margin,
        // and the caller's own timer would be first, with no word of why.
        let budget = deadline::budget(request.headers(), shared.default_deadline);
        let end = Instant::now() + *budget.as_ref().unwrap_or(&shared.default_deadline);
        let call = Call::of(request.extensions());
        // Whatever a caller wrote there that is not of the contract belongs into no log.
        let rpc = shared.rpcs.of(path);
        let mut told = Told::new(
            Arc::clone(&shared),
            rpc,
            Arc::clone(&call),
            request.headers(),
        );
        if !has_room {
            let refused = told.end(refusal(&overloaded(&call), &call));
            return Box::pin(async move { Ok(refused) });
        }
        // Before it is asked who calls: load balancers look for this answer, and it tells nothing that the contract
        // does not.
        if !shared.policies.contains_key(path) {
            told.is_of_nobody();
            let unknown = told.end(Status::unimplemented(UNKNOWN).into_http());
            return Box::pin(async move { Ok(unknown) });
        }
        let context = told.span.context();
        let answer = async move {
            let policy = shared.policies.get(request.uri().path());
            let door = enter(&shared.door, &mut request, &call, policy);
            let entered = tokio::time::timeout_at(end, door).await;
            let late = |_elapsed| Err(cut_off(Kind::DeadlineExceeded, &call, policy));
            if let Err(failure) = entered.unwrap_or_else(late) {
                return Ok(told.end(refusal(&failure, &call)));
            }
            drop(unknown);
            let bad_time = |violation| Failure::invalid(vec![violation]);
            let encoding = budget
                .map_err(bad_time)
                .and_then(|_budget| Encoding::of(&mut request));
            let encoding = match encoding {
                Ok(encoding) => encoding,
                Err(failure) => {
                    let refused = compression::told(&failure, refusal(&failure, &call));
                    return Ok(told.end(refused));
                }
            };
            let caller = Caller::of(&call, request.extensions());
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
                return Ok(told.end(refusal(&overloaded(&call), &call)));
            };
            if end <= Instant::now() {
                // A future is polled once before its time is looked at: no work for nobody.
                let failure = cut_off(Kind::DeadlineExceeded, &call, policy);
                return Ok(told.end(refusal(&failure, &call)));
            }
            let delivery = request.extensions_mut().remove::<Delivery>();
            call.progress.ends(end);
            // Whoever goes keeps its place for as long as what it began is on its way.
            let held: Arc<dyn Any + Send + Sync> = Arc::clone(&holding) as _;
            call.holds(Arc::downgrade(&held));
            request.extensions_mut().insert(Arc::clone(&call));
            let held = Some(Arc::clone(&holding));
            let request = request.map(|body| slow_body::within(shared.request_timeout, body, held));
            let work = inner.call(request);
            let work = match encoding {
                Encoding::Gzip => {
                    call.is_compressed();
                    Either::Left(codec::counted(compression::room(&holding), work))
                }
                Encoding::Identity => Either::Right(work),
            };
            let handled = AssertUnwindSafe(work).catch_unwind();
            match tokio::time::timeout_at(end, handled).await {
                Ok(Ok(answered)) => {
                    let response = answered?;
                    let unread = policy.and_then(|_| unreadable(&response, &call, policy));
                    if let Some(failure) = unread {
                        return Ok(told.end(refusal(&failure, &call)));
                    }
                    stream::ends(end, delivery.clone());
                    let is_paid = may_be_charged(&call, policy);
                    let held = holding::held(response, holding, is_paid.then_some(waits));
                    let held = match tokio::time::timeout_at(end, held).await {
                        Ok(Ok(held)) => Ok(held),
                        // Nobody shall take it for free and repeat it.
                        Ok(Err(_full)) if is_paid => {
                            metrics::refused(None, Limit::Process);
                            Err(cut_off(Kind::OutcomeUnknown, &call, policy))
                        }
                        Ok(Err(_full)) => Err(overloaded(&call)),
                        Err(_elapsed) => Err(cut_off(Kind::DeadlineExceeded, &call, policy)),
                    };
                    // Refused here, or on its way back, it waits for its caller.
                    if let (Ok(_), Some(answer)) = (&held, call.handed()) {
                        match delivery {
                            Some(delivery) => delivery.begins(answer, end),
                            None => answer.arrived(),
                        }
                    }
                    Ok(told.end(held.unwrap_or_else(|failure| refusal(&failure, &call))))
                }
                Ok(Err(_panic)) => {
                    let failure = cut_off(Kind::Internal, &call, policy);
                    Ok(told.end(refusal(&failure, &call)))
                }
                Err(_elapsed) => {
                    let failure = Failure {
                        recoverable_until: call.recoverable_until().await,
                        ..cut_off(Kind::DeadlineExceeded, &call, policy)
                    };
                    Ok(told.end(refusal(&failure, &call)))
                }
            }
        };
        Box::pin(answer.with_context(context))
    }
}

/// Lets the call in.
async fn enter(
    door: &Door,
    request: &mut Request<Body>,
    call: &Call,
    policy: Option<&Policy>,
) -> Result<(), Failure> {
    let identified = door.identify(request).await;
    let caller = identified.map_err(|refused| call.is_not_identified(&refused))?;
    call.called_by(Arc::clone(&caller));
    let Authorized { rule, rights } = door.authorize(&caller, request.uri().path());
    if let Some(rule) = rule {
        call.falls_under(rule);
    }
    let scope = policy.map_or("", |policy| &policy.scope);
    if let Some(rights) = rights.map_err(|refused| refused.needs(scope))? {
        rights.enter(&caller).await?;
        call.may(rights);
    }
    Ok(())
}

/// What the headers of a request take, as HTTP/2 counts it.
fn head_bytes(headers: &HeaderMap) -> usize {
    let each = headers.iter();
    each.map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}

/// There is no place, or no room for what the call makes the gateway hold. If a provider was asked, it was for free.
fn overloaded(call: &Call) -> Failure {
    metrics::refused(None, Limit::Process);
    Failure {
        retry_after: Some(OVERLOAD_WAIT),
        provider: call.facts.provider(),
        verification_id: call.facts.verification_id(),
        billing: call.facts.provider().map(|_| Billing::NotBilled),
        ..Failure::new(Kind::Overloaded)
    }
}

fn refusal(failure: &Failure, call: &Call) -> Response<Body> {
    call.fails(failure).into_http()
}

/// The call was cut off, by the caller's deadline or by a defect: what it may have cost depends on
/// what was out by then.
fn cut_off(kind: Kind, call: &Call, policy: Option<&Policy>) -> Failure {
    Failure {
        provider: call.facts.provider(),
        verification_id: call.facts.verification_id(),
        billing: call
            .facts
            .provider()
            .map(|_| match may_be_charged(call, policy) {
                true => Billing::Unknown,
                false => Billing::NotBilled,
            }),
        ..Failure::new(kind)
    }
}

/// Whether something is out for the call that may be charged.
fn may_be_charged(call: &Call, policy: Option<&Policy>) -> bool {
    call.progress.may_be_charged()
        && policy.is_some_and(|policy| policy.charge == Charge::PerRequest)
}
