//! The tonic handlers: check the request, ask the provider, build the reply.

mod answers;
mod curp;
pub mod gateway;
pub mod identity;
mod kenya_id;
pub mod mask;
mod pe_dni;
mod pe_foreigner_id;
pub mod person;
mod person_fields;
mod person_ids;
mod person_list;
mod person_update;
mod reading;
mod request_ids;
mod routes;
pub mod settings;
mod verify;

use tonic::{Response, Status};

use crate::{
    call::Call,
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Provider},
    },
    proto::fields::Filtered,
    transport::Progress,
};

/// The reply, with what the caller may see of it, or the failure's status. Every handler ends here, so
/// that none can forget it.
fn reply<T: Filtered>(call: &Call, answered: Result<T, Failure>) -> Result<Response<T>, Status> {
    match answered {
        Ok(reply) => Ok(Response::new(call.visible().of(reply))),
        Err(failure) => Err(call.fails(&failure)),
    }
}

/// What a defect of the gateway leaves of a call to a provider: an outcome that nobody knows, if
/// anything was out that may be charged.
fn defect(provider: Option<Provider>, progress: &Progress) -> Failure {
    let (kind, billing) = match progress.may_be_charged() {
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
    call: &Call,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let counted = call.charge().await?;
    let done = work.await;
    if let (Some(counted), Err(failure)) = (counted, &done)
        && failure.billing == Some(Billing::NotBilled)
    {
        counted.give_back();
    }
    done
}
