//! `VerifyPeForeignerId`: a Peruvian foreigner's card.

use super::verify::{Rules, Verify};
use crate::{
    domain::{
        date::Birthdate, foreigner_id::ForeignerId, lookup::ForeignerLookup, violation::Violations,
    },
    proto::identity::v1::{
        PeForeignerIdRecord, Verification, VerifyPeForeignerIdRequest, VerifyPeForeignerIdResponse,
    },
};

/// The RPC.
#[derive(Debug)]
pub struct PeForeignerId;

impl Verify for PeForeignerId {
    const RPC: &'static str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";

    type Request = VerifyPeForeignerIdRequest;
    type Response = VerifyPeForeignerIdResponse;
    type Lookup = ForeignerLookup;
    type Record = PeForeignerIdRecord;

    fn check(
        request: &Self::Request,
        rules: &Rules,
        bad: &mut Violations,
    ) -> Option<ForeignerLookup> {
        let number = ForeignerId::parse(&request.document_number);
        let number = bad.check("document_number", number);
        let birthdate = Birthdate::parse(&request.birthdate, rules.today);
        let birthdate = bad.check("birthdate", birthdate);
        Some(ForeignerLookup {
            document_number: number?,
            birthdate: birthdate?,
        })
    }

    fn response(
        _: Self::Request,
        verification: Verification,
        record: Option<Box<PeForeignerIdRecord>>,
    ) -> VerifyPeForeignerIdResponse {
        VerifyPeForeignerIdResponse {
            verification: Some(verification),
            record,
        }
    }
}
