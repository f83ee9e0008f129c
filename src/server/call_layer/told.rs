//! What is told of the call: its span, its figures, its log line. It is told when the call ends, however
//! it ends.

use std::sync::Arc;

use http::{HeaderMap, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use super::Shared;
use crate::{
    call::Call,
    telemetry::{call_end::CallEnd, labels::Rpc, metrics, spans::CallSpan},
};

/// What is told of one call. Its drop tells it.
pub(super) struct Told {
    shared: Arc<Shared>,
    rpc: Rpc,
    call: Arc<Call>,
    started: Instant,
    code: Code,
    pub span: CallSpan,
}

impl Told {
    pub fn new(shared: Arc<Shared>, rpc: Rpc, call: Arc<Call>, headers: &HeaderMap) -> Self {
        Self {
            shared,
            rpc,
            call,
            started: Instant::now(),
            // Until it is known better: a future that is dropped was given up by the caller.
            code: Code::Cancelled,
            span: CallSpan::start(rpc, headers),
        }
    }

    pub fn end(&mut self, response: Response<Body>) -> Response<Body> {
        // A unary success carries its status in the trailers; only failures have it up here.
        self.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |s| s.code());
        response
    }

    fn count(&self, end: &CallEnd<'_>) {
        metrics::called(self.rpc, self.code, end.took, &self.span.span_context());
        if let Some(reason) = end.reason {
            metrics::failed(self.rpc, reason, end.provider);
        }
        if let Some(((provider, outcome), source)) = end.provider.zip(end.outcome).zip(end.source) {
            metrics::verified(provider, outcome, source);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // A call that is given up is dropped outside of its context.
        let _entered = self.span.context().attach();
        let end = self
            .call
            .end_with(self.rpc, self.code, self.started.elapsed());
        self.span.tell(&end);
        self.count(&end);
        let mut suppressed = None;
        if self.code == Code::Unauthenticated {
            // Whoever reaches the port could fill the log.
            match self.shared.strangers.next() {
                Some(left_out) => suppressed = Some(left_out).filter(|left_out| *left_out > 0),
                None => return,
            }
        }
        end.log(suppressed);
    }
}
