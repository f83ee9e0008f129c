//! The layer that begins and ends each recorded call. It stands outside all others, so that it sees
//! every end: the handler's, a deadline's, and the caller's giving up.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Audit,
    call::{self, Call},
    words::{Purpose, Rpc},
};
use crate::{
    domain::verification::Environments,
    policy::{Policies, PolicyError},
    proto::gateway::v1::Charge,
    server::peer,
    telemetry::call_facts::CallFacts,
};

/// The layer.
#[derive(Debug, Clone)]
pub struct AuditLayer {
    audit: Arc<Audit>,
    charges: Arc<[(Rpc, Charge)]>,
    environments: Environments,
}

impl AuditLayer {
    /// The layer over the audit, where these are the providers' environments.
    ///
    /// # Errors
    ///
    /// If a recorded RPC has no policy.
    pub fn new(
        audit: Arc<Audit>,
        policies: &Policies,
        environments: Environments,
    ) -> Result<Self, PolicyError> {
        let charge = |rpc: Rpc| Ok((rpc, policies.get(rpc.as_str())?.charge));
        let charges: Result<Arc<[_]>, PolicyError> = Rpc::ALL.into_iter().map(charge).collect();
        Ok(Self {
            audit,
            charges: charges?,
            environments,
        })
    }

    /// The facts of a call of a recorded RPC, with the audit's part in them.
    fn facts<B>(&self, request: &Request<B>) -> Option<Arc<CallFacts>> {
        let rpc = Rpc::at(request.uri().path())?;
        let known = self.charges.iter().find(|(known, _)| *known == rpc)?;
        let peer = peer::shown(request.extensions());
        let purpose = Purpose::of(request.headers());
        let call = Call::new(
            Arc::clone(&self.audit),
            *known,
            peer,
            purpose,
            self.environments,
        );
        let id = call.id();
        let facts = Arc::new(CallFacts::audited(call));
        self.audit.opened(id, &facts);
        Some(facts)
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
        let Some(facts) = self.layer.facts(&request) else {
            return Box::pin(self.inner.call(request));
        };
        request.extensions_mut().insert(Arc::clone(&facts));
        let mut end = CallEnd {
            facts,
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
    facts: Arc<CallFacts>,
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
        call::end(&self.facts, self.code);
        if let Some(call) = self.facts.audit() {
            call.forget();
        }
    }
}
