//! After a 429 the provider is asked nothing for a while about the number that it was given for.
//!
//! A call that is sent all the same would be refused too, and providers lengthen the ban of clients
//! that go on. The 429 itself is passed on at once; the calls that follow hear the rest of the time.
//!
//! Whom a 429 is meant for it does not say. It holds the number back for the stated time, and the whole
//! provider for a few seconds at most: one number that was asked too often must keep no other waiting.
//! When 429s come for several numbers and nothing else comes in between, it is the account that is
//! limited, and the provider is held for the stated time too.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

/// Numbers that are held at the same time. Of more, those are forgotten whose time is over first.
const MAX_SUBJECTS: usize = 1024;
/// 429s for so many numbers in a row are meant for the account.
const SEVERAL: usize = 3;

/// Whom a request is about, as a short hash under a key of this process: it tells two numbers apart and
/// says nothing of either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(u64);

impl Subject {
    /// Of what tells the number from all others.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = KEY.build_hasher();
        // A slice is hashed with its length: two parts are never another two.
        parts.into_iter().for_each(|part| part.hash(&mut hasher));
        Self(hasher.finish())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What of one provider is held back.
#[derive(Debug)]
pub struct Hold {
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    everybody: Option<Instant>,
    subjects: HashMap<Subject, Instant>,
    /// The numbers of the last 429s since the provider answered anything else; at most [`SEVERAL`].
    in_a_row: Vec<Subject>,
}

impl Hold {
    /// Nothing is held. A 429 for one number holds the provider no longer than this.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self {
            longest,
            state: Mutex::default(),
        }
    }

    /// A 429 asks for a pause.
    pub fn limited(&self, subject: Subject, pause: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.in_a_row.len() < SEVERAL && !state.in_a_row.contains(&subject) {
            state.in_a_row.push(subject);
        }
        let everybody = match state.in_a_row.len() >= SEVERAL {
            true => pause,
            false => pause.min(self.longest),
        };
        state.everybody = state.everybody.max(Some(now + everybody));
        if pause > everybody {
            state.make_room(now);
            let held = state.subjects.entry(subject).or_insert(now);
            *held = (*held).max(now + pause);
        }
    }

    /// The provider has answered something else than a 429.
    pub fn answered(&self) {
        self.lock().in_a_row.clear();
    }

    /// How long calls about this one are still held back.
    #[must_use]
    pub fn rest(&self, subject: impl FnOnce() -> Subject) -> Option<Duration> {
        let state = self.lock();
        let own = match state.subjects.is_empty() {
            // What it is about is asked only if somebody is held: it takes the time of a hash.
            true => None,
            false => state.subjects.get(&subject()).copied(),
        };
        let until = state.everybody.max(own);
        let rest = until?.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self, now: Instant) {
        if self.subjects.len() < MAX_SUBJECTS {
            return;
        }
        self.subjects.retain(|_, until| *until > now);
        let soonest = self.subjects.iter().min_by_key(|(_, until)| **until);
        let soonest = soonest.map(|(subject, _)| *subject);
        if let Some(soonest) = soonest.filter(|_| self.subjects.len() >= MAX_SUBJECTS) {
            self.subjects.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(3);
    const LONG: Duration = Duration::from_secs(600);

    fn subject(number: u64) -> Subject {
        Subject::of([number.to_be_bytes().as_slice()])
    }

    fn rest(hold: &Hold, number: u64) -> u64 {
        hold.rest(|| subject(number)).unwrap_or_default().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_held_until_the_latest_time_named() {
        let hold = Hold::new(LONG);
        assert_eq!(rest(&hold, 1), 0);
        hold.limited(subject(1), Duration::from_secs(7));
        hold.limited(subject(1), Duration::from_secs(2));
        assert_eq!(rest(&hold, 1), 7);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(rest(&hold, 1), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rest(&hold, 1), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_number_is_held_for_its_time_and_the_others_for_a_moment() {
        let hold = Hold::new(LONGEST);
        for _ in 0..5 {
            hold.limited(subject(1), LONG);
        }
        assert_eq!((rest(&hold, 1), rest(&hold, 2)), (600, 3));
        tokio::time::advance(LONGEST).await;
        assert_eq!((rest(&hold, 1), rest(&hold, 2)), (597, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn several_numbers_in_a_row_hold_the_provider() {
        for (answers_between, others) in [(true, 3), (false, 600)] {
            let hold = Hold::new(LONGEST);
            for number in 0..3 {
                hold.limited(subject(number), LONG);
                if answers_between {
                    hold.answered();
                }
            }
            assert_eq!(rest(&hold, 9), others);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_bounded_and_the_longest_are_kept() {
        let hold = Hold::new(LONGEST);
        hold.limited(subject(0), LONG);
        for number in 1..10_000 {
            hold.answered();
            hold.limited(subject(number), Duration::from_secs(60));
        }
        assert!(hold.lock().subjects.len() <= MAX_SUBJECTS);
        assert_eq!((rest(&hold, 0), rest(&hold, 9_999)), (600, 60));
    }

    #[test]
    fn a_subject_shows_nothing() {
        let one = Subject::of([b"KE".as_slice(), b"1234567"]);
        assert_eq!(format!("{one:?}"), "[redacted]");
        assert!(one == Subject::of([b"KE".as_slice(), b"1234567"]));
        assert!(one != Subject::of([b"KE1".as_slice(), b"234567"]));
    }
}
