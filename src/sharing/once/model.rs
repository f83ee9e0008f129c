//! The protocol under every order of steps, every fault of Redis and every crash, in a small world: two
//! replicas, one id, and a store that may lose a question or an answer, or act late.
//!
//! What is run is the protocol itself, in paused time. What is held: while one create runs or may have
//! been charged, no other begins, and everybody is told what became of it.

use std::sync::{Mutex, MutexGuard, OnceLock};

use super::*;
use crate::explore::{Chooser, explore, interleave};

const LEASE: Duration = Duration::from_secs(1);
/// As long as `persons.request_id_ttl` must be at least.
const SHORTEST: Duration = LEASE.saturating_add(GRACE);
const HOUR: Duration = Duration::from_secs(3600);
const BUDGET: Duration = Duration::from_millis(500);

/// Which of them it was.
#[derive(Debug, Clone, PartialEq)]
struct Made(String);

impl Outcome for Made {
    fn encode(&self) -> Bytes {
        self.0.clone().into()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        String::from_utf8(bytes.into()).ok().map(Self)
    }

    fn size(&self) -> usize {
        self.0.len()
    }

    fn frees_the_id(failure: &Failure) -> bool {
        !failure.leaves_outcome_unknown()
    }
}

type Created = Ended<Made>;

/// What is known of a create that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs, or was cut off.
    Out,
    Refused,
    Created,
}

struct World {
    entry: Option<(Vec<u8>, Instant)>,
    faults: usize,
    /// Whether anything but a look was lost, or a replica.
    is_disturbed: bool,
    creates: Vec<Fate>,
}

/// A replica's way to the store. A replica that has crashed never hears anything again.
#[derive(Clone)]
struct Replica {
    world: Arc<Mutex<World>>,
    is_up: Arc<Mutex<bool>>,
    chooser: Chooser,
}

