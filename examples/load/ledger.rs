//! What reached the provider, by identifier: the only witness of what may have been charged. And what
//! happened to connections, which hits requests that nobody has received.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use identity_gateway::domain::verification::Provider;

use crate::{
    faults::{Fault, Handshake, Schedule},
    subjects::Kind,
};

/// A request that was received in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What happens to it.
    pub fault: Fault,
    /// Whether the provider itself answered it with success, which it charges for.
    pub charged: bool,
    /// What another request's fault has done to the connection under it.
    pub lost: Option<Trouble>,
}

impl Receipt {
    /// Whether the gateway may have sent it once more: it was answered by an error that is free, or refused
    /// as a stream.
    pub const fn is_free(&self) -> bool {
        matches!(self.fault, Fault::Down | Fault::Refused)
    }
}

/// What becomes of a request that was received in full.
pub struct Reception {
    /// What happens to it.
    pub fault: Fault,
    /// Its place in the list of those about the same person.
    pub nth: usize,
    /// How long the provider takes.
    pub latency: Duration,
}

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was reset.
    Reset,
    /// It carries nothing, and stays open until the gateway lets go of it.
    Frozen,
    /// A giant answer is on it, and all others have to share it with that.
    Crowded,
    /// It is not there yet: nothing has left, for nobody has shaken hands.
    Unmade,
}

/// A time in which connections to a provider were in trouble.
#[derive(Clone, Copy, Debug)]
struct Spell {
    provider: Provider,
    trouble: Trouble,
    from: Instant,
    to: Option<Instant>,
}

/// On a busy machine the gateway may not have noticed the end of a connection before this, and send into it.
const NOTICED: Duration = Duration::from_secs(1);

/// A time in which a call was made.
pub type Span = (Instant, Instant);

/// A trouble that lasts until this is dropped.
pub struct Noted {
    note: usize,
    ledger: Arc<Ledger>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.ledger.end(self.note);
    }
}

#[derive(Default)]
struct Books {
    calls: HashMap<String, (u64, Vec<Receipt>)>,
    /// Requests whose identifier nobody asked about.
    strangers: u64,
    spells: Vec<Spell>,
    /// Whether a call that may meet a fault has been announced.
    stormy: bool,
    connections: u64,
}

/// The ledger.
pub struct Ledger {
    schedule: Mutex<Schedule>,
    books: Mutex<Books>,
}

impl Ledger {
    /// An empty one.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule: Mutex::new(schedule),
            books: Mutex::default(),
        }
    }

    /// What happens from now on.
    pub fn reschedule(&self, schedule: Schedule) {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
    }

    fn schedule(&self) -> Schedule {
        *self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that call number `n` is about to be made.
    pub fn expect(&self, n: u64) {
        let identifier = Kind::of(n).identifier(n);
        self.announce(n, identifier);
    }

    /// The same for an identifier that is not the one of its kind.
    pub fn announce(&self, n: u64, identifier: String) {
        let mut books = self.books();
        books.calls.insert(identifier, (n, Vec::new()));
        books.stormy |= n >= self.schedule().from;
    }

    /// Notes a request that was received in full.
    pub fn receive(&self, identifier: &str) -> Reception {
        let mut books = self.books();
        let Some((n, receipts)) = books.calls.get_mut(identifier) else {
            books.strangers += 1;
            return Reception {
                fault: Fault::None,
                nth: 0,
                latency: Duration::ZERO,
            };
        };
        let nth = receipts.len();
        let schedule = self.schedule();
        let fault = schedule.fault(*n, nth as u64);
        receipts.push(Receipt {
            fault,
            charged: false,
            lost: None,
        });
        Reception {
            fault,
            nth,
            latency: schedule.latency(*n),
        }
    }

    /// Notes a connection over TLS; what happens to its handshake.
    pub fn handshake(&self) -> Handshake {
        let mut books = self.books();
        if !books.stormy {
            return Handshake::Prompt;
        }
        books.connections += 1;
        self.schedule().handshake(books.connections)
    }

    /// Notes that the provider has answered it with success.
    pub fn charge(&self, identifier: &str, nth: usize) {
        self.change(identifier, nth, |receipt| receipt.charged = true);
    }

    /// Notes what was done to its connection.
    pub fn lose(&self, identifier: &str, nth: usize, trouble: Trouble) {
        self.change(identifier, nth, |receipt| receipt.lost = Some(trouble));
    }

    fn change(&self, identifier: &str, nth: usize, change: impl FnOnce(&mut Receipt)) {
        let mut books = self.books();
        let found = books.calls.get_mut(identifier);
        if let Some(receipt) = found.and_then(|(_, receipts)| receipts.get_mut(nth)) {
            change(receipt);
        }
    }

    /// Notes that a connection is in trouble from now on; the number of the note.
    pub fn begin(&self, provider: Provider, trouble: Trouble) -> usize {
        let mut books = self.books();
        books.spells.push(Spell {
            provider,
            trouble,
            from: Instant::now(),
            to: None,
        });
        books.spells.len() - 1
    }

    /// Notes that it is over.
    pub fn end(&self, note: usize) {
        if let Some(spell) = self.books().spells.get_mut(note) {
            spell.to.get_or_insert_with(Instant::now);
        }
    }

    /// The same, over when what comes back is dropped.
    pub fn during(self: &Arc<Self>, provider: Provider, trouble: Trouble) -> Noted {
        Noted {
            note: self.begin(provider, trouble),
            ledger: Arc::clone(self),
        }
    }

    /// Whether a connection to the provider was in this trouble while a call was made.
    pub fn troubled(&self, provider: Provider, trouble: Trouble, (begun, ended): Span) -> bool {
        self.books().spells.iter().any(|spell| {
            spell.provider == provider
                && spell.trouble == trouble
                && spell.from <= ended
                && spell.to.is_none_or(|to| to + NOTICED >= begun)
        })
    }

    /// How often connections were in this trouble, and the longest time.
    pub fn spells(&self, trouble: Trouble) -> (usize, Duration) {
        let now = Instant::now();
        let books = self.books();
        let all = books.spells.iter().filter(|spell| spell.trouble == trouble);
        let lasted = all.map(|spell| spell.to.unwrap_or(now) - spell.from);
        lasted.fold((0, Duration::ZERO), |(count, longest), one| {
            (count + 1, longest.max(one))
        })
    }

    /// What was received of a call.
    pub fn receipts(&self, n: u64) -> Vec<Receipt> {
        self.receipts_of(&Kind::of(n).identifier(n))
    }

    /// What was received about an identifier.
    pub fn receipts_of(&self, identifier: &str) -> Vec<Receipt> {
        let books = self.books();
        let found = books.calls.get(identifier);
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
