//! A store that callers share, of which nobody holds more than is left.
//!
//! Who is alone gets half of it; a second then half of the rest, and so on: whatever some hold, and for however
//! long, a newcomer finds something. Buffers of network switches are shared like that (dynamic thresholds).

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::admission::Full;

/// The store, by caller `C`.
#[derive(Debug)]
pub struct Quota<C> {
    most: usize,
    held: Mutex<Held<C>>,
}

#[derive(Debug)]
struct Held<C> {
    all: usize,
    /// Only callers that hold something.
    callers: HashMap<C, usize>,
}

impl<C: Eq + Hash + Clone> Quota<C> {
    /// A store of so much.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::new(Held {
                all: 0,
                callers: HashMap::new(),
            }),
        })
    }

    /// How much there is in all.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// A share of the store, with nothing in it yet.
    pub fn share(self: &Arc<Self>, caller: C) -> Share<C> {
        Share {
            quota: Arc::clone(self),
            caller,
            holds: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held<C>> {
        // Nothing panics under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody holds. Dropping it gives it back.
#[derive(Debug)]
pub struct Share<C: Eq + Hash + Clone> {
    quota: Arc<Quota<C>>,
    caller: C,
    holds: usize,
}

impl<C: Eq + Hash + Clone> Share<C> {
    /// Takes so much more.
    ///
    /// # Errors
    ///
    /// [`Full`] if the caller would hold more than is left.
    pub fn take(&mut self, more: usize) -> Result<(), Full> {
        let mut held = self.quota.lock();
        let mine = held.callers.get(&self.caller).copied().unwrap_or_default();
        let left = self.quota.most.saturating_sub(held.all);
        if mine.saturating_add(more) > left {
            return Err(Full);
        }
        held.all += more;
        *held.callers.entry(self.caller.clone()).or_default() += more;
        self.holds += more;
        Ok(())
    }

    /// Whether the caller holds nothing, by this share or another.
    pub fn is_empty(&self) -> bool {
        !self.quota.lock().callers.contains_key(&self.caller)
    }

    /// Whether it could take so much more.
    pub fn has_room(&self, more: usize) -> bool {
        let held = self.quota.lock();
        let mine = held.callers.get(&self.caller).copied().unwrap_or_default();
        mine.saturating_add(more) <= self.quota.most.saturating_sub(held.all)
    }

    /// Holds so much from now on, whatever it held.
    ///
    /// # Errors
    ///
    /// [`Full`] if the caller would hold more than is left.
    pub fn hold(&mut self, so_much: usize) -> Result<(), Full> {
        match so_much.checked_sub(self.holds) {
            Some(0) => Ok(()),
            Some(more) => self.take(more),
            None => {
                self.give_back(self.holds - so_much);
                Ok(())
            }
        }
    }

    /// Gives back so much of what it holds.
    pub fn give_back(&mut self, so_much: usize) {
        if so_much == 0 {
            return;
        }
        let mut held = self.quota.lock();
        held.all = held.all.saturating_sub(so_much);
        let left = held.callers.get_mut(&self.caller).map(|mine| {
            *mine = mine.saturating_sub(so_much);
            *mine
        });
        if left == Some(0) {
            held.callers.remove(&self.caller);
        }
        self.holds -= so_much;
    }
}

impl<C: Eq + Hash + Clone> Drop for Share<C> {
    fn drop(&mut self) {
        self.give_back(self.holds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gets_half_the_next_half_of_the_rest_and_all_of_it_comes_back() {
        let quota = Quota::new(1024);
        let all_of = |caller| {
            let mut share = quota.share(caller);
            while share.take(1).is_ok() {}
            share
        };
        let first = all_of("a");
        let second = all_of("b");
        let third = all_of("c");
        assert_eq!([first.holds, second.holds, third.holds], [512, 256, 128]);
        // Another share of the same caller is no way around it.
        assert!(quota.share("a").take(1).is_err());
        assert!(!quota.share("a").is_empty());
        assert!(quota.share("d").is_empty());
        drop(first);
        assert!(quota.share("a").take(300).is_ok());
        drop((second, third));
        let held = quota.lock();
        assert_eq!(held.all, 0);
        assert!(held.callers.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn the_store_is_never_overdrawn(takes in proptest::collection::vec((0_u8..5, 0_usize..200), 1..200)) {
            let quota = Quota::new(1000);
            let mut shares: Vec<_> = (0..5).map(|caller| quota.share(caller)).collect();
            for (caller, more) in takes {
                let share = &mut shares[usize::from(caller)];
                match more {
                    0 => *share = quota.share(caller),
                    more if more % 2 == 0 => drop(share.take(more)),
                    less => drop(share.hold(less)),
                }
                let held: usize = shares.iter().map(|share| share.holds).sum();
                proptest::prop_assert!(held <= 1000);
                proptest::prop_assert_eq!(held, quota.lock().all);
            }
        }
    }
}
