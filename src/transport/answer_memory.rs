//! The memory that a provider's answers may take together while they are read.
//!
//! Most answers are small and need nothing. A larger one needs room for the most that it may become before more of
//! it is read: what its Content-Length states, or the limit of one answer. Until there is room its connection
//! waits, within the request's time: nothing that may have been paid for is refused.
//!
//! There are two stores, so that answers of the usual length whose end is not stated do not wait for the few that
//! are huge. Nobody waits in a circle: who has room in the first may wait for the second, and who has room in the
//! second needs no more.

use tokio::sync::{Semaphore, SemaphorePermit};

/// An answer that is no larger needs no room.
const SMALL: usize = 64 * 1024;
/// The most that is taken from the first store: a CURP's record has 100 KiB of PDF.
pub const MEDIUM: usize = 1024 * 1024;
/// Of all of it, the first store's part.
const MEDIUM_PART: usize = 4;

/// The memory of one provider's answers.
#[derive(Debug)]
pub struct AnswerMemory {
    medium: Store,
    large: Store,
}

#[derive(Debug)]
struct Store {
    free: Semaphore,
    size: u32,
}

/// The room of one answer. Dropping it gives it back.
#[derive(Debug)]
pub struct Room<'a> {
    memory: &'a AnswerMemory,
    most: usize,
    medium: Option<SemaphorePermit<'a>>,
    large: Option<SemaphorePermit<'a>>,
}

impl AnswerMemory {
    /// So many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let medium = (bytes / MEDIUM_PART).max(MEDIUM);
        Self {
            medium: Store::new(medium),
            large: Store::new(bytes.saturating_sub(medium)),
        }
    }

    /// For an answer of at most so many bytes; nothing is taken yet.
    #[must_use]
    pub const fn room(&self, most: usize) -> Room<'_> {
        Room {
            memory: self,
            most,
            medium: None,
            large: None,
        }
    }
}

impl Store {
    fn new(bytes: usize) -> Self {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self {
            free: Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)),
            size,
        }
    }

    /// First come, first served. What is larger than the store takes all of it.
    async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.size);
        // It is never closed.
        self.free.acquire_many(bytes).await.ok()
    }
}

impl Room<'_> {
    /// Waits until there is room for an answer that has so many bytes, or will have.
    pub async fn reach(&mut self, bytes: usize) {
        if bytes <= SMALL || self.large.is_some() {
            return;
        }
        if bytes > MEDIUM {
            self.large = self.memory.large.take(self.most).await;
            self.medium = None;
        } else if self.medium.is_none() {
            self.medium = self.memory.medium.take(self.most.min(MEDIUM)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    const MIB: usize = 1024 * 1024;
    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn small_answers_never_wait_and_usual_ones_not_for_huge_ones() {
        let memory = AnswerMemory::new(16 * MIB);
        let mut huge = memory.room(16 * MIB);
        huge.reach(2 * MIB).await;
        let mut another = memory.room(16 * MIB);
        assert!(timeout(SOON, another.reach(SMALL)).await.is_ok());
        assert!(timeout(SOON, another.reach(100 * 1024)).await.is_ok());
        assert!(timeout(SOON, another.reach(2 * MIB)).await.is_err());
        // Of those whose length is stated there is room for more.
        let mut stated: Vec<_> = (0..15).map(|_| memory.room(200 * 1024)).collect();
        for room in &mut stated {
            assert!(timeout(SOON, room.reach(200 * 1024)).await.is_ok());
        }
        drop(huge);
        assert!(timeout(SOON, another.reach(2 * MIB)).await.is_ok());
        // And it has given back what it had before.
        assert_eq!(
            memory.medium.free.available_permits(),
            MIB * 4 - 15 * 200 * 1024
        );
    }

    const LIMIT: usize = 24 * MIB;

    /// How many bytes are held now, and were at most.
    #[derive(Default)]
    struct Held(Cell<usize>, Cell<usize>);

    impl Held {
        fn add(&self, bytes: usize) {
            self.0.set(self.0.get() + bytes);
            self.1.set(self.1.get().max(self.0.get()));
        }
    }

    /// Reads an answer of that length, which it states or not.
    async fn read(memory: &AnswerMemory, held: &Held, length: usize, is_stated: bool) {
        let mut room = memory.room(if is_stated { length } else { LIMIT });
        if is_stated {
            room.reach(length).await;
        }
        let mut read = 0;
        while read < length {
            let chunk = (length - read).min(256 * 1024);
            room.reach(read + chunk).await;
            read += chunk;
            held.add(chunk);
            tokio::time::sleep(SOON).await;
        }
        held.0.set(held.0.get() - length);
    }

    proptest! {
        /// Whatever the answers are, and however much memory there is, all are read at last, and those that are
        /// read at the same time are no more than there is room for.
        #[test]
        fn every_answer_is_read_and_all_together_are_within_the_memory(
            bytes in 0..64 * MIB,
            answers in proptest::collection::vec((1..LIMIT, any::<bool>()), 1..40),
        ) {
            let (memory, held) = (AnswerMemory::new(bytes), Held::default());
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().unwrap();
            let reads = answers.iter().map(|(length, is_stated)| read(&memory, &held, *length, *is_stated));
            let all = async { timeout(Duration::from_secs(3600), join_all(reads)).await };
            prop_assert!(runtime.block_on(all).is_ok(), "somebody waits for ever");
            // One is let in however large it is.
            let beside = answers.len() * SMALL + LIMIT + MEDIUM;
            prop_assert!(held.1.get() <= bytes + beside);
        }
    }
}
