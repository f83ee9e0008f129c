//! The lookups that figures are taken of, each number about somebody else.

use identity_gateway::proto::identity::v1::{
    CheckCurpRequest, KenyaIdType, ScrubKenyaIdRequest, VerifyPeForeignerIdRequest,
    identity_service_client::IdentityServiceClient,
};
use tonic::Status;

use crate::{stage::Caller, subjects::Kind};

/// The largest answer that is taken.
const LARGEST: usize = 32 << 20;

/// A lookup in Kenya, which may be answered from the cache.
pub async fn kenya(n: u64, caller: Caller, kept: bool) -> Result<(), Status> {
    let request = ScrubKenyaIdRequest {
        id: Kind::Kenya.identifier(n),
        id_type: KenyaIdType::Passport.into(),
        subject_consent: true,
        max_age: kept.then_some(prost_types::Duration {
            seconds: 3600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let mut client = IdentityServiceClient::new(caller);
    client.scrub_kenya_id(request).await.map(drop)
}

/// A lookup in Peru.
pub async fn peru(n: u64, caller: Caller) -> Result<(), Status> {
    let request = VerifyPeForeignerIdRequest {
        document_number: Kind::Foreigner.identifier(n),
        birthdate: "1990-01-01".to_owned(),
        ..Default::default()
    };
    let mut client = IdentityServiceClient::new(caller);
    client.verify_pe_foreigner_id(request).await.map(drop)
}

/// A lookup in Mexico, with the document or without.
pub async fn mexico(n: u64, caller: Caller, document: bool) -> Result<(), Status> {
    let request = CheckCurpRequest {
        curp: Kind::Curp.identifier(n),
        include_document: document,
        ..Default::default()
    };
    let client = IdentityServiceClient::new(caller);
    let mut client = client.max_decoding_message_size(LARGEST);
    client.check_curp(request).await.map(drop)
}