impl Replica {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    async fn asks<T>(
        &self,
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
    {
        tokio::task::yield_now().await;
        if !*self.is_up.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let fault = match self.world().faults {
            0 => 0,
            _ => self.chooser.choose(4),
        };
        if fault == 0 {
            return Ok(self.acts(effect));
        }
        self.world().faults -= 1;
        match fault {
            // The question is lost.
            1 => {}
            // The answer is lost.
            2 => drop(self.acts(effect)),
            // It is read when nobody waits for it any more.
            _ => {
                let late = self.clone();
                tokio::spawn(async move {
                    sleep(3 * BUDGET).await;
                    late.acts(effect);
                });
            }
        }
        sleep(BUDGET).await;
        Err(NoAnswer(CacheFailure::Timeout))
    }

    /// The same for what changes something.
    async fn changes<T>(
        &self,
        effect: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
    {
        let changed = self.asks(effect).await;
        self.world().is_disturbed |= changed.is_err();
        changed
    }

    fn acts<T>(&self, effect: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        if world
            .entry
            .as_ref()
            .is_some_and(|(_, end)| *end <= Instant::now())
        {
            world.entry = None;
        }
        effect(&mut world)
    }

    /// A create at the provider, which ends in every way.
    async fn create(self, id: usize) -> Created {
        tokio::task::yield_now().await;
        let number = {
            let mut world = self.world();
            let others = &world.creates;
            assert!(
                others.iter().all(|fate| *fate == Fate::Refused),
                "a second create beside {others:?}"
            );
            world.creates.push(Fate::Out);
            world.creates.len() - 1
        };
        let ends = |fate| self.world().creates[number] = fate;
        sleep(LEASE / 2).await;
        match self.chooser.choose(3) {
            0 => {
                ends(Fate::Created);
                Ok(Made(format!("person_{id}")))
            }
            1 => {
                ends(Fate::Refused);
                Err(Failure::before_sending(
                    Kind::NotConnected,
                    Provider::Verifik,
                ))
            }
            // Until its lease ends: the outcome is not known.
            _ => std::future::pending().await,
        }
    }
}

impl Store for Replica {
    async fn set_if_absent(
        &self,
        _: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<bool, NoAnswer> {
        let value = value.to_vec();
        let set = move |world: &mut World| {
            let free = world.entry.is_none();
            if free {
                world.entry = Some((value, Instant::now() + lifetime));
            }
            free
        };
        self.changes(set).await
    }

    async fn replace(
        &self,
        _: &str,
        old: &[u8],
        new: &[u8],
        lifetime: Duration,
    ) -> Result<bool, NoAnswer> {
        let (old, new) = (old.to_vec(), new.to_vec());
        let set = move |world: &mut World| {
            let before = world.entry.take().map(|(value, _)| value);
            world.entry = Some((new.clone(), Instant::now() + lifetime));
            before.is_some_and(|before| before == old || before == new)
        };
        self.changes(set).await
    }

    async fn get(&self, _: &str) -> Result<Option<(Vec<u8>, Duration)>, NoAnswer> {
        let get = |world: &mut World| {
            let entry = world.entry.as_ref();
            entry.map(|(value, end)| (value.clone(), *end - Instant::now()))
        };
        self.asks(get).await
    }

    async fn delete(&self, _: &str, value: &[u8]) -> Result<(), NoAnswer> {
        let value = value.to_vec();
        let delete = move |world: &mut World| {
            if world.entry.as_ref().is_some_and(|(held, _)| *held == value) {
                world.entry = None;
            }
        };
        self.changes(delete).await
    }

    fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work);
    }
}

fn keys() -> Arc<Keys> {
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    Arc::clone(KEYS.get_or_init(|| Arc::new(Keys::random().unwrap())))
}

/// One call under the id, at a replica.
async fn once(replica: Replica, lifetime: Duration, number: usize) -> Created {
    let ids = Once::new(replica.clone(), keys(), ["create", "scope"], lifetime);
    let question = Question {
        id: Uuid::nil(),
        fingerprint: [7; 32],
        provider: Provider::Verifik,
        lease: LEASE,
    };
    let (created, how) = ids
        .once(question, &Progress::default(), replica.create(number))
        .await;
    let own = matches!(&created, Ok(made) if made.0 == format!("person_{number}"));
    assert_eq!(
        own,
        how == How::Ran && created.is_ok(),
        "{how:?}: {created:?}"
    );
    created
}

/// Whether a call that ended so may have been charged for its own create.
fn says_free(created: &Created) -> bool {
    matches!(created, Err(failure) if !failure.leaves_outcome_unknown())
}

/// Two replicas under one id with so many faults; `again` is when somebody asks a third time.
fn two_replicas(chooser: &Chooser, lifetime: Duration, faults: usize, again: Option<Duration>) {
    // With the first, while it runs, or after it.
    let begins = [Duration::ZERO, LEASE / 4, LEASE];
    let begins = &begins[..if faults > 1 { 1 } else { 3 }];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = Arc::new(Mutex::new(World {
        entry: None,
        faults,
        is_disturbed: false,
        creates: Vec::new(),
    }));
    let replica = || Replica {
        world: Arc::clone(&world),
        is_up: Arc::new(Mutex::new(true)),
        chooser: chooser.clone(),
    };
    runtime.block_on(async {
        let (one, two) = (replica(), replica());
        let first = once(one.clone(), lifetime, 1);
        let second = async {
            sleep(begins[chooser.choose(begins.len())]).await;
            once(two.clone(), lifetime, 2).await
        };
        let kills = |at: usize| {
            let may = at == 0 && world.lock().unwrap().faults > 0;
            let kills = may && chooser.choose(2) == 1;
            if kills {
                let mut world = world.lock().unwrap();
                world.faults -= 1;
                world.is_disturbed = true;
                *one.is_up.lock().unwrap() = false;
            }
            kills
        };
        let ended = interleave(chooser, vec![Box::pin(first), Box::pin(second)], kills);
        let mut ended = tokio::time::timeout(HOUR / 2, ended)
            .await
            .expect("somebody waits for ever");
        if let Some(pause) = again {
            sleep(pause).await;
            world.lock().unwrap().faults = 0;
            ended.push(Some(once(replica(), lifetime, 3).await));
        }
        let fates = world.lock().unwrap().creates.clone();
        let created = fates.contains(&Fate::Created);
        let persons: Vec<_> = ended
            .iter()
            .flatten()
            .flatten()
            .map(|made| &made.0)
            .collect();
        assert!(persons.is_empty() || created, "{ended:?} of {fates:?}");
        assert!(
            persons.windows(2).all(|two| two[0] == two[1]),
            "{persons:?}"
        );
        if ended.iter().flatten().count() == ended.len() && ended.iter().flatten().all(says_free) {
            let all_free = fates.iter().all(|fate| *fate == Fate::Refused);
            assert!(all_free, "{ended:?} of {fates:?}");
        }
        // Who looks in vain waits for as long as a lease, and looks again.
        if faults < 2 && !world.lock().unwrap().is_disturbed {
            // Nothing but a create whose outcome is not known makes an unknown outcome.
            let unknown =
                |created: &Created| created.as_ref().is_err_and(Failure::leaves_outcome_unknown);
            let has_unknown = fates.contains(&Fate::Out);
            assert!(
                has_unknown || !ended.iter().flatten().any(unknown),
                "{ended:?} of {fates:?}"
            );
        }
    });
}

#[test]
fn without_faults_the_first_create_is_everybodys_and_a_refused_one_is_nobodys() {
    let runs = explore(|chooser| two_replicas(chooser, HOUR, 0, Some(LEASE)));
    assert!(runs > 50, "{runs}");
}

#[test]
fn under_any_two_faults_and_crashes_no_create_begins_beside_one_that_may_be_charged() {
    let runs = explore(|chooser| two_replicas(chooser, HOUR, 2, Some(20 * LEASE)));
    println!("{runs} runs");
    assert!(runs > 1_000, "{runs}");
}

/// One fault, with the second replica also while the first runs, and after it.
#[test]
fn under_any_fault_or_crash_no_create_begins_beside_one_that_may_be_charged() {
    let runs = explore(|chooser| two_replicas(chooser, HOUR, 1, Some(20 * LEASE)));
    assert!(runs > 500, "{runs}");
}

/// A lease ends before the entry does: who saw it run does not take what has expired for free.
#[test]
fn nor_with_the_shortest_lifetime_that_is_taken() {
    let runs = explore(|chooser| two_replicas(chooser, SHORTEST, 1, None));
    assert!(runs > 100, "{runs}");
}
