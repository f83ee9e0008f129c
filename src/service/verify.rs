//! What an RPC that looks somebody up is ([`Verify`]), and the one handler of all of them.
//!
//! The handler does once for all what the contract promises of every lookup: all bad fields at once, consent,
//! purpose, the audit's record, a cached answer or one provider call for identical lookups, the reply, and the
//! caller's mask.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;
use prost::Name;
use uuid::Uuid;

use super::{
    answers::{Asked, Lookups},
    gateway::Gateway,
    mask::ReadMask,
    reading, request_ids,
    routes::{AnyRoute, Supplier},
    shown::Shown,
};
use crate::{
    audit::words::PURPOSE,
    call::Call,
    domain::{
        consent::SubjectConsent,
        curp::CurpRule,
        date,
        failure::{Failure, Kind},
        lookup::{Document, Lookup},
        verification::VerificationId,
        violation::Violations,
    },
    policy::{Policy, PolicyError},
    proto::{fields::Filtered, identity::v1::Verification, lookup_request::LookupRequest},
    sharing::answers::Record,
};

/// An RPC of the contract that looks somebody up.
pub trait Verify: Send + Sync + 'static {
    /// `package.Service/Method`: policy, scope, audit, span and metric label follow from the contract.
    const RPC: &'static str;

    /// The request.
    type Request: LookupRequest;
    /// The reply.
    type Response: Name + Filtered;
    /// What is looked up.
    type Lookup: Lookup;
    /// What the registry holds.
    type Record: Record;

    /// The lookup, or every bad field in `bad`; none without a bad field if the consent is missing.
    fn check(request: &Self::Request, rules: &Rules, bad: &mut Violations) -> Option<Self::Lookup>;

    /// The lookup without what is not wanted, by field numbers of the reply.
    fn narrowed(lookup: Self::Lookup, _wanted: impl Fn(&[u32]) -> bool) -> Self::Lookup {
        lookup
    }

    /// Takes the document out of a record that was kept whole.
    fn leave_out_document(_record: &mut Self::Record) {}

    /// The reply.
    fn response(
        request: Self::Request,
        verification: Verification,
        record: Option<Box<Self::Record>>,
    ) -> Self::Response;
}

/// What a request is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Today, for dates that must not be in the future.
    pub today: Date,
    /// How much of a CURP is tested.
    pub curp: CurpRule,
    /// The consent of the person concerned, if there is one.
    pub consent: Option<SubjectConsent>,
}

/// The handler of one RPC.
#[derive(Debug)]
pub struct Handler<V: Verify> {
    policy: Policy,
    /// In the order in which they are asked.
    suppliers: Box<[Supplier<V>]>,
    lookups: Arc<Lookups<V>>,
    curp: CurpRule,
    shown: Shown,
}

impl<V: Verify> Handler<V> {
    /// The handler over those who can answer.
    ///
    /// # Errors
    ///
    /// If the RPC has no policy.
    pub fn new<const N: usize>(
        gateway: &Gateway,
        suppliers: [Supplier<V>; N],
    ) -> Result<Self, PolicyError> {
        let policy = gateway.policy(V::RPC)?;
        Ok(Self {
            suppliers: Box::new(suppliers),
            lookups: Arc::new(Lookups::new(
                gateway.answers.clone(),
                gateway.left.clone(),
                gateway.request_ids.clone(),
                policy.clone(),
            )),
            policy,
            curp: gateway.curp_rule,
            shown: Shown::of::<V::Response>(),
        })
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// What went wrong; from the checks on every failure carries the verification's own id.
    pub async fn answer(
        &self,
        call: &Arc<Call>,
        request: V::Request,
    ) -> Result<V::Response, Failure> {
        let Checked {
            lookup,
            max_age,
            mask,
            request_id,
            document,
        } = self.check(call, &request)?;
        let id = VerificationId::mint();
        call.facts.verifies(id);
        // A block and no function: that would have room for the lookup once more.
        let known = async {
            let route = self.route(call).await?;
            let asked = Asked {
                route,
                lookup,
                max_age,
            };
            let mut question = self.lookups.question(call, asked);
            self.lookups.answer(call, &mut question, request_id).await
        };
        let known = known.await.map_err(|failure| failure.of(id))?;
        call.facts
            .found(known.verified.outcome, known.verified.billing);
        call.facts.comes_from(known.source);
        let (mut verification, record) = reading::verification(id, known);
        if record.is_some() {
            verification.withheld = self.shown.withheld(&mask, call.visible(), document);
        }
        Ok(mask.apply(V::response(request, verification, record)))
    }

    fn check(&self, call: &Call, request: &V::Request) -> Result<Checked<V>, Failure> {
        let mut bad = Violations::default();
        let consent = match request.subject_consent() {
            Some(said) if self.policy.requires_consent => SubjectConsent::given(said),
            _ => None,
        };
        let rules = Rules {
            today: date::today(),
            curp: self.curp,
            consent,
        };
        let lookup = V::check(request, &rules, &mut bad);
        let max_age = bad.check("max_age", max_age(request.max_age()));
        bad.check(PURPOSE, call.purpose());
        let mask = ReadMask::of::<V::Response>(request.read_mask());
        let mask = bad.check("read_mask", mask);
        let request_id = bad.check("request_id", request_ids::parse(request.request_id()));
        let (Some(max_age), Some(mask), Some(request_id), true) =
            (max_age, mask, request_id, bad.is_empty())
        else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        if self.policy.requires_consent && consent.is_none() {
            return Err(Failure::new(Kind::ConsentRequired));
        }
        let lookup = lookup.ok_or(Failure::new(Kind::Internal))?;
        let document = lookup.document();
        // What the caller may not see is not decoded for it.
        let wanted = |field: &[u32]| mask.wants(field) && call.visible().has(field);
        let lookup = V::narrowed(lookup, wanted);
        call.begin(Some(lookup.identifier()), consent);
        // After that: who asks for what it may not see is recorded.
        self.shown.allows(&mask, call.visible())?;
        Ok(Checked {
            document,
            lookup,
            max_age: max_age.filter(|age| !age.is_zero()),
            mask,
            request_id,
        })
    }

    /// The way to the first supplier that is configured; from here on the audit knows who is asked.
    async fn route(&self, call: &Call) -> Result<Arc<AnyRoute<V>>, Failure> {
        let configured = self.suppliers.iter().find(|one| one.route.is_some());
        let supplier = configured.or(self.suppliers.first());
        let supplier = supplier.ok_or(Failure::new(Kind::Internal))?;
        call.facts.asks(supplier.provider);
        call.intend().await?;
        let not_configured = || Failure::before_sending(Kind::NotConfigured, supplier.provider);
        supplier.route.clone().ok_or_else(not_configured)
    }
}

/// A request that passed its checks.
struct Checked<V: Verify> {
    lookup: V::Lookup,
    max_age: Option<Duration>,
    mask: ReadMask,
    request_id: Option<Uuid>,
    /// Whether the document was asked for, by whoever may see it or not.
    document: Document,
}

/// Reads `max_age`.
///
/// # Errors
///
/// The rule that it breaks.
fn max_age(max_age: Option<prost_types::Duration>) -> Result<Option<Duration>, &'static str> {
    let age = max_age.map(Duration::try_from).transpose();
    age.map_err(|_| "must be a duration that is not negative")
}
