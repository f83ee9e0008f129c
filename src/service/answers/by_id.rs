//! A lookup with a `request_id`: however often it is asked for, the provider is asked once.

use std::sync::Arc;

use uuid::Uuid;

use super::{Asked, Found, Lookups, Question, Role, recovered};
use crate::{
    call::Call,
    domain::{
        failure::{Failure, Kind},
        lookup::Lookup as _,
        verification::Source,
    },
    service::{
        request_ids::{self, Fingerprint},
        verify::Verify,
    },
    sharing::{
        flights::{Keep, Seat},
        once::How,
        paid::{self, Told},
    },
    telemetry::metrics::UnderWay,
    transport::Progress,
};

/// A caller that waits for what a `request_id` brings. Its drop before that is its going.
struct Waiting<'a, V: Verify> {
    lookups: &'a Lookups<V>,
    call: &'a Arc<Call>,
    seat: Seat<'a>,
    asked: &'a Arc<Asked<V>>,
    is_told: bool,
}

impl<V: Verify> Drop for Waiting<'_, V> {
    fn drop(&mut self) {
        if !self.is_told && self.call.progress.may_be_charged() {
            self.lookups
                .leave_behind(self.call, self.seat, self.asked, None);
        }
    }
}

impl<V: Verify> Lookups<V> {
    /// Answers a lookup once for all who ask with this id.
    pub(super) async fn by_id(
        self: &Arc<Self>,
        call: &Arc<Call>,
        question: &mut Question<V>,
        id: Uuid,
    ) -> Found<V> {
        let (asked, names) = (Arc::clone(&question.asked), question.names);
        let provider = asked.route.provider();
        let route = Arc::clone(&asked.route);
        let of_id = request_ids::Asked {
            id: request_ids::of_caller(id, call.caller()),
            fingerprint: fingerprint(&asked),
            provider,
            lease: asked.route.upstream.longest_call(),
            left: Box::new(move |progress| {
                route.upstream.left(progress);
                Some(UnderWay::unattended(provider))
            }),
        };
        let owed = || self.owed(call.caller(), names);
        let seat = Seat {
            name: names.0,
            keep: Keep::Nothing,
            progress: &call.progress,
            owed: &owed,
        };
        let mut waiting = Waiting {
            lookups: self,
            call,
            seat,
            asked: &asked,
            is_told: false,
        };
        let work = |progress: Arc<Progress>| {
            let (lookups, call, asked) = (Arc::clone(self), Arc::clone(call), Arc::clone(&asked));
            async move { lookups.told(&call, &progress, asked).await }
        };
        let told = self.ids.once(of_id, call, work).await;
        waiting.is_told = true;
        drop(waiting);
        if told.had_gone && told.ended.is_ok() {
            // What waits for its caller is delivered by this.
            self.left.deliver(owed());
        }
        let how = told.how;
        let told = match told.ended {
            Ok(told) => told,
            // A repeat learns that nobody knows, and not that it has waited in vain.
            Err(failure) if how == How::Kept && !paid::cost_nothing(&failure) => {
                call.facts.comes_from(Source::Recovered);
                return Err(Failure {
                    http_status: failure.http_status,
                    ..Failure::after_sending(Kind::OutcomeUnknown, provider)
                });
            }
            Err(failure) => return Err(failure),
        };
        let Some((kept, source)) = told.read::<V::Record>() else {
            return Err(Failure::after_sending(Kind::OutcomeUnknown, provider));
        };
        match how {
            // What was cached was not paid for by a call with this id.
            How::Kept if source == Source::Cache => Ok((asked.part_of(kept), Source::Recovered)),
            How::Kept => recovered(call, &asked, Ok(kept), Source::Recovered),
            How::Ran => Ok((asked.part_of(kept), source)),
            How::Waited => Ok((asked.part_of(kept), Source::Coalesced)),
        }
    }

    /// What the lookup brings, with all that anybody may want of it who has the same id. A cached answer without its
    /// document is not that.
    async fn told(
        self: &Arc<Self>,
        call: &Arc<Call>,
        progress: &Progress,
        asked: Arc<Asked<V>>,
    ) -> Result<Told, Failure> {
        let mut whole = self.question(call, asked.whole());
        let (kept, source) = self.once(call, progress, &mut whole, Role::Work).await?;
        Ok(Told::of(&kept, source))
    }
}

/// All that is sent to the provider, but for what may differ between identical lookups.
fn fingerprint<V: Verify>(asked: &Asked<V>) -> Fingerprint {
    let common = asked.lookup.common();
    let request = asked
        .route
        .adapter
        .request(common.as_ref().unwrap_or(&asked.lookup));
    Fingerprint::of_parts(
        V::RPC,
        [
            request.method.as_str().as_bytes(),
            request.path.as_bytes(),
            request.query.as_bytes(),
            request.body.as_deref().unwrap_or_default(),
        ],
    )
}
