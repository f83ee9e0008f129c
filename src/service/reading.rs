//! What is known of a lookup, as the contract's `Verification`.

use jiff::Timestamp;

use super::answers::Known;
use crate::{
    domain::price::Price,
    domain::verification::{Billing, Environment, Outcome, Source, VerificationId, Verified},
    proto::{gateway::v1::Money, identity::v1 as pb},
};

/// The verification of a reply, and the record beside it.
pub fn verification<R>(id: VerificationId, known: Known<R>) -> (pb::Verification, Option<Box<R>>) {
    let Verified {
        outcome,
        reference,
        code,
        message,
        billing,
        record,
        drift: _,
    } = known.verified;
    let verification = pb::Verification {
        id: id.to_string(),
        outcome: shown_outcome(outcome).into(),
        provider: known.provider.as_str().to_owned(),
        provider_reference: reference,
        provider_code: code,
        provider_message: message,
        checked_at: Some(timestamp(known.checked_at)),
        source: shown_source(known.source).into(),
        billing: shown_billing(billing).into(),
        environment: match known.environment {
            Environment::Live => pb::Environment::Live,
            Environment::Sandbox => pb::Environment::Sandbox,
        }
        .into(),
        cost: known
            .price
            .and_then(|price| cost(&price, known.source, billing)),
        withheld: Vec::new(),
    };
    (verification, record)
}

/// What the call added to the bill; none if that is not known.
fn cost(price: &Price, source: Source, billing: Billing) -> Option<Money> {
    let (units, nanos) = match (source, billing) {
        (Source::Provider, Billing::Unknown) => return None,
        (Source::Provider, Billing::Billed) => price.amount().units_and_nanos(),
        (Source::Provider, Billing::NotBilled)
        | (Source::Coalesced | Source::Cache | Source::Recovered, _) => (0, 0),
    };
    Some(Money {
        currency_code: price.currency().to_owned(),
        units,
        nanos,
    })
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

const fn shown_source(source: Source) -> pb::Source {
    match source {
        Source::Provider => pb::Source::Provider,
        Source::Coalesced => pb::Source::Coalesced,
        Source::Cache => pb::Source::Cache,
        Source::Recovered => pb::Source::Recovered,
    }
}

const fn shown_outcome(outcome: Outcome) -> pb::Outcome {
    match outcome {
        Outcome::Found => pb::Outcome::Found,
        Outcome::NotFound => pb::Outcome::NotFound,
        Outcome::InvalidIdentifier => pb::Outcome::InvalidIdentifier,
        Outcome::Inconclusive => pb::Outcome::Inconclusive,
    }
}

const fn shown_billing(billing: Billing) -> pb::Billing {
    match billing {
        Billing::Billed => pb::Billing::Billed,
        Billing::NotBilled => pb::Billing::NotBilled,
        Billing::Unknown => pb::Billing::Unknown,
    }
}
