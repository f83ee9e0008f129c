//! `UpdatePerson`: reads the record, changes what the mask names, writes all of it but what the provider
//! owns, and compares the answer. So it is right whether the provider's PUT merges or replaces.
//!
//! Nobody else here changes the record meanwhile ([`sharing::turns`](crate::sharing::turns)). Others may,
//! at the provider: what the mask does not name is compared too, and what is lost or not shown is
//! `PERSON_CHANGED` and never OK. A write that has begun is finished, whether its caller waits or not.

use std::{sync::Arc, time::Duration};

use opentelemetry::trace::FutureExt as _;

use super::{
    charged,
    person::{Persons, check_writable},
    person_fields::updated,
    person_ids::{Named, told},
    routes::{Route, configured},
};
use crate::{
    audit::words::PURPOSE,
    call::Call,
    domain::{
        date,
        failure::{Failure, Kind},
        person::{FieldChange, PersonId},
        refusal::Refusal,
        verification::{Provider, Source},
        violation::{Violation, Violations},
    },
    proto::person::v1::{Person, UpdatePersonRequest},
    sharing::{remote::NoAnswer, turns::Turn},
    transport::Priced as _,
};

/// What a caller is asked to wait while Redis is down.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Persons {
    pub(super) async fn update(
        &self,
        call: &Arc<Call>,
        request: UpdatePersonRequest,
    ) -> Result<Person, Failure> {
        let mut bad = Violations::default();
        let person = request.person.unwrap_or_default();
        let handles = &self.gateway.handles;
        let named = bad.check("person.id", Named::read(&person.id, call, handles));
        let mask = request.update_mask.as_ref();
        let changes = updated(&mut bad, &person, mask, date::today());
        check_writable(&mut bad, call, &changes);
        bad.check(PURPOSE, call.purpose());
        let (Some(named), true) = (named, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let (id, owner) = self.begin(call, named)?;
        call.facts.asks(Provider::Verifik);
        call.intend().await?;
        self.verifik(call)?;
        let updated = charged(call, self.change(call, id, changes)).await?;
        call.facts.wrote(updated.billing(), Source::Provider);
        told(updated, owner.as_ref(), handles)
    }

    async fn change(
        &self,
        call: &Arc<Call>,
        id: PersonId,
        changes: Vec<FieldChange>,
    ) -> Result<Person, Failure> {
        let Route {
            adapter, upstream, ..
        } = self.verifik(call)?;
        let turn = self.turn(&id).await?;
        let request = adapter.get_request(&id);
        let read = |answer: &_| adapter.read_stored(answer, &id);
        let stored = upstream
            .call(&call.progress, &self.get, &request, read)
            .await?;
        if stored.would_be_nameless(&changes) {
            return Err(Failure::invalid(vec![Violation {
                field: "update_mask",
                rule: "must leave the record a given_name or a family_name".into(),
            }]));
        }
        let (object, before) = stored.changed(&changes);
        let request = adapter.update_request(&id, &object);
        let (gateway, progress) = (Arc::clone(&self.gateway), Arc::clone(&call.progress));
        let policy = self.update.clone();
        let write = async move {
            let _turn = turn;
            let Route {
                adapter, upstream, ..
            } = configured(&gateway.verifik)?;
            let read = |answer: &_| adapter.read_changed(answer, &id);
            let after = upstream.call(&progress, &policy, &request, read).await?;
            match before.becomes(&after, &changes) {
                true => Ok(after.person),
                false => Err(Failure::after_sending(
                    Kind::PersonChanged,
                    Provider::Verifik,
                )),
            }
        };
        let written = self.gateway.writes.spawn(write.with_current_context());
        // The task died: what became of the write is not known.
        written.await.unwrap_or_else(|_| {
            Err(Failure::after_sending(
                Kind::OutcomeUnknown,
                Provider::Verifik,
            ))
        })
    }

    /// Waits until nobody else here changes the record.
    pub(super) async fn turn(&self, id: &PersonId) -> Result<Turn, Failure> {
        let turn = self.gateway.turns.take(id.reveal()).await;
        turn.map_err(|NoAnswer(cause)| Failure {
            refusal: Some(Box::new(Refusal::Store(cause.as_str()))),
            retry_after: Some(RETRY_AFTER),
            ..Failure::before_sending(Kind::PersonLockUnavailable, Provider::Verifik)
        })
    }
}
