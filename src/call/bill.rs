//! What a call added to the provider's bill, told once: on its own log line, or on one that follows if it was not known
//! by then, because the caller had gone and what it asked for was still on its way.
//!
//! So whoever adds up `cost` over the log has what was billed. A call for which nothing was sent costs nothing, whatever
//! its answer cost another one.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering, fence},
};

use crate::{
    domain::{
        price::{Cost, Price},
        verification::Billing,
    },
    telemetry::labels::Rpc,
};

/// The cost of one call.
#[derive(Debug, Default)]
pub(super) struct Bill {
    /// What was asked for has come: what it cost, where that is known.
    came: OnceLock<Option<Cost>>,
    /// The call has ended.
    told: OnceLock<Rpc>,
    is_claimed: AtomicBool,
}

/// What a result costs; none if that is not known.
pub(super) fn cost(billing: Billing, price: Option<Price>) -> Option<Cost> {
    match billing {
        Billing::NotBilled => Some(Cost::Nothing),
        Billing::Billed => price.map(Cost::Of),
        Billing::Unknown => None,
    }
}

impl Bill {
    /// It has come. If the call has ended without it, it is for the caller of this to tell, of this RPC.
    pub fn comes(&self, cost: Option<Cost>) -> Option<Rpc> {
        let _came_already = self.came.set(cost);
        fence(Ordering::SeqCst);
        // Whichever comes second, this or the end, sees the other; if both do, one of them claims it.
        let rpc = self.told.get().copied()?;
        self.claim().then_some(rpc)
    }

    /// The call ends, and its line tells this. Before that, `none_sent` says that it costs nothing.
    pub fn ends(&self, rpc: Rpc, none_sent: bool) -> Option<Cost> {
        let _ended_already = self.told.set(rpc);
        fence(Ordering::SeqCst);
        match self.came.get() {
            Some(cost) if self.claim() => *cost,
            None if none_sent => Some(Cost::Nothing),
            _ => None,
        }
    }

    fn claim(&self) -> bool {
        !self.is_claimed.swap(true, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn price() -> Cost {
        Cost::Of("0.35 USD".parse().unwrap())
    }

    #[test]
    fn what_came_before_the_end_is_told_by_the_calls_own_line() {
        let bill = Bill::default();
        assert_eq!(bill.comes(Some(price())), None);
        assert_eq!(bill.ends(Rpc::OTHER, false), Some(price()));
    }

    #[test]
    fn what_comes_after_the_end_is_told_then() {
        let bill = Bill::default();
        assert_eq!(bill.ends(Rpc::OTHER, false), None);
        assert_eq!(bill.comes(Some(price())), Some(Rpc::OTHER));
    }

    #[test]
    fn a_call_for_which_nothing_was_sent_costs_nothing() {
        assert_eq!(Bill::default().ends(Rpc::OTHER, true), Some(Cost::Nothing));
    }

    #[test]
    fn only_what_is_billed_at_a_known_price_is_a_cost() {
        let price: Price = "2 KES".parse().unwrap();
        for (billing, at, expected) in [
            (Billing::Billed, Some(price), Some(Cost::Of(price))),
            (Billing::Billed, None, None),
            (Billing::NotBilled, None, Some(Cost::Nothing)),
            (Billing::Unknown, Some(price), None),
        ] {
            assert_eq!(cost(billing, at), expected);
        }
    }

    /// Both at the same moment, in every order that two threads find.
    #[test]
    fn it_is_told_once_whichever_is_first() {
        for _ in 0..2000 {
            let bill = Arc::new(Bill::default());
            let other = Arc::clone(&bill);
            let late = std::thread::spawn(move || other.comes(Some(price())).is_some());
            let own = bill.ends(Rpc::OTHER, false).is_some();
            assert!(own != late.join().unwrap());
        }
    }
}
