//! `grpc.health.v1.Health`, whose watches end when the process leaves.
//!
//! tonic-health's own service keeps a watch open for as long as its client likes, which would hold
//! the drain open for ever. Here a watch hears NOT_SERVING and ends; a watch of an unknown service
//! hears SERVICE_UNKNOWN and stays open until then, as the protocol says.
//!
//! `""` and the services of the contract follow the process's life and nothing else: restarting the
//! gateway, or taking it out of service, would not mend a provider. Each configured provider has a
//! service of its own (`provider/verifik` …) that is NOT_SERVING while its circuit refuses calls:
//! until the open time is over, and while a probe is out.

use std::{future, pin::Pin};

use tokio::{sync::watch, time::Instant};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use super::lifecycle::{Lifecycle, Phase};
use crate::{domain::verification::Provider, transport::breaker::Circuit};

#[cfg(test)]
mod tests;

/// The services that follow the process's life; `""` is the whole process.
pub const SERVICES: [&str; 3] = [
    "",
    "idgw.identity.v1.IdentityService",
    "idgw.person.v1.PersonService",
];
/// What stands before a provider's name.
const PREFIX: &str = "provider/";

/// The health service.
#[derive(Debug, Clone)]
pub struct HealthService {
    lifecycle: Lifecycle,
    circuits: Vec<(Provider, watch::Receiver<Circuit>)>,
}

impl HealthService {
    /// Health of the process and of the configured providers.
    #[must_use]
    pub const fn new(
        lifecycle: Lifecycle,
        circuits: Vec<(Provider, watch::Receiver<Circuit>)>,
    ) -> Self {
        Self {
            lifecycle,
            circuits,
        }
    }

    /// Every service, and whether it is SERVING.
    pub fn all(&self) -> Vec<(String, bool)> {
        let providers = self.circuits.iter();
        let providers = providers.map(|(provider, _)| format!("{PREFIX}{provider}"));
        let services = SERVICES.map(str::to_owned).into_iter().chain(providers);
        let phase = self.lifecycle.phase();
        let judged = services.map(|service| {
            let status = self.subject(&service).status(phase);
            (service, status == ServingStatus::Serving)
        });
        judged.collect()
    }

    fn subject(&self, service: &str) -> Subject {
        if SERVICES.contains(&service) {
            return Subject::Process;
        }
        let provider = service.strip_prefix(PREFIX);
        let named = |(name, _): &&(Provider, _)| Some(name.as_str()) == provider;
        match self.circuits.iter().find(named) {
            Some((_, circuit)) => Subject::Provider(circuit.clone()),
            None => Subject::Unknown,
        }
    }
}

/// Whose health is asked for.
enum Subject {
    Process,
    Provider(watch::Receiver<Circuit>),
    Unknown,
}

impl Subject {
    fn status(&mut self, phase: Phase) -> ServingStatus {
        match (self, phase) {
            (Self::Unknown, _) => ServingStatus::ServiceUnknown,
            (_, Phase::LameDuck | Phase::Draining) => ServingStatus::NotServing,
            (Self::Process, Phase::Serving) => ServingStatus::Serving,
            (Self::Provider(circuit), Phase::Serving) => match *circuit.borrow_and_update() {
                Circuit::Closed => ServingStatus::Serving,
                Circuit::Open { until } if until <= Instant::now() => ServingStatus::Serving,
                Circuit::Open { .. } | Circuit::HalfOpen => ServingStatus::NotServing,
            },
        }
    }

    /// Waits until the status may be another one.
    async fn changed(&mut self) {
        let Self::Provider(circuit) = self else {
            return future::pending().await;
        };
        let open = *circuit.borrow();
        let over = async {
            match open {
                Circuit::Open { until } if until > Instant::now() => {
                    tokio::time::sleep_until(until).await;
                }
                _ => future::pending().await,
            }
        };
        tokio::select! {
            changed = circuit.changed() => if changed.is_err() {
                // The provider's circuit is gone, and with it the process.
                future::pending::<()>().await;
            },
            () = over => {}
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// What a watch has told so far.
struct Watcher {
    subject: Subject,
    lifecycle: Lifecycle,
    told: Option<ServingStatus>,
}

impl Watcher {
    /// The next status that differs from the last; none once the process has said that it leaves.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let phase = self.lifecycle.phase();
            let now = self.subject.status(phase);
            if self.told != Some(now) {
                self.told = Some(now);
                return Some((Ok(response(now)), self));
            }
            if phase != Phase::Serving {
                return None;
            }
            tokio::select! {
                () = self.lifecycle.reached(Phase::LameDuck) => {}
                () = self.subject.changed() => {}
            }
        }
    }
}

type Watch = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let mut subject = self.subject(&request.get_ref().service);
        match subject.status(self.lifecycle.phase()) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            known => Ok(Response::new(response(known))),
        }
    }

    type WatchStream = Watch;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watch>, Status> {
        let watcher = Watcher {
            subject: self.subject(&request.get_ref().service),
            lifecycle: self.lifecycle.clone(),
            told: None,
        };
        let answers = futures_util::stream::unfold(watcher, Watcher::next);
        Ok(Response::new(Box::pin(answers)))
    }
}
