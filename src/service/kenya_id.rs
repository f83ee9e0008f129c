//! `ScrubKenyaId`: a Kenyan identity number.

use super::verify::{Rules, Verify};
use crate::{
    domain::{
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::KenyaLookup,
        redaction::Pii,
        violation::Violations,
    },
    proto::{
        identity::v1::{
            KenyaIdRecord, KenyaIdType, ScrubKenyaIdRequest, ScrubKenyaIdResponse, Verification,
        },
        well_known,
    },
};

/// The RPC.
#[derive(Debug)]
pub struct KenyaIdScrub;

impl Verify for KenyaIdScrub {
    const RPC: &'static str = "idgw.identity.v1.IdentityService/ScrubKenyaId";

    type Request = ScrubKenyaIdRequest;
    type Response = ScrubKenyaIdResponse;
    type Lookup = KenyaLookup;
    type Record = KenyaIdRecord;

    fn check(request: &Self::Request, rules: &Rules, bad: &mut Violations) -> Option<KenyaLookup> {
        let kind = bad.check("id_type", kind(request.id_type()));
        // Without its kind, the number has no rule but to be there.
        let id = match kind {
            Some(kind) => bad.check("id", KenyaId::parse(kind, &request.id)),
            None if request.id.is_empty() => bad.check("id", Err("is required")),
            None => None,
        };
        let json = request.metadata.as_ref().map(well_known::callers_object);
        let json = bad.check("metadata", json.transpose());
        Some(KenyaLookup {
            id: id?,
            consent: rules.consent?,
            metadata: json?.map(Pii::new),
        })
    }

    fn response(
        request: Self::Request,
        verification: Verification,
        record: Option<Box<KenyaIdRecord>>,
    ) -> ScrubKenyaIdResponse {
        ScrubKenyaIdResponse {
            verification: Some(verification),
            record,
            metadata: request.metadata,
        }
    }
}

fn kind(id_type: KenyaIdType) -> Result<KenyaIdKind, &'static str> {
    match id_type {
        KenyaIdType::Unspecified => Err("is required, and must be a known kind of number"),
        KenyaIdType::NationalId => Ok(KenyaIdKind::NationalId),
        KenyaIdType::Passport => Ok(KenyaIdKind::Passport),
        KenyaIdType::ServiceId => Ok(KenyaIdKind::ServiceId),
        KenyaIdType::AlienId => Ok(KenyaIdKind::AlienId),
    }
}
