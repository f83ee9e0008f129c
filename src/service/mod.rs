//! The tonic handlers: check the request, ask the provider, build the reply.

pub mod gateway;
pub mod identity;
mod lookups;
pub mod mask;
pub mod person;
mod person_fields;
mod request_ids;
mod verify;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{domain::failure::Failure, status, telemetry::call_facts::CallFacts};

/// The facts of the call, as the server began them.
fn facts_of<T>(request: &Request<T>) -> Arc<CallFacts> {
    let facts = request.extensions().get::<Arc<CallFacts>>();
    facts.map(Arc::clone).unwrap_or_default()
}

/// The reply, or the failure's status.
fn reply<T>(facts: &CallFacts, answered: Result<T, Failure>) -> Result<Response<T>, Status> {
    match answered {
        Ok(reply) => Ok(Response::new(reply)),
        Err(failure) => Err(status::of(&failure, facts)),
    }
}
