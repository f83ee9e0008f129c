//! `identity.v1.IdentityService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{
    facts_of,
    gateway::{Gateway, check_max_age, verify},
    mask::ReadMask,
    reply,
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
        verification::Provider,
        violation::Violations,
    },
    policy::{Policy, PolicyError},
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
    foreigner: Policy,
    kenya: Policy,
    curp: Policy,
}

impl Identity {
    /// The service over its gateway.
    ///
    /// # Errors
    ///
    /// If an RPC has no policy.
    pub fn new(gateway: Arc<Gateway>) -> Result<Self, PolicyError> {
        Ok(Self {
            foreigner: gateway.policy("identity.v1.IdentityService/VerifyPeForeignerId")?,
            kenya: gateway.policy("identity.v1.IdentityService/ScrubKenyaId")?,
            curp: gateway.policy("identity.v1.IdentityService/CheckCurp")?,
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
        bad.check("max_age", check_max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<VerifyPeForeignerIdResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(document_number), Some(birthdate), Some(mask), true) =
            (number, birthdate, mask, bad.is_empty())
        else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let lookup = ForeignerLookup {
            document_number,
            birthdate,
        };
        audit::begin(facts, Identifier::Foreigner(&lookup.document_number), None);
        let (verification, record) = verify(
            facts,
            &self.foreigner,
            (Provider::Verifik, self.gateway.verifik.as_ref()),
            |verifik| verifik.foreigner_request(&lookup),
            |verifik, answer| verifik.read_foreigner(answer),
        )
        .await?;
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
        let json = request.metadata.as_ref().map(well_known::json_object);
        let json = json.map(|json| json.ok_or("must not hold NaN or an infinity"));
        let json = bad.check("metadata", json.transpose());
        bad.check("max_age", check_max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<ScrubKenyaIdResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(id), Some(json), Some(mask), true) = (id, json, mask, bad.is_empty()) else {
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
        let (verification, record) = verify(
            facts,
            &self.kenya,
            (Provider::Youverify, self.gateway.youverify.as_ref()),
            |youverify| youverify.request(&lookup),
            |youverify, answer| youverify.read(answer),
        )
        .await?;
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
        bad.check("max_age", check_max_age(request.max_age));
        bad.check(PURPOSE, audit::purpose(facts));
        let mask = ReadMask::of::<CheckCurpResponse>(request.read_mask.as_ref());
        let mask = bad.check("read_mask", mask);
        let (Some(curp), Some(mask), true) = (curp, mask, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let document = if request.include_document && mask.wants(&DOCUMENT) {
            Document::Include
        } else {
            Document::Omit
        };
        let lookup = CurpLookup { curp, document };
        audit::begin(facts, Identifier::Curp(&lookup.curp), None);
        let (verification, record) = verify(
            facts,
            &self.curp,
            (Provider::Accuauth, self.gateway.accuauth.as_ref()),
            |accuauth| accuauth.request(&lookup),
            |accuauth, answer| accuauth.read(&lookup, answer),
        )
        .await?;
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
