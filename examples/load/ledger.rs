//! What reached the provider, by identifier: the only witness of what may have been charged.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    faults::{Fault, Schedule},
    subjects::Kind,
};

/// A request that was received in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What happens to it.
    pub fault: Fault,
    /// Whether the provider itself answered it with success, which it charges for.
    pub charged: bool,
    /// Whether its connection was reset under it because of an earlier answer's fault.
    pub lost: bool,
}

impl Receipt {
    /// Whether the gateway may have sent it once more: it was answered by an error, which is free.
    pub const fn is_free(&self) -> bool {
        matches!(self.fault, Fault::Down)
    }
}

#[derive(Default)]
struct Books {
    calls: HashMap<String, (u64, Vec<Receipt>)>,
    /// Requests whose identifier nobody asked about.
    strangers: u64,
}

/// The ledger.
pub struct Ledger {
    schedule: Schedule,
    books: Mutex<Books>,
}

impl Ledger {
    /// An empty one.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            books: Mutex::default(),
        }
    }

    /// Says that call number `n` is about to be made.
    pub fn expect(&self, n: u64) {
        let identifier = Kind::of(n).identifier(n);
        self.books().calls.insert(identifier, (n, Vec::new()));
    }

    /// Notes a request that was received in full; what happens to it, and its place in the list.
    pub fn receive(&self, identifier: &str) -> (Fault, usize) {
        let mut books = self.books();
        let Some((n, receipts)) = books.calls.get_mut(identifier) else {
            books.strangers += 1;
            return (Fault::None, 0);
        };
        let nth = receipts.len();
        let fault = self.schedule.fault(*n, nth as u64);
        receipts.push(Receipt {
            fault,
            charged: false,
            lost: false,
        });
        (fault, nth)
    }

    /// Notes that the provider has answered it with success.
    pub fn charge(&self, identifier: &str, nth: usize) {
        self.change(identifier, nth, |receipt| receipt.charged = true);
    }

    /// Notes that its connection was reset under it.
    pub fn lose(&self, identifier: &str, nth: usize) {
        self.change(identifier, nth, |receipt| receipt.lost = true);
    }

    fn change(&self, identifier: &str, nth: usize, change: impl FnOnce(&mut Receipt)) {
        let mut books = self.books();
        let found = books.calls.get_mut(identifier);
        if let Some(receipt) = found.and_then(|(_, receipts)| receipts.get_mut(nth)) {
            change(receipt);
        }
    }

    /// What was received of a call.
    pub fn receipts(&self, n: u64) -> Vec<Receipt> {
        let identifier = Kind::of(n).identifier(n);
        let books = self.books();
        let found = books.calls.get(&identifier);
        found
            .map(|(_, receipts)| receipts.clone())
            .unwrap_or_default()
    }

    /// Requests whose identifier nobody asked about.
    pub fn strangers(&self) -> u64 {
        self.books().strangers
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
