//! The rules of sharing a call in flight, in paused time.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::*;
use crate::{domain::verification::Provider, explore::explore, sharing::keys::Keys};

const SECOND: Duration = Duration::from_secs(1);

/// A kind of lookup whose provider takes a second, and counts.
#[derive(Default)]
struct Bench {
    flights: Flights<u32>,
    calls: Arc<AtomicU32>,
    done: Arc<AtomicU32>,
    kept: Arc<Mutex<Vec<(u32, Keep)>>>,
    owed: Arc<Mutex<Vec<Owed>>>,
}

/// Of a caller whose name stands for who it is.
fn seat(name: Name, keep: Keep, progress: &Progress) -> Seat<'_> {
    Seat {
        name,
        keep,
        progress,
        owed: &|| unreachable!("nobody is owed anything"),
    }
}

fn name(keys: &Keys, text: &str) -> Name {
    keys.name([text.as_bytes()])
}

impl Bench {
    fn board(&self, name: Name, keep: Keep, progress: &Progress) -> (Flight<u32>, Part) {
        let (calls, done) = (Arc::clone(&self.calls), Arc::clone(&self.done));
        let work = move |shared: Arc<Progress>| async move {
            let number = calls.fetch_add(1, Ordering::SeqCst);
            shared.attempt();
            shared.sent();
            sleep(SECOND).await;
            shared.settled();
            done.fetch_add(1, Ordering::SeqCst);
            number
        };
        let (kept, owed) = (Arc::clone(&self.kept), Arc::clone(&self.owed));
        let conclude = move |answer: &u32, keep, owes: Vec<Owed>| {
            if keep != Keep::Nothing {
                kept.lock().unwrap().push((*answer, keep));
            }
            owed.lock().unwrap().extend(owes);
        };
        let none = || None::<()>;
        match self
            .flights
            .board(seat(name, keep, progress), none, work, conclude)
        {
            Boarded::Flight(flight, part) => (flight, part),
            Boarded::Kept(()) => unreachable!("nothing is kept here"),
        }
    }

    fn calls(&self) -> (u32, u32) {
        let count = |count: &AtomicU32| count.load(Ordering::SeqCst);
        (count(&self.calls), count(&self.done))
    }

