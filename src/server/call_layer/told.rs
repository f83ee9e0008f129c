//! What is told of the call: its span, its figures, its log line. It is told when the call ends, however
//! it ends.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use super::Shared;
use crate::{
    auth::Unidentified,
    call::Call,
    telemetry::{call_end::CallEnd, labels::Rpc, metrics, sampled::Sampled, spans::CallSpan},
};

/// What is told of one call. Its drop tells it.
pub(super) struct Told {
    shared: Arc<Shared>,
    rpc: Rpc,
    call: Arc<Call>,
    started: Instant,
    code: Code,
    is_of_nobody: bool,
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
            is_of_nobody: false,
            span: CallSpan::start(rpc, headers),
        }
    }

    /// It was not asked who calls.
    pub fn is_of_nobody(&mut self) {
        self.is_of_nobody = true;
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
        if let Some(refused) = end.refused {
            metrics::caller_refused(self.rpc, refused.cause);
        }
        if let Some(((provider, outcome), source)) = end.provider.zip(end.outcome).zip(end.source) {
            metrics::verified(provider, outcome, source);
        }
        end.count_for_rule();
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
        // Whoever reaches the port could fill the log, and so could whoever has some token of the issuer's. Neither
        // hides what is said of the other, or of callers that are let in.
        let sampled = match (end.refused, self.call.caller()) {
            (Some(_), Some(_)) => Some(&self.shared.not_allowed),
            (Some(_), None) => Some(&self.shared.strangers),
            (None, _) => self.is_of_nobody.then_some(&self.shared.strangers),
        };
        log(&end, sampled);
    }
}

/// Writes the line, unless there are too many like it.
fn log(end: &CallEnd<'_>, sampled: Option<&Sampled>) {
    match sampled.map(Sampled::next) {
        None => end.log(None),
        Some(Some(left_out)) => end.log(Some(left_out).filter(|left_out| *left_out > 0)),
        Some(None) => {}
    }
}

/// Turns a caller away from what passes by, health or reflection, and tells of that.
pub(super) fn passed_by(shared: &Shared, rpc: Rpc, unidentified: &Unidentified) -> Response<Body> {
    let call = Call::default();
    let status = call.fails(&call.is_not_identified(unidentified));
    metrics::caller_refused(rpc, unidentified.cause);
    let end = call.end_with(rpc, status.code(), Duration::ZERO);
    log(&end, Some(&shared.strangers));
    status.into_http()
}
