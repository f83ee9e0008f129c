//! The layer that begins and ends each recorded call. It stands outside all others, so that it sees
//! every end: the handler's, a deadline's, and the caller's giving up.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use foldhash::HashMap;

use super::{Call, recording::Recording};
use crate::{
    audit::{Audit, words::Purpose},
    auth::peer,
    domain::verification::Environments,
    policy::Policies,
    proto::gateway::v1::Charge,
};

/// The layer.
#[derive(Debug, Clone)]
pub struct AuditLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    audit: Arc<Audit>,
    /// Every recorded RPC, by its path.
    rpcs: HashMap<String, (Arc<str>, Charge)>,
    environments: Environments,
}

impl AuditLayer {
    /// The layer over the audit, where these are the providers' environments. What is recorded is for the
    /// contract to say: `RpcPolicy.audited`.
    #[must_use]
    pub fn new(audit: Arc<Audit>, policies: &Policies, environments: Environments) -> Self {
        let audited = policies.iter().filter(|(_, policy)| policy.audited);
        let rpcs = audited.map(|(rpc, policy)| (format!("/{rpc}"), (rpc.into(), policy.charge)));
        Self(Arc::new(Shared {
            audit,
            rpcs: rpcs.collect(),
            environments,
        }))
    }

    /// A call of a recorded RPC, with the audit's part in it.
    fn begin<B>(&self, request: &Request<B>) -> Option<Arc<Call>> {
        let rpc = self.0.rpcs.get(request.uri().path())?;
        let recording = Recording::new(
            Arc::clone(&self.0.audit),
            rpc.clone(),
            peer::shown(request.extensions()),
            Purpose::of(request.headers()),
            self.0.environments,
        );
        let id = recording.id();
        let call = Arc::new(Call::recorded(recording));
        let open: Weak<Call> = Arc::downgrade(&call);
        self.0.audit.opened(id, open);
        Some(call)
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = AuditService<S>;

    fn layer(&self, inner: S) -> AuditService<S> {
        AuditService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service under the layer.
#[derive(Debug, Clone)]
pub struct AuditService<S> {
    inner: S,
    layer: AuditLayer,
}

impl<S, B, R> Service<Request<B>> for AuditService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(call) = self.layer.begin(&request) else {
            return Box::pin(self.inner.call(request));
        };
        request.extensions_mut().insert(Arc::clone(&call));
        let mut end = CallEnd {
            call,
            // Until it is known better: a future that is dropped was given up by the caller.
            code: Code::Cancelled,
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            end.answered(response.headers());
            Ok(response)
        })
    }
}

/// Records the end of a call when it is dropped.
struct CallEnd {
    call: Arc<Call>,
    code: Code,
}

impl CallEnd {
    /// A unary success carries its status in the trailers; only failures have it in the headers.
    fn answered(&mut self, headers: &HeaderMap) {
        self.code = Status::from_header_map(headers).map_or(Code::Ok, |status| status.code());
    }
}

impl Drop for CallEnd {
    fn drop(&mut self) {
        self.call.end(self.code);
        self.call.closed();
    }
}