    fn is_empty(&self) -> bool {
        locked(&self.flights.0).is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn many_identical_lookups_are_one_call_and_others_are_others() {
    let (bench, keys) = (Bench::default(), Keys::random().unwrap());
    let progress: Vec<_> = (0..100).map(|_| Progress::default()).collect();
    let boarded: Vec<_> = progress
        .iter()
        .map(|progress| bench.board(name(&keys, "a"), Keep::Nothing, progress))
        .collect();
    let other = Progress::default();
    let (other, part) = bench.board(name(&keys, "b"), Keep::Nothing, &other);
    assert_eq!(part, Part::Starts);
    let starters = boarded.iter().filter(|(_, part)| *part == Part::Starts);
    assert_eq!(starters.count(), 1);
    let flights = boarded.into_iter().map(|(flight, _)| flight);
    let answers = futures_util::future::join_all(flights).await;
    assert!(answers.iter().all(|answer| *answer == Some(0)));
    assert_eq!(other.await, Some(1));
    assert_eq!(bench.calls(), (2, 2));
    let attempts: u32 = progress.iter().map(Progress::attempts).sum();
    assert_eq!(attempts, 1);
    assert!(bench.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_takes_nothing_from_the_others_also_if_it_started() {
    let (bench, keys) = (Bench::default(), Keys::random().unwrap());
    let a = name(&keys, "a");
    let (first, second) = (Progress::default(), Progress::default());
    let (starter, _) = bench.board(a, Keep::Nothing, &first);
    let (joiner, part) = bench.board(a, Keep::Nothing, &second);
    assert_eq!(part, Part::Joins);
    let stay = tokio::spawn(joiner);
    assert!(timeout(SECOND / 2, starter).await.is_err());
    assert!(first.may_be_charged() && second.may_be_charged());
    assert_eq!(stay.await.unwrap(), Some(0));
    assert_eq!(bench.calls(), (1, 1));
    assert!(!second.may_be_charged());
}

#[tokio::test(start_paused = true)]
async fn with_the_last_waiter_the_work_is_dropped_and_the_next_starts_anew() {
    let (bench, keys) = (Bench::default(), Keys::random().unwrap());
    let a = name(&keys, "a");
    let progress = Progress::default();
    let (starter, _) = bench.board(a, Keep::Nothing, &progress);
    let (joiner, _) = bench.board(a, Keep::Nothing, &Progress::default());
    assert!(timeout(SECOND / 2, starter).await.is_err());
    assert!(timeout(SECOND / 4, joiner).await.is_err());
    assert!(bench.is_empty());
    let (again, part) = bench.board(a, Keep::Nothing, &Progress::default());
    assert_eq!(part, Part::Starts);
    assert_eq!(again.await, Some(1));
    assert_eq!(bench.calls(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_greatest_wish_of_all_waiters_is_kept_before_anybody_is_answered() {
    let keys = Keys::random().unwrap();
    for (wishes, kept) in [
        (vec![Keep::Nothing, Keep::Nothing], vec![]),
        (vec![Keep::Nothing, Keep::Answer], vec![(0, Keep::Answer)]),
        (
            vec![Keep::Answer, Keep::WithDocument, Keep::Nothing],
            vec![(0, Keep::WithDocument)],
        ),
    ] {
        let bench = Bench::default();
        let progress = Progress::default();
        let flights = wishes.iter().map(|keep| {
            let (flight, _) = bench.board(name(&keys, "a"), *keep, &progress);
            flight
        });
        let flights: Vec<_> = flights.collect();
        futures_util::future::join_all(flights).await;
        assert_eq!(*bench.kept.lock().unwrap(), kept, "{wishes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_waiting_of_all() {
    let (flights, keys) = (Flights::<u32>::default(), Keys::random().unwrap());
    let board = || {
        let boarded = flights.board(
            seat(name(&keys, "a"), Keep::Answer, &Progress::default()),
            || None::<()>,
            |_| async {
                sleep(SECOND).await;
                panic!("of the test")
            },
            |_, _, _| {},
        );
        match boarded {
            Boarded::Flight(flight, _) => flight,
            Boarded::Kept(()) => unreachable!("nothing is kept here"),
        }
    };
    let (first, second) = (board(), board());
    let both = async { tokio::join!(first, tokio::spawn(second)) };
    let (first, second) = timeout(10 * SECOND, both).await.unwrap();
    assert_eq!((first, second.unwrap()), (None, None));
    assert!(locked(&flights.0).is_empty());
}

#[tokio::test]
async fn what_was_kept_a_moment_ago_is_found_instead_of_a_new_flight() {
    let (flights, keys) = (Flights::<u32>::default(), Keys::random().unwrap());
    let boarded = flights.board(
        seat(name(&keys, "a"), Keep::Answer, &Progress::default()),
        || Some("kept"),
        |_| async { unreachable!("no flight is started") },
        |_, _, _| {},
    );
    assert!(matches!(boarded, Boarded::Kept("kept")));
    assert!(locked(&flights.0).is_empty());
}

/// Many threads come and go; whoever stays is answered, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_threads_that_come_and_go_everybody_who_stays_is_answered() {
    let bench = Arc::new(Bench::default());
    let keys = Arc::new(Keys::random().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..400_u64 {
        let (bench, keys) = (Arc::clone(&bench), Arc::clone(&keys));
        tasks.spawn(async move {
            sleep(Duration::from_micros(number * 37 % 5000)).await;
            let progress = Progress::default();
            let a = name(&keys, &format!("{}", number % 3));
            let (flight, _) = bench.board(a, Keep::Nothing, &progress);
            if number % 2 == 0 {
                let patience = Duration::from_micros(number * 53 % 900);
                let _gave_up = timeout(patience, flight).await;
                true
            } else {
                flight.await.is_some()
            }
        });
    }
    let all = timeout(30 * SECOND, async {
        while let Some(answered) = tasks.join_next().await {
            assert!(answered.unwrap());
        }
    });
    all.await.unwrap();
    assert!(bench.is_empty());
}

/// One of those who want the same.
enum Caller {
    Away,
    Waits(Box<Progress>, Flight<usize>, usize),
    Gone,
}

/// Three callers that come, are polled, and leave in every order there is, and work that sends between its
/// first poll and its second.
#[test]
fn in_every_order_of_polls_and_leavings_who_stays_is_answered_and_who_leaves_knows_what_was_sent() {
    async fn once_pending() {
        let mut was_polled = false;
        std::future::poll_fn(|_| match std::mem::replace(&mut was_polled, true) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
    }
    let keys = Keys::random().unwrap();
    let name = name(&keys, "a");
    let runs = explore(|chooser| {
        let flights = Flights::<usize>::default();
        // Of each flight: whether it has sent, and whether it has ended.
        let known = Arc::new(Mutex::new(Vec::<(bool, bool)>::new()));
        let mut callers = [Caller::Away, Caller::Away, Caller::Away];
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            let here = |at: &usize| !matches!(callers[*at], Caller::Gone);
            let here: Vec<_> = (0..callers.len()).filter(here).collect();
            if here.is_empty() {
                break;
            }
            let at = here[chooser.choose(here.len())];
            let last = known.lock().unwrap().len().saturating_sub(1);
            let waits = |caller: &&Caller| matches!(caller, Caller::Waits(_, _, of) if *of == last);
            let waiting = callers.iter().filter(waits).count();
            match &mut callers[at] {
                Caller::Away => {
                    let progress = Progress::default();
                    let (of, flights_so_far) = (Arc::clone(&known), known.lock().unwrap().len());
                    let work = move |shared: Arc<Progress>| async move {
                        once_pending().await;
                        shared.sent();
                        of.lock().unwrap()[flights_so_far].0 = true;
                        once_pending().await;
                        of.lock().unwrap()[flights_so_far].1 = true;
                        flights_so_far
                    };
                    let none = || None::<()>;
                    let seat = seat(name, Keep::Nothing, &progress);
                    let boarded = flights.board(seat, none, work, |_, _, _| {});
                    let Boarded::Flight(flight, part) = boarded else {
                        unreachable!("nothing is kept here")
                    };
                    if part == Part::Starts {
                        let mut known = known.lock().unwrap();
                        let last = known.last().copied();
                        let alone = last.is_none_or(|(_, ended)| ended || waiting == 0);
                        assert!(alone, "a second flight beside one that somebody waits for");
                        known.push((false, false));
                    }
                    let number = known.lock().unwrap().len() - 1;
                    callers[at] = Caller::Waits(Box::new(progress), flight, number);
                }
                Caller::Waits(progress, flight, number) => {
                    let number = *number;
                    let is_over = match chooser.choose(2) {
                        0 => match flight.poll_unpin(&mut context) {
                            std::task::Poll::Ready(answer) => {
                                assert_eq!(answer, Some(number));
                                true
                            }
                            std::task::Poll::Pending => false,
                        },
                        _ => true,
                    };
                    let (sent, _) = known.lock().unwrap()[number];
                    assert_eq!(progress.may_be_charged(), sent);
                    if is_over {
                        callers[at] = Caller::Gone;
                    }
                }
                Caller::Gone => unreachable!("those who are gone do nothing"),
            }
        }
        assert!(locked(&flights.0).is_empty());
    });
    assert!(runs > 1_000, "{runs}");
}

/// Who goes and comes back, and for whom the answer is kept in the end: once for each call that went and has not
/// come back.
#[tokio::test(start_paused = true)]
async fn the_answer_is_kept_for_each_call_that_went_and_did_not_come_back() {
    let keys = Keys::random().unwrap();
    let (a, one, other) = (name(&keys, "a"), name(&keys, "one"), name(&keys, "other"));
    let unattended = || UnderWay::unattended(Provider::Verifik);
    // Who goes, and who comes back after that.
    for (gone, back, owed) in [
        (vec![one], vec![], vec![(one, 1)]),
        (vec![one], vec![one], vec![]),
        (vec![one, one], vec![], vec![(one, 2)]),
        (vec![one, one], vec![one], vec![(one, 1)]),
        (vec![one, other], vec![other], vec![(one, 1)]),
        (vec![other], vec![one], vec![(other, 1)]),
    ] {
        let bench = Bench::default();
        let calls: Vec<_> = gone.iter().map(|who| (Progress::default(), *who)).collect();
        let mut flights = Vec::new();
        for (progress, _) in &calls {
            flights.push(bench.board(a, Keep::Nothing, progress).0);
        }
        let flight = flights.pop().unwrap();
        assert!(timeout(SECOND / 2, flight.clone()).await.is_err());
        for (progress, who) in &calls {
            let owed = || *who;
            let seat = Seat {
                owed: &owed,
                ..seat(a, Keep::Nothing, progress)
            };
            assert!(bench.flights.owe(seat).is_some());
            let _last = bench.flights.leave(seat, Some(unattended));
        }
        {
            let register = locked(&bench.flights.0);
            let entry = register.values().next().unwrap();
            assert!(entry.unattended.is_some(), "nobody waits");
            assert!(
                entry.progress.deadline().unwrap() <= Instant::now(),
                "and nothing further is sent"
            );
        }
        for who in &back {
            let (progress, owed) = (Progress::default(), || *who);
            let seat = Seat {
                owed: &owed,
                ..seat(a, Keep::Nothing, &progress)
            };
            assert!(bench.flights.join(seat).is_some());
            assert!(
                locked(&bench.flights.0)
                    .values()
                    .all(|entry| entry.unattended.is_none())
            );
        }
        assert_eq!(flight.await, Some(0));
        assert_eq!(*bench.owed.lock().unwrap(), owed, "{gone:?} {back:?}");
        assert!(bench.is_empty());
        // Who did not take part changes nothing about a later flight with the same name.
        let _later = bench.board(a, Keep::Nothing, &Progress::default());
        let (progress, owed) = (&calls[0].0, || one);
        let seat = Seat {
            owed: &owed,
            ..seat(a, Keep::Nothing, progress)
        };
        assert!(bench.flights.owe(seat).is_none());
        assert!(bench.flights.leave(seat, Some(unattended)).is_none());
        assert!(
            locked(&bench.flights.0)
                .values()
                .all(|entry| entry.callers == 1)
        );
    }
}
