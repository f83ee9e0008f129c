//! The tonic handlers: check the request, ask the provider, build the reply.

pub mod gateway;
pub mod identity;
mod lookups;
pub mod mask;
pub mod person;
mod person_fields;
mod person_ids;
mod person_list;
mod person_update;
mod request_ids;
pub mod settings;
mod verify;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    access::fields::Filtered,
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Provider},
    },
    status,
    telemetry::call_facts::CallFacts,
};

/// The facts of the call, as the server began them.
fn facts_of<T>(request: &Request<T>) -> Arc<CallFacts> {
    let facts = request.extensions().get::<Arc<CallFacts>>();
    facts.map(Arc::clone).unwrap_or_default()
}

/// The reply, with what the caller may see of it, or the failure's status. Every handler ends here, so
/// that none can forget it.
fn reply<T: Filtered>(
    facts: &CallFacts,
    answered: Result<T, Failure>,
) -> Result<Response<T>, Status> {
    match answered {
        Ok(reply) => Ok(Response::new(facts.visible().of(reply))),
        Err(failure) => Err(status::of(&failure, facts)),
    }
}

/// What a defect of the gateway leaves of a call to a provider: an outcome that nobody knows, if
/// anything was out that may be charged.
fn defect(provider: Option<Provider>, call: &CallFacts) -> Failure {
    let (kind, billing) = match call.may_be_charged() {
        true => (Kind::OutcomeUnknown, Billing::Unknown),
        false => (Kind::Internal, Billing::NotBilled),
    };
    Failure {
        provider,
        billing: Some(billing),
        ..Failure::new(kind)
    }
}

/// Sends what a provider may charge for, within the caller's budget for that. What turns out to be free
/// is given back; what is given up on the way stays counted.
async fn charged<T>(
    facts: &CallFacts,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let counted = facts.charge().await?;
    let done = work.await;
    if let (Some(counted), Err(failure)) = (counted, &done)
        && failure.billing == Some(Billing::NotBilled)
    {
        counted.give_back();
    }
    done
}
