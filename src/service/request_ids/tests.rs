//! The rules of a `request_id` in one process.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use super::*;
use crate::{
    domain::{
        failure::Kind,
        verification::{Billing, Provider},
    },
    proto::person::v1::Person,
};

const HOUR: Duration = Duration::from_secs(3600);

type Created = Ended<Person>;

fn of(capacity: u64, ttl: Duration) -> RequestIds<Person> {
    let bounds = Bounds {
        capacity,
        max_bytes: usize::MAX,
        ttl,
    };
    RequestIds::new(bounds, None)
}

async fn once<W>(
    ids: &RequestIds<Person>,
    id: Uuid,
    fingerprint: Fingerprint,
    call: &Call,
    create: impl FnOnce(Arc<Progress>) -> W,
) -> Created
where
    W: Future<Output = Created> + Send + 'static,
{
    let asked = Asked {
        id,
        fingerprint,
        provider: Provider::Verifik,
        lease: HOUR,
        left: Box::new(|_| None),
    };
    ids.once(asked, call, create).await.ended
}

fn person(id: u32) -> Created {
    let id = format!("person_{id}");
    Ok(Person {
        id,
        ..Person::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_also_while_the_first_runs() {
    let ids = of(10, HOUR);
    let ran = Arc::new(AtomicU32::new(0));
    let create = || {
        let ran = Arc::clone(&ran);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            person(ran.fetch_add(1, Ordering::SeqCst))
        }
    };
    let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
    let call = Arc::default();
    let both = tokio::join!(
        once(&ids, id, print, &call, |_| create()),
        once(&ids, id, print, &call, |_| create()),
    );
    assert_eq!(both.0.unwrap().id, "person_0");
    assert_eq!(both.1.unwrap().id, "person_0");
    assert_eq!(
        once(&ids, id, print, &call, |_| create()).await.unwrap().id,
        "person_0"
    );
    let other = once(&ids, id, Fingerprint::of("m", b"b"), &call, |_| create()).await;
    assert_eq!(other.unwrap_err().kind, Kind::RequestIdReused);
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_what_was_sent_running() {
    let ids = of(10, HOUR);
    let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
    let slow = |progress: Arc<Progress>| async move {
        progress.sent();
        tokio::time::sleep(Duration::from_secs(5)).await;
        person(7)
    };
    let call = Arc::new(Call::default());
    let first = once(&ids, id, print, &call, slow);
    let gave_up = tokio::time::timeout(Duration::from_secs(1), first);
    assert!(gave_up.await.is_err());
    let repeat = once(&ids, id, print, &call, |_| async { person(8) });
    let mut repeat = std::pin::pin!(repeat);
    let gave_up = tokio::time::timeout(Duration::from_secs(1), repeat.as_mut());
    assert!(gave_up.await.is_err());
    assert!(
        call.progress.may_be_charged(),
        "the repeat waits for what may be charged"
    );
    assert_eq!(repeat.await.unwrap().id, "person_7");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_before_anything_was_sent_leaves_nothing_and_a_free_id() {
    let ids = of(10, HOUR);
    let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
    let ran = Arc::new(AtomicU32::new(0));
    // What it has sent was free, and it is about to send again.
    for sends_first in [false, true] {
        let queued = |progress: Arc<Progress>| {
            let ran = Arc::clone(&ran);
            async move {
                if sends_first {
                    progress.sent();
                    progress.settled();
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
                progress.sent();
                person(ran.fetch_add(1, Ordering::SeqCst))
            }
        };
        let call = asks();
        let gave_up = once(&ids, id, print, &call, queued);
        let gave_up = tokio::time::timeout(Duration::from_secs(1), gave_up);
        assert!(gave_up.await.is_err());
        assert!(!call.progress.may_be_charged());
        tokio::time::sleep(HOUR).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "sent for nobody");
        assert!(!call.progress.may_be_charged());
    }
    assert!(after(&ids, id).await.1);
}

/// The work is a task of its own, so it may be about to send in the very moment in which its caller goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_and_finds_that_nothing_was_sent_may_rely_on_it() {
    let mut free = 0;
    for round in 0..5_000_u64 {
        let (ids, call) = (of(10, HOUR), asks());
        let sent = Arc::new(AtomicU32::new(0));
        let sends = Arc::clone(&sent);
        let work = move |progress: Arc<Progress>| async move {
            for _ in 0..round % 16 {
                tokio::task::yield_now().await;
            }
            spin(20);
            progress.sent();
            sends.fetch_add(1, Ordering::SeqCst);
            person(0)
        };
        let print = Fingerprint::of("m", b"a");
        let mut once = Box::pin(self::once(&ids, Uuid::now_v7(), print, &call, work));
        let _pending = futures_util::poll!(&mut once);
        spin(round % 64);
        drop(once);
        if !call.progress.may_be_charged() {
            free += 1;
            ids.finished().await;
            assert_eq!(sent.load(Ordering::SeqCst), 0, "round {round}");
        }
    }
    println!("{free} of 5000 were gone before anything was sent");
}

fn spin(times: u64) {
    (0..times * 10).for_each(|_| std::hint::spin_loop());
}

#[tokio::test(start_paused = true)]
async fn a_repeat_may_cost_something_from_when_the_first_was_sent() {
    let ids = of(10, HOUR);
    let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
    let second = Duration::from_secs(1);
    let slow = |progress: Arc<Progress>| async move {
        tokio::time::sleep(2 * second).await;
        progress.sent();
        tokio::time::sleep(2 * second).await;
        person(1)
    };
    let [first, repeat, late] = [(); 3].map(|()| Arc::new(Call::default()));
    let waits = async {
        tokio::time::sleep(second / 2).await;
        let mut answer = std::pin::pin!(once(&ids, id, print, &repeat, |_| async { person(2) }));
        for may_be_charged in [false, true] {
            // After 1.5 s, and after 2.5 s.
            let waited = tokio::time::timeout(second, answer.as_mut());
            assert!(waited.await.is_err());
            assert_eq!(repeat.progress.may_be_charged(), may_be_charged);
        }
    };
    tokio::join!(once(&ids, id, print, &first, slow), waits)
        .0
        .unwrap();
    let kept = once(&ids, id, print, &late, |_| async { person(3) }).await;
    assert_eq!(kept.unwrap().id, "person_1");
    assert!(late.progress.may_be_charged(), "what was created is told");
}

#[tokio::test]
async fn a_refused_create_frees_the_id_and_an_unknown_one_keeps_it() {
    let ids = of(10, HOUR);
    let (print, call) = (Fingerprint::of("m", b"a"), Arc::default());
    for (failure, second) in [
        (
            Failure::before_sending(Kind::NotConnected, Provider::Verifik),
            person(2),
        ),
        (
            Failure::after_sending(Kind::OutcomeUnknown, Provider::Verifik),
            Err(Failure::after_sending(
                Kind::OutcomeUnknown,
                Provider::Verifik,
            )),
        ),
    ] {
        let id = Uuid::now_v7();
        let first = once(&ids, id, print, &call, |_| {
            std::future::ready(Err(failure.clone()))
        })
        .await;
        assert_eq!(first, Err(failure));
        let repeat = once(&ids, id, print, &call, |_| async { person(2) }).await;
        assert_eq!(repeat, second);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_outlives_the_deadline_of_its_caller_and_the_process_waits_for_it() {
    let ids = of(10, HOUR);
    let (id, print) = (Uuid::now_v7(), Fingerprint::of("m", b"a"));
    let until = |seconds| {
        let call = Arc::new(Call::default());
        call.progress
            .ends(Instant::now() + Duration::from_secs(seconds));
        call
    };
    let (hasty, patient) = (until(1), until(20));
    let create = |progress: Arc<Progress>| async move {
        progress.sent();
        tokio::time::sleep(Duration::from_secs(2)).await;
        person(7)
    };
    let first = once(&ids, id, print, &hasty, create);
    let gave_up = tokio::time::timeout(Duration::from_secs(1), first).await;
    assert!(gave_up.is_err());
    let begun = Instant::now();
    ids.finished().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    let repeat = once(&ids, id, print, &patient, |_| async { person(8) });
    assert_eq!(repeat.await.unwrap().id, "person_7");
}

/// Threads that are no workers, so that a worker may end a create while its caller is still busy
/// with having begun it: an id that was refused is free for whoever has heard of that.
#[test]
fn a_refusal_never_outlives_its_create_however_quick_it_is() {
    const IDS: usize = 3_000;
    const THREADS: usize = 8;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let ids = of(1_000_000, HOUR);
    let print = Fingerprint::of("m", b"a");
    let refused = || Failure::before_sending(Kind::RateLimited, Provider::Verifik);
    let twice = async || {
        let (id, call) = (Uuid::now_v7(), Arc::default());
        let first = once(&ids, id, print, &call, |_| {
            std::future::ready(Err(refused()))
        });
        assert_eq!(first.await, Err(refused()));
        let second = once(&ids, id, print, &call, |_| std::future::ready(person(1)));
        usize::from(second.await.is_err())
    };
    let poisoned: usize = std::thread::scope(|scope| {
        let thread = || (0..IDS).map(|_| runtime.block_on(twice())).sum::<usize>();
        let threads = [(); THREADS].map(|()| scope.spawn(thread));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(poisoned, 0, "of {} ids", IDS * THREADS);
}

/// What a repeat hears after the first was lost, and whether it ran.
async fn after(ids: &RequestIds<Person>, id: Uuid) -> (Created, bool) {
    let ran = Arc::new(AtomicU32::new(0));
    let runs = Arc::clone(&ran);
    let create = |_| async move { person(runs.fetch_add(1, Ordering::SeqCst)) };
    let print = Fingerprint::of("m", b"a");
    let heard = once(ids, id, print, &asks(), create).await;
    (heard, ran.load(Ordering::SeqCst) == 1)
}

fn asks() -> Arc<Call> {
    let call = Call::default();
    call.facts.asks(Provider::Verifik);
    Arc::new(call)
}

#[tokio::test]
async fn a_panic_is_an_unknown_outcome_if_anything_was_sent_and_frees_the_id_if_not() {
    for sent in [false, true] {
        let (ids, id) = (of(10, HOUR), Uuid::now_v7());
        let call = asks();
        let create = |progress: Arc<Progress>| async move {
            if sent {
                progress.sent();
            }
            tokio::task::yield_now().await;
            panic!("of the test")
        };
        let first = once(&ids, id, Fingerprint::of("m", b"a"), &call, create);
        let first = first.await.unwrap_err();
        let (kind, billing) = match sent {
            true => (Kind::OutcomeUnknown, Billing::Unknown),
            false => (Kind::Internal, Billing::NotBilled),
        };
        assert_eq!((first.kind, first.billing), (kind, Some(billing)));
        assert_eq!(first.provider, Some(Provider::Verifik));
        let (repeat, ran) = after(&ids, id).await;
        assert_eq!(ran, !sent);
        assert_eq!(repeat.is_ok(), !sent);
    }
}

/// A create that is dropped at whatever await it stands, as a runtime that ends does: nobody waits for
/// ever, and what may have been charged is not sent again.
#[tokio::test]
async fn a_create_that_is_killed_at_any_await_is_never_run_again_if_anything_was_sent() {
    const POLLS: u32 = 6;
    for killed_at in 0..=POLLS {
        let (ids, id) = (of(10, HOUR), Uuid::now_v7());
        let sent = Arc::new(AtomicU32::new(0));
        let sends = Arc::clone(&sent);
        let create = move |progress: Arc<Progress>| async move {
            for poll in 0..POLLS {
                tokio::task::yield_now().await;
                if poll == 2 {
                    progress.sent();
                    sends.fetch_add(1, Ordering::SeqCst);
                }
            }
            person(0)
        };
        let doomed = tokio::runtime::Builder::new_current_thread();
        let ours = ids.clone();
        let call = asks();
        // A runtime that is driven step by step, and then ends.
        let kills = std::thread::spawn(move || {
            let runtime = { doomed }.build().unwrap();
            let once = self::once(&ours, id, Fingerprint::of("m", b"a"), &call, create);
            runtime.block_on(async {
                let mut once = Box::pin(once);
                for _ in 0..killed_at {
                    let _pending = futures_util::poll!(&mut once);
                    tokio::task::yield_now().await;
                }
            });
        });
        kills.join().unwrap();
        let (repeat, ran) = after(&ids, id).await;
        let may_be_charged = sent.load(Ordering::SeqCst) == 1;
        assert!(!(ran && may_be_charged), "killed at {killed_at}");
        assert!(ran || may_be_charged, "killed at {killed_at}: poisoned");
        if let Err(failure) = repeat {
            assert!(!ran, "killed at {killed_at}");
            assert_eq!(failure.kind, Kind::OutcomeUnknown);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn kept_outcomes_go_by_time_and_the_oldest_of_too_many_go_first() {
    let ids = of(2, HOUR);
    let names = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for id in names {
        assert!(after(&ids, id).await.1);
    }
    assert!(!after(&ids, names[2]).await.1 && !after(&ids, names[1]).await.1);
    assert!(after(&ids, names[0]).await.1, "it went for the third");
    tokio::time::advance(HOUR).await;
    assert!(after(&ids, names[2]).await.1, "its time is over");
}

#[tokio::test(start_paused = true)]
async fn a_running_create_is_never_dropped_whatever_the_capacity_and_the_lifetime() {
    let ids = of(2, Duration::from_millis(1));
    let ran = Arc::new(AtomicU32::new(0));
    let print = Fingerprint::of("m", b"a");
    let names: Vec<_> = (0..12).map(|_| Uuid::now_v7()).collect();
    let round = |pause: u64| {
        let (ids, ran) = (&ids, &ran);
        names.iter().map(move |id| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let (call, ran) = (Arc::default(), Arc::clone(ran));
            let create = |_| async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                person(ran.fetch_add(1, Ordering::SeqCst))
            };
            once(ids, *id, print, &call, create).await.unwrap().id
        })
    };
    let (first, second) = tokio::join!(
        futures_util::future::join_all(round(0)),
        futures_util::future::join_all(round(5)),
    );
    assert_eq!(first, second);
    assert_eq!(ran.load(Ordering::SeqCst), 12);
}
