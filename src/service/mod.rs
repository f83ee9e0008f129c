//! The tonic handlers: check the request, ask the provider, build the reply.

mod answers;
mod curp;
pub mod gateway;
pub mod identity;
mod kenya_id;
pub mod mask;
mod mask_path;
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
mod shown;
mod verify;

use std::ops::{Deref, RangeInclusive};

use prost::Message;
use tonic::{Response, Status};

use crate::{
    access::budget::Counted,
    call::Call,
    domain::{
        failure::{Failure, Kind},
        verification::{Billing, Provider},
    },
    proto::fields::Filtered,
    transport::Progress,
};

/// The bytes of a reply that is worth compressing, for a caller that compresses too. A smaller one fits into a few packets as
/// it is; a larger one holds images or documents, which are compressed already.
const COMPRESSED: RangeInclusive<usize> = 4 * 1024..=512 * 1024;

/// The reply, with what the caller may see of it, or the failure's status. Every handler ends here, so
/// that none can forget it.
fn reply<T: Filtered + Message>(
    call: &Call,
    answered: Result<T, Failure>,
) -> Result<Response<T>, Status> {
    let reply = answered.map_err(|failure| call.fails(&failure))?;
    let mut reply = Response::new(call.visible().of(reply));
    call.head(reply.metadata_mut());
    if call.may_compress() && !COMPRESSED.contains(&reply.get_ref().encoded_len()) {
        reply.disable_compression();
    }
    Ok(reply)
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

/// Sends what a provider may charge for, within the caller's budget for that. What turns out to be free, or is given up
/// before it was sent, is given back.
async fn charged<T>(
    call: &Call,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let counted = Reserved {
        counted: call.charge().await?,
        progress: &*call.progress,
    };
    let done = work.await;
    if let Err(failure) = &done
        && failure.billing == Some(Billing::NotBilled)
    {
        counted.give_back();
    }
    done
}

/// What a call has taken of a budget. Dropped while nothing is out that may be charged it is given back.
struct Reserved<P: Deref<Target = Progress>> {
    counted: Option<Counted>,
    progress: P,
}

impl<P: Deref<Target = Progress>> Reserved<P> {
    /// It turned out to be free.
    fn give_back(mut self) {
        give_back(self.counted.take());
    }
}

impl<P: Deref<Target = Progress>> Drop for Reserved<P> {
    fn drop(&mut self) {
        let counted = self.counted.take();
        if !self.progress.may_be_charged() {
            give_back(counted);
        }
    }
}

fn give_back(counted: Option<Counted>) {
    if let Some(counted) = counted {
        counted.give_back();
    }
}
