//! `idgw.identity.v1.IdentityService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    facts_of,
    gateway::Gateway,
    mask::ReadMask,
    reply,
    verify::{Rpc, max_age, verify},
};
use crate::{
    audit::{call as audit, hash::Identifier, words::PURPOSE},
    domain::{
        consent::SubjectConsent,
        curp::Curp,
        date::{self, Birthdate},
        failure::{Failure, Kind},
        foreigner_id::ForeignerId,
        kenya_id::{KenyaId, KenyaIdKind},
        lookup::{CurpLookup, Document, ForeignerLookup, KenyaLookup},
        redaction::Pii,
        violation::Violations,
    },
    policy::PolicyError,
    proto::{
        identity::v1::{
            CheckCurpRequest, CheckCurpResponse, KenyaIdType, ScrubKenyaIdRequest,
            ScrubKenyaIdResponse, VerifyPeForeignerIdRequest, VerifyPeForeignerIdResponse,
            identity_service_server::IdentityService,
        },
        well_known,
    },
    telemetry::call_facts::CallFacts,
};

/// `record.document` in `CheckCurpResponse`, by field numbers.
const DOCUMENT: [u32; 2] = [2, 20];

/// The service.
#[derive(Debug)]
pub struct Identity {
    gateway: Arc<Gateway>,
    foreigner: Rpc<ForeignerLookup>,
    kenya: Rpc<KenyaLookup>,
    curp: Rpc<CurpLookup>,
}

impl Identity {
    /// The service over its gateway.
    ///
    /// # Errors
    ///
    /// If an RPC has no policy.
    pub fn new(gateway: Arc<Gateway>) -> Result<Self, PolicyError> {
        let policy = |rpc| gateway.policy(&format!("idgw.identity.v1.IdentityService/{rpc}"));
        Ok(Self {
            foreigner: Rpc::new(policy("VerifyPeForeignerId")?),
            kenya: Rpc::new(policy("ScrubKenyaId")?),
            curp: Rpc::new(policy("CheckCurp")?),
            gateway,
        })
    }

    async fn foreigner(
        &self,
        facts: &CallFacts,
        request: VerifyPeForeignerIdRequest,
    ) -> Result<VerifyPeForeignerIdResponse, Failure> {
        let mut bad = Violations::default();
        let number = ForeignerId::parse(&request.document_number);
        let number = bad.check("document_number", number);
        let birthdate = Birthdate::parse(&request.birthdate, date::today());
        let birthdate = bad.check("birthdate", birthdate);
        let max_age = bad.check("max_age", max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<VerifyPeForeignerIdResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(document_number), Some(birthdate), Some(max_age), Some(mask), true) =
            (number, birthdate, max_age, mask, bad.is_empty())
        else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let lookup = ForeignerLookup {
            document_number,
            birthdate,
        };
        audit::begin(facts, Identifier::Foreigner(&lookup.document_number), None);
        let (verification, record) =
            verify(&self.gateway, facts, &self.foreigner, lookup, max_age).await?;
        Ok(mask.apply(VerifyPeForeignerIdResponse {
            verification: Some(verification),
            record,
        }))
    }

    async fn kenya(
        &self,
        facts: &CallFacts,
        request: ScrubKenyaIdRequest,
    ) -> Result<ScrubKenyaIdResponse, Failure> {
        let mut bad = Violations::default();
        let kind = bad.check("id_type", kind(request.id_type()));
        // Without its kind, the number has no rule but to be there.
        let id = match kind {
            Some(kind) => bad.check("id", KenyaId::parse(kind, &request.id)),
            None if request.id.is_empty() => bad.check("id", Err("is required")),
            None => None,
        };
        let json = request.metadata.as_ref().map(well_known::callers_object);
        let json = bad.check("metadata", json.transpose());
        let max_age = bad.check("max_age", max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<ScrubKenyaIdResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(id), Some(json), Some(max_age), Some(mask), true) =
            (id, json, max_age, mask, bad.is_empty())
        else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let consent = SubjectConsent::given(request.subject_consent)
            .ok_or(Failure::new(Kind::ConsentRequired))?;
        let lookup = KenyaLookup {
            id,
            consent,
            metadata: json.map(Pii::new),
        };
        audit::begin(facts, Identifier::Kenya(&lookup.id), Some(consent));
        let (verification, record) =
            verify(&self.gateway, facts, &self.kenya, lookup, max_age).await?;
        Ok(mask.apply(ScrubKenyaIdResponse {
            verification: Some(verification),
            record,
            metadata: request.metadata,
        }))
    }

    async fn curp(
        &self,
        facts: &CallFacts,
        request: CheckCurpRequest,
    ) -> Result<CheckCurpResponse, Failure> {
        let mut bad = Violations::default();
        let curp = Curp::parse(&request.curp, self.gateway.curp_rule, date::today());
        let curp = bad.check("curp", curp);
        let max_age = bad.check("max_age", max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<CheckCurpResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(curp), Some(max_age), Some(mask), true) = (curp, max_age, mask, bad.is_empty())
        else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        // What the caller may not see is not decoded for it.
        let wanted = mask.wants(&DOCUMENT) && facts.visible().has(&DOCUMENT);
        let document = if request.include_document && wanted {
            Document::Include
        } else {
            Document::Omit
        };
        let lookup = CurpLookup { curp, document };
        audit::begin(facts, Identifier::Curp(&lookup.curp), None);
        let (verification, record) =
            verify(&self.gateway, facts, &self.curp, lookup, max_age).await?;
        Ok(mask.apply(CheckCurpResponse {
            verification: Some(verification),
            record,
        }))
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

#[tonic::async_trait]
impl IdentityService for Identity {
    async fn verify_pe_foreigner_id(
        &self,
        request: Request<VerifyPeForeignerIdRequest>,
    ) -> Result<Response<VerifyPeForeignerIdResponse>, Status> {
        let facts = facts_of(&request);
        reply(&facts, self.foreigner(&facts, request.into_inner()).await)
    }

    async fn scrub_kenya_id(
        &self,
        request: Request<ScrubKenyaIdRequest>,
    ) -> Result<Response<ScrubKenyaIdResponse>, Status> {
        let facts = facts_of(&request);
        reply(&facts, self.kenya(&facts, request.into_inner()).await)
    }

    async fn check_curp(
        &self,
        request: Request<CheckCurpRequest>,
    ) -> Result<Response<CheckCurpResponse>, Status> {
        let facts = facts_of(&request);
        reply(&facts, self.curp(&facts, request.into_inner()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Settings, policy::Policies, proto};

    /// With thousands in flight the memory that each works on decides how fast they are. What one call
    /// in many waits for (Redis, the audit's writer, its budget) is boxed, so that the others need no
    /// room for it.
    #[tokio::test]
    async fn a_handler_waits_in_less_than_two_kilobytes() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        let (gateway, _watches) = Gateway::new(&Settings::default(), policies, 0).unwrap();
        let service = Identity::new(gateway).unwrap();
        let sizes = [
            size_of_val(&*service.check_curp(Request::new(Default::default()))),
            size_of_val(&*service.scrub_kenya_id(Request::new(Default::default()))),
            size_of_val(&*service.verify_pe_foreigner_id(Request::new(Default::default()))),
        ];
        assert!(sizes.iter().all(|size| *size < 2048), "{sizes:?}");
    }
}
