//! A caller that goes without its answer.
//!
//! Its deadline passes, it cancels, or its connection breaks: then its future is dropped. What has not been sent
//! is dropped with the last caller. What may have been charged is finished, and its answer waits for each caller
//! that went ([`Left`](crate::sharing::Left)). Whoever began the request pays for it with its place and its budget until it
//! has landed.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use prost::bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Asked, Flight, Lookups, Role, Seat,
    flight::{Brought, Landed, keep_for},
    names::Names,
};
use crate::{
    call::{Call, handed::Handed},
    domain::verification::Billing,
    service::verify::Verify,
    sharing::left::Bill,
    telemetry::metrics::UnderWay,
    transport::Progress,
};

/// What an answer takes that is on its way to its caller, beside its bytes.
const HANDED: usize = 512;

/// A paid answer on its way to its caller.
pub(super) enum Delivered {
    /// Of a flight.
    Brought(Brought),
    /// One that has waited, in its stored form.
    Recovered(Bytes),
}

impl Delivered {
    fn bytes(&self) -> usize {
        match self {
            Self::Brought(brought) => brought.bytes(),
            Self::Recovered(bytes) => bytes.len(),
        }
    }

    fn paid<V: Verify>(self, asked: &Asked<V>) -> Option<(Bytes, Bill)> {
        match self {
            Self::Brought(brought) => brought.paid(asked),
            Self::Recovered(bytes) => Some((bytes, asked.bill(Billing::Unknown))),
        }
    }
}

/// One that waits for a flight. Its drop before the flight has landed is its going.
pub(super) struct Waiting<'a, V: Verify> {
    lookups: &'a Lookups<V>,
    call: &'a Arc<Call>,
    seat: Seat<'a>,
    asked: &'a Arc<Asked<V>>,
    role: Role,
    flight: Option<Flight<Landed<V>>>,
}

impl<'a, V: Verify> Waiting<'a, V> {
    pub fn new(
        lookups: &'a Lookups<V>,
        call: &'a Arc<Call>,
        seat: Seat<'a>,
        asked: &'a Arc<Asked<V>>,
        role: Role,
        flight: Flight<Landed<V>>,
    ) -> Self {
        Self {
            lookups,
            call,
            seat,
            asked,
            role,
            flight: Some(flight),
        }
    }

    /// Waits until the flight has landed; none if its work panicked.
    pub async fn landed(&mut self) -> Option<Landed<V>> {
        let landed = self.flight.as_mut()?.await;
        self.flight = None;
        landed
    }
}

impl<V: Verify> Drop for Waiting<'_, V> {
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let is_out = self.seat.progress.may_be_charged();
        let is_finished = is_out && self.lookups.left.ttl().is_some();
        if is_finished && self.role == Role::Caller {
            self.lookups
                .leave_behind(self.call, self.seat, self.asked, Some(flight));
        }
        let provider = self.asked.route.provider();
        let unattended = is_finished.then_some(|| UnderWay::unattended(provider));
        let left = self.lookups.flights.leave(self.seat, unattended);
        if let Some(progress) = left.filter(|_| is_finished) {
            self.asked.route.upstream.left(&progress);
        }
    }
}

impl<V: Verify> Lookups<V> {
    /// The answer is on its way to its caller. Should it not arrive, it waits like one whose caller went before.
    pub(super) fn hands(
        self: &Arc<Self>,
        call: &Call,
        asked: &Arc<Asked<V>>,
        names: Names,
        answer: Delivered,
    ) {
        if self.left.ttl().is_none() {
            return;
        }
        let (lookups, asked) = (Arc::clone(self), Arc::clone(asked));
        let caller = call.caller().cloned();
        let bytes = HANDED + answer.bytes();
        let again = move || {
            let name = lookups.owed(caller.as_ref(), names);
            if let Some((bytes, bill)) = answer.paid(&asked) {
                lookups.left.put((name, 1), bytes, bill);
                let (marked, _) = oneshot::channel();
                let is_there = std::future::ready(());
                lookups.left.attend(name, Duration::ZERO, marked, is_there);
            }
        };
        call.hands(Handed::new(bytes, again));
    }

    /// What was sent for this caller is finished, and waits for it. Without a `flight` of its own the caller
    /// is one of those who wait for a `request_id`.
    pub(super) fn leave_behind(
        &self,
        call: &Arc<Call>,
        seat: Seat<'_>,
        asked: &Arc<Asked<V>>,
        flight: Option<Flight<Landed<V>>>,
    ) {
        let Some(ttl) = self.left.ttl() else {
            return;
        };
        let now = Instant::now();
        let end = seat.progress.may_be_answered_by().unwrap_or(now);
        let on_its_way = end.saturating_duration_since(now);
        let (marked, is_marked) = oneshot::channel();
        call.leaves_behind(Timestamp::now() + on_its_way + ttl, is_marked);
        let name = (seat.owed)();
        if let Some(flight) = self.flights.owe(seat) {
            self.left.attend(name, on_its_way, marked, flight.map(drop));
            return;
        }
        let Some(flight) = flight else {
            return;
        };
        // It has landed, or does so this moment: nobody has kept the answer for this caller.
        let (left, asked) = (self.left.clone(), Arc::clone(asked));
        let keep = move |landed: Option<Landed<V>>| {
            if let Some(landed) = &landed {
                keep_for(&left, &asked, landed, (name, 1));
            }
        };
        match flight.peek().cloned() {
            Some(landed) => {
                keep(landed);
                let ready = std::future::ready(());
                self.left.attend(name, on_its_way, marked, ready);
            }
            None => self.left.attend(name, on_its_way, marked, flight.map(keep)),
        }
    }
}

/// One that waits for what is on its way to another replica. Its going is known there; here it is told until when it may
/// come again.
pub(super) struct Leaves<'a> {
    ttl: Option<Duration>,
    call: &'a Call,
    progress: &'a Progress,
}

impl<'a> Leaves<'a> {
    pub fn new(ttl: Option<Duration>, call: &'a Call, progress: &'a Progress) -> Self {
        Self {
            ttl,
            call,
            progress,
        }
    }

    /// It has what it waited for, or asks itself.
    pub fn stays(mut self) {
        self.ttl = None;
    }
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let end = self.progress.may_be_answered_by();
        if let Some((ttl, end)) = self.ttl.zip(end)
            && self.progress.may_be_charged()
        {
            let on_its_way = end.saturating_duration_since(Instant::now());
            let (_, known) = oneshot::channel();
            self.call
                .leaves_behind(Timestamp::now() + on_its_way + ttl, known);
        }
    }
}
