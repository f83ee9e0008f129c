//! `VerifyPeDni`: a Peruvian identity card.

use super::verify::{Rules, Verify};
use crate::{
    domain::{
        dni::{Dni, DniLookup},
        violation::Violations,
    },
    proto::identity::v1::{PeDniRecord, Verification, VerifyPeDniRequest, VerifyPeDniResponse},
};

/// The RPC.
#[derive(Debug)]
pub struct PeDni;

impl Verify for PeDni {
    const RPC: &'static str = "idgw.identity.v1.IdentityService/VerifyPeDni";

    type Request = VerifyPeDniRequest;
    type Response = VerifyPeDniResponse;
    type Lookup = DniLookup;
    type Record = PeDniRecord;

    fn check(request: &Self::Request, _: &Rules, bad: &mut Violations) -> Option<DniLookup> {
        let number = Dni::parse(&request.document_number);
        Some(DniLookup {
            document_number: bad.check("document_number", number)?,
        })
    }

    fn response(
        _: Self::Request,
        verification: Verification,
        record: Option<Box<PeDniRecord>>,
    ) -> VerifyPeDniResponse {
        VerifyPeDniResponse {
            verification: Some(verification),
            record,
        }
    }
}
