//! `CheckCurp`: a Mexican CURP.

use super::verify::{Rules, Verify};
use crate::{
    domain::{
        curp::Curp,
        lookup::{CurpLookup, Document},
        violation::Violations,
    },
    proto::identity::v1::{CheckCurpRequest, CheckCurpResponse, CurpRecord, Verification},
};

/// `record.document` in `CheckCurpResponse`, by field numbers.
const DOCUMENT: [u32; 2] = [2, 20];

/// The RPC.
#[derive(Debug)]
pub struct CurpCheck;

impl Verify for CurpCheck {
    const RPC: &'static str = "idgw.identity.v1.IdentityService/CheckCurp";

    type Request = CheckCurpRequest;
    type Response = CheckCurpResponse;
    type Lookup = CurpLookup;
    type Record = CurpRecord;

    fn check(request: &Self::Request, rules: &Rules, bad: &mut Violations) -> Option<CurpLookup> {
        let curp = Curp::parse(&request.curp, rules.curp, rules.today);
        Some(CurpLookup {
            curp: bad.check("curp", curp)?,
            document: match request.include_document {
                true => Document::Include,
                false => Document::Omit,
            },
        })
    }

    fn narrowed(lookup: CurpLookup, wanted: impl Fn(&[u32]) -> bool) -> CurpLookup {
        match wanted(&DOCUMENT) {
            true => lookup,
            false => CurpLookup {
                document: Document::Omit,
                ..lookup
            },
        }
    }

    fn leave_out_document(record: &mut CurpRecord) {
        record.document = None;
    }

    fn response(
        _: Self::Request,
        verification: Verification,
        record: Option<Box<CurpRecord>>,
    ) -> CheckCurpResponse {
        CheckCurpResponse {
            verification: Some(verification),
            record,
        }
    }
}
