//! `grpc.health.v1.Health`, whose watches end when the process leaves.
//!
//! tonic-health's own service keeps a watch open for as long as its client likes, which would hold
//! the drain open for ever. Here a watch of a known service hears NOT_SERVING and ends. A watch of an
//! unknown service hears SERVICE_UNKNOWN and stays open until then, as the protocol says.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use super::lifecycle::{Lifecycle, Phase};

/// The services that have a health of their own; `""` is the whole process.
pub const SERVICES: [&str; 3] = ["", "identity.v1.IdentityService", "person.v1.PersonService"];

/// The health service.
#[derive(Debug)]
pub struct HealthService(Lifecycle);

impl HealthService {
    /// Health that follows the process's life.
    #[must_use]
    pub const fn new(lifecycle: Lifecycle) -> Self {
        Self(lifecycle)
    }
}

fn status(service: &str, phase: Phase) -> ServingStatus {
    match phase {
        _ if !SERVICES.contains(&service) => ServingStatus::ServiceUnknown,
        Phase::Serving => ServingStatus::Serving,
        Phase::LameDuck | Phase::Draining => ServingStatus::NotServing,
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

type Watch = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status(&request.get_ref().service, self.0.phase()) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            known => Ok(Response::new(response(known))),
        }
    }

    type WatchStream = Watch;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watch>, Status> {
        let service = request.into_inner().service;
        let lifecycle = self.0.clone();
        let now = status(&service, lifecycle.phase());
        // First what is so now; then, once the process leaves, that it does; then the end.
        let first = futures_util::stream::once(std::future::ready(now));
        let last = futures_util::stream::once(async move {
            lifecycle.reached(Phase::LameDuck).await;
            status(&service, Phase::LameDuck)
        });
        let changes = futures_util::StreamExt::chain(first, last);
        let answers = futures_util::StreamExt::map(changes, |status| Ok(response(status)));
        Ok(Response::new(Box::pin(answers)))
    }
}
