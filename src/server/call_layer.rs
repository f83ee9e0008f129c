//! What surrounds every call of the contract: its facts, its place, its deadline, its log line.
//!
//! Outermost the log line, so that it tells of every end a call can have, also the caller's giving
//! up; then the place, so that a flood is turned away at once; then the deadline. Dropping the call,
//! as tonic does when the caller gives up and the deadline does here, drops the work upstream. Health
//! and reflection pass by: they must answer in a flood too, and are not logged.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, Request, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, transport::server::TcpConnectInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::{admission::Admission, deadline};
use crate::{
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Outcome, Provider},
    },
    policy::{Policies, Policy},
    proto::gateway::v1::Charge,
    status,
    telemetry::call_facts::CallFacts,
};

#[cfg(test)]
mod tests;

/// What a caller that is turned away is asked to wait.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);
/// Services that pass by.
const UNTRACKED: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// Whose share of the places a call takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The address that the connection came from. Once callers are identified, their identity stands
    /// here instead: behind a proxy they all share one address.
    Peer(IpAddr),
    /// There is no address, as in a test.
    Unknown,
}

impl Caller {
    fn of(extensions: &Extensions) -> Self {
        let peer = extensions.get::<TcpConnectInfo>();
        let peer = peer.and_then(TcpConnectInfo::remote_addr);
        peer.map_or(Self::Unknown, |address| Self::Peer(address.ip()))
    }
}

/// What all calls share.
#[derive(Debug)]
struct Shared {
    /// By path, as in `/package.Service/Method`.
    policies: HashMap<String, Policy>,
    places: Arc<Admission<Caller>>,
    default_deadline: Duration,
}

/// The layer.
#[derive(Debug, Clone)]
pub struct CallLayer(Arc<Shared>);

impl CallLayer {
    /// The layer over the places of the process.
    #[must_use]
    pub fn new(policies: &Policies, places: Admission<Caller>, default_deadline: Duration) -> Self {
        let by_path = policies.iter();
        Self(Arc::new(Shared {
            policies: by_path
                .map(|(rpc, policy)| (format!("/{rpc}"), policy.clone()))
                .collect(),
            places: Arc::new(places),
            default_deadline,
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
        if UNTRACKED.iter().any(|service| path.starts_with(service)) {
            return Box::pin(self.inner.call(request));
        }
        // The clone that was made ready goes; the new one waits for its turn.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let shared = Arc::clone(&self.shared);
        // Not when the future is first polled: on a busy machine that is later by more than the margin,
        // and tonic's own timer, which runs from now, would answer CANCELLED.
        let budget = deadline::budget(request.headers(), shared.default_deadline);
        let end = Instant::now() + budget;
        Box::pin(async move {
            let facts = request.extensions().get::<Arc<CallFacts>>();
            let facts = facts.map(Arc::clone).unwrap_or_default();
            let (rpc, policy) = match shared.policies.get_key_value(request.uri().path()) {
                Some((path, policy)) => (path.trim_start_matches('/'), Some(policy)),
                // Whatever the caller wrote there does not belong into a log.
                None => ("unknown", None),
            };
            let mut line = CallLine::new(rpc, Arc::clone(&facts));
            let caller = Caller::of(request.extensions());
            let Ok(_place) = shared.places.enter(caller) else {
                let failure = Failure {
                    retry_after: Some(OVERLOAD_WAIT),
                    ..Failure::new(Kind::Overloaded)
                };
                return Ok(line.end(refusal(&failure, &facts)));
            };
            if end <= Instant::now() {
                // A future is polled once before its time is looked at: no work for nobody.
                return Ok(line.end(refusal(&overdue(&facts, policy), &facts)));
            }
            facts.ends(end);
            request.extensions_mut().insert(Arc::clone(&facts));
            match tokio::time::timeout_at(end, inner.call(request)).await {
                Ok(answered) => answered.map(|response| line.end(response)),
                Err(_elapsed) => Ok(line.end(refusal(&overdue(&facts, policy), &facts))),
            }
        })
    }
}

fn refusal(failure: &Failure, facts: &CallFacts) -> Response<Body> {
    status::of(failure, facts).into_http()
}

/// The caller's deadline passed: what it may have cost depends on what was out by then.
fn overdue(facts: &CallFacts, policy: Option<&Policy>) -> Failure {
    let chargeable = policy.is_some_and(|policy| policy.charge == Charge::PerRequest);
    Failure {
        provider: facts.provider(),
        verification_id: facts.verification_id(),
        billing: facts.provider().map(|_| match facts.may_be_charged() {
            true if chargeable => Billing::Unknown,
            _ => Billing::NotBilled,
        }),
        ..Failure::new(Kind::DeadlineExceeded)
    }
}

/// The call's log line. It is written when the call ends, however it ends.
struct CallLine<'a> {
    rpc: &'a str,
    facts: Arc<CallFacts>,
    started: Instant,
    code: Code,
}

impl<'a> CallLine<'a> {
    fn new(rpc: &'a str, facts: Arc<CallFacts>) -> Self {
        Self {
            rpc,
            facts,
            started: Instant::now(),
            // Until it is known better: a future that is dropped was given up by the caller.
            code: Code::Cancelled,
        }
    }

    fn end(&mut self, response: Response<Body>) -> Response<Body> {
        // A unary success carries its status in the trailers; only failures have it up here.
        self.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |s| s.code());
        response
    }
}

impl Drop for CallLine<'_> {
    fn drop(&mut self) {
        let (rpc, facts) = (self.rpc, &self.facts);
        let code = status::code_name(self.code);
        let duration_ms = self.started.elapsed().as_secs_f64() * 1e3;
        let reason = facts.reason();
        let verification_id = facts.verification_id().map(tracing::field::display);
        let provider = facts.provider().map(Provider::as_str);
        let outcome = facts.outcome().map(Outcome::as_str);
        let billing = facts.billing().map(Billing::as_str);
        let attempts = facts.attempts();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    rpc,
                    code,
                    reason,
                    duration_ms,
                    verification_id,
                    provider,
                    outcome,
                    billing,
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
