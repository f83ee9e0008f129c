//! The state machine, in paused time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

const ENOUGH: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        consecutive_failures: 5,
        failure_percent: 50,
        minimum_calls: 20,
        window: Duration::from_secs(10),
        max_open: Duration::from_secs(15),
        abandoned_after: ENOUGH,
    }
}

fn breaker() -> Breaker {
    Breaker::new(Provider::Verifik, settings())
}

fn tell(breaker: &Breaker, verdict: Verdict) {
    breaker.admit().unwrap().tell(verdict);
}

/// Fails until the circuit is open; how long it is.
fn trip(breaker: &Breaker) -> Duration {
    loop {
        match breaker.admit() {
            Ok(permit) => permit.tell(Verdict::Failure),
            Err(rest) => return rest,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_the_circuit_and_four_do_not() {
    let breaker = breaker();
    for _ in 0..3 {
        for _ in 0..4 {
            tell(&breaker, Verdict::Failure);
        }
        tell(&breaker, Verdict::Success);
    }
    for _ in 0..4 {
        tell(&breaker, Verdict::Failure);
    }
    assert!(!breaker.refuses());
    tell(&breaker, Verdict::Failure);
    assert!(breaker.refuses());
    let rest = breaker.admit().unwrap_err();
    assert!(rest >= FIRST_OPEN / 2 && rest <= FIRST_OPEN, "{rest:?}");
}

/// Failures and successes in turn: never two failures in a row.
async fn alternate(breaker: &Breaker, calls: u32, apart: Duration) {
    for call in 0..calls {
        let verdict = if call % 2 == 0 {
            Verdict::Success
        } else {
            Verdict::Failure
        };
        tell(breaker, verdict);
        tokio::time::advance(apart).await;
    }
}

#[tokio::test(start_paused = true)]
async fn half_of_twenty_calls_in_ten_seconds_open_the_circuit() {
    let breaker = breaker();
    alternate(&breaker, 19, Duration::from_millis(400)).await;
    assert!(!breaker.refuses(), "the minimum volume is not there");
    tell(&breaker, Verdict::Failure);
    assert!(breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn a_rate_below_the_limit_or_too_few_calls_in_the_window_open_nothing() {
    let slow = breaker();
    alternate(&slow, 1000, Duration::from_millis(600)).await;
    assert!(!slow.refuses(), "17 calls in ten seconds");
    let well = breaker();
    for _ in 0..1000 {
        tell(&well, Verdict::Success);
        tell(&well, Verdict::Success);
        tell(&well, Verdict::Failure);
    }
    assert!(!well.refuses(), "a third of the calls");
}

#[tokio::test(start_paused = true)]
async fn zero_in_a_row_leaves_the_rate_alone_to_decide() {
    let none = Settings {
        consecutive_failures: 0,
        ..settings()
    };
    let breaker = Breaker::new(Provider::Verifik, none);
    for _ in 0..19 {
        tell(&breaker, Verdict::Failure);
    }
    assert!(!breaker.refuses());
    tell(&breaker, Verdict::Failure);
    assert!(breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn the_open_time_doubles_up_to_its_cap_and_begins_anew_once_closed() {
    for _ in 0..20 {
        let breaker = breaker();
        let mut rest = trip(&breaker);
        for longest in [1, 2, 4, 8, 15, 15, 15] {
            let longest = Duration::from_secs(longest);
            assert!(
                rest >= longest / 2 && rest <= longest,
                "{rest:?} {longest:?}"
            );
            tokio::time::advance(rest - Duration::from_millis(1)).await;
            assert!(breaker.admit().is_err());
            tokio::time::advance(Duration::from_millis(1)).await;
            tell(&breaker, Verdict::Failure);
            rest = breaker.admit().unwrap_err();
        }
        tokio::time::advance(rest).await;
        tell(&breaker, Verdict::Success);
        assert!(trip(&breaker) <= FIRST_OPEN);
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_one_probe_whose_success_closes() {
    let breaker = breaker();
    tokio::time::advance(trip(&breaker)).await;
    let probe = breaker.admit().unwrap();
    assert!(probe.probe);
    assert_eq!(breaker.admit().unwrap_err(), PROBE_PATIENCE);
    probe.tell(Verdict::Success);
    let permits: Vec<_> = (0..100).map(|_| breaker.admit().unwrap()).collect();
    assert!(permits.iter().all(|permit| !permit.probe));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_not_sent_gives_its_place_back() {
    let breaker = breaker();
    tokio::time::advance(trip(&breaker)).await;
    for _ in 0..10 {
        let probe = breaker.admit().unwrap();
        assert!(probe.probe && breaker.admit().is_err());
        drop(probe);
        assert!(!breaker.refuses());
    }
    tell(&breaker, Verdict::Success);
    assert_eq!(*breaker.watch().borrow(), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_does_not_keep_the_next_waiting_for_ever() {
    let breaker = breaker();
    tokio::time::advance(trip(&breaker)).await;
    let hanging = breaker.admit().unwrap();
    tokio::time::advance(PROBE_PATIENCE - Duration::from_millis(1)).await;
    assert!(breaker.admit().is_err());
    tokio::time::advance(Duration::from_millis(1)).await;
    let second = breaker.admit().unwrap();
    assert!(second.probe && breaker.admit().is_err());
    second.tell(Verdict::Success);
    // It was sent before the provider was back.
    hanging.tell(Verdict::Failure);
    assert!(!breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn verdicts_of_calls_from_before_the_change_do_not_count() {
    let breaker = breaker();
    let before: Vec<_> = (0..20).map(|_| breaker.admit().unwrap()).collect();
    let rest = trip(&breaker);
    assert!(before.iter().all(|permit| !permit.is_current()));
    let mut before = before.into_iter();
    before.next().unwrap().tell(Verdict::Success);
    assert!(breaker.refuses(), "a late success does not close it");
    tokio::time::advance(rest).await;
    let probe = breaker.admit().unwrap();
    before.next().unwrap().tell(Verdict::Failure);
    drop(before.next());
    assert!(breaker.admit().is_err(), "the probe's place is taken");
    probe.tell(Verdict::Success);
    for late in before {
        late.tell(Verdict::Failure);
    }
    assert!(!breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn watchers_see_each_state() {
    let breaker = breaker();
    let mut shown = breaker.watch();
    assert_eq!(*shown.borrow_and_update(), Circuit::Closed);
    let rest = trip(&breaker);
    let until = Instant::now() + rest;
    assert_eq!(*shown.borrow_and_update(), Circuit::Open { until });
    tokio::time::advance(rest).await;
    let probe = breaker.admit().unwrap();
    assert_eq!(*shown.borrow_and_update(), Circuit::HalfOpen);
    drop(probe);
    let until = Instant::now();
    assert_eq!(*shown.borrow_and_update(), Circuit::Open { until });
    tell(&breaker, Verdict::Success);
    assert_eq!(*shown.borrow_and_update(), Circuit::Closed);
}

#[test]
fn of_many_threads_that_knock_at_once_one_is_the_probe() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _time = runtime.enter();
    let quick = Settings {
        max_open: Duration::ZERO,
        ..settings()
    };
    let breaker = Arc::new(Breaker::new(Provider::Verifik, quick));
    for round in 0..200 {
        for _ in 0..5 {
            tell(&breaker, Verdict::Failure);
        }
        let probes = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            let knocking: Vec<_> = (0..8)
                .map(|_| threads.spawn(|| breaker.admit().ok()))
                .collect();
            // Held until all have knocked: none is given back in between.
            let permits: Vec<_> = knocking.into_iter().map(|t| t.join().unwrap()).collect();
            let passed = permits.iter().flatten();
            probes.store(passed.count(), Ordering::SeqCst);
            let mut passed = permits.into_iter().flatten();
            passed.next().unwrap().tell(Verdict::Success);
        });
        assert_eq!(probes.into_inner(), 1, "round {round}");
    }
}

#[test]
fn what_is_answered_is_no_failure_unless_it_is_unreadable_or_says_that_it_is_down() {
    use Kind::{Malformed, NotConnected, OutcomeUnknown, ProviderDown, SourceTimeout, TimedOut};
    let failures = [
        NotConnected,
        TimedOut,
        OutcomeUnknown,
        ProviderDown,
        SourceTimeout,
        Malformed,
    ];
    for kind in Kind::ALL {
        let failed = Verdict::of(&Failure::new(kind)) == Verdict::Failure;
        assert_eq!(failed, failures.contains(&kind), "{kind:?}");
    }
}

/// An attempt that its caller gives up after this time.
async fn give_up(breaker: &Breaker, after: Duration) {
    let mut permit = breaker.admit().unwrap();
    permit.send(Counts::Yes);
    tokio::time::advance(after).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_given_up_after_a_while_are_failures() {
    let breaker = breaker();
    for _ in 0..4 {
        give_up(&breaker, ENOUGH).await;
    }
    assert!(!breaker.refuses());
    give_up(&breaker, ENOUGH).await;
    assert!(breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn attempts_given_up_early_are_failures_once_nobody_was_heard_for_a_while() {
    for answered in [false, true] {
        let breaker = breaker();
        let early = ENOUGH / 10;
        for call in 0..40 {
            if breaker.refuses() {
                break;
            }
            if answered && call % 5 == 0 {
                let mut permit = breaker.admit().unwrap();
                permit.send(Counts::Yes);
                permit.tell(Verdict::Success);
            }
            give_up(&breaker, early).await;
        }
        assert_eq!(breaker.refuses(), !answered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_hurried_callers_says_nothing() {
    let breaker = breaker();
    let mut permits: Vec<_> = (0..1000).map(|_| breaker.admit().unwrap()).collect();
    for permit in &mut permits {
        permit.send(Counts::Yes);
    }
    tokio::time::advance(ENOUGH - Duration::from_millis(1)).await;
    drop(permits);
    assert!(!breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_is_given_up_or_fails_does_not_count_and_its_answer_does() {
    let breaker = breaker();
    for _ in 0..40 {
        let mut permit = breaker.admit().unwrap();
        permit.send(Counts::No);
        tokio::time::advance(ENOUGH).await;
        drop(permit);
        let mut permit = breaker.admit().unwrap();
        permit.send(Counts::No);
        permit.tell(Verdict::Failure);
    }
    assert!(!breaker.refuses());
    trip(&breaker);
    tokio::time::advance(FIRST_OPEN).await;
    let mut probe = breaker.admit().unwrap();
    probe.send(Counts::No);
    probe.tell(Verdict::Success);
    assert!(!breaker.refuses());
}

#[tokio::test(start_paused = true)]
async fn a_probe_given_up_early_costs_the_shortest_time_and_a_late_one_the_doubled() {
    let breaker = breaker();
    let mut rest = trip(&breaker);
    for _ in 0..10 {
        tokio::time::advance(rest).await;
        give_up(&breaker, ENOUGH / 2).await;
        rest = breaker.admit().unwrap_err();
        assert!(rest >= FIRST_OPEN / 2 && rest <= FIRST_OPEN, "{rest:?}");
    }
    for longest in [2, 4, 8, 15] {
        let longest = Duration::from_secs(longest);
        tokio::time::advance(rest).await;
        give_up(&breaker, ENOUGH).await;
        rest = breaker.admit().unwrap_err();
        assert!(rest >= longest / 2 && rest <= longest, "{rest:?}");
    }
}

/// What callers leave is finished: a provider that answers it, however late, is well.
#[tokio::test(start_paused = true)]
async fn five_that_are_left_in_silence_open_the_circuit_and_a_slow_answer_in_between_does_not() {
    let slow = 3 * ENOUGH;
    for (answers, opens) in [(false, true), (true, false)] {
        let breaker = breaker();
        for number in 0..5 {
            let mut permit = breaker.admit().expect("closed");
            permit.send(Counts::Yes);
            tokio::time::sleep(2 * ENOUGH).await;
            assert!(breaker.left(), "{number}");
            if breaker.refuses() {
                break;
            }
            tokio::time::sleep(slow - 2 * ENOUGH).await;
            match answers {
                true => permit.tell(Verdict::Success),
                false => permit.failed_before(),
            }
        }
        assert_eq!(breaker.refuses(), opens);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_left_before_there_was_time_or_while_others_are_answered_says_nothing() {
    let breaker = breaker();
    let [mut one, mut other] = [(); 2].map(|()| breaker.admit().unwrap());
    one.send(Counts::Yes);
    other.send(Counts::Yes);
    tokio::time::sleep(ENOUGH / 2).await;
    assert!(!breaker.left());
    tokio::time::sleep(ENOUGH).await;
    other.tell(Verdict::Success);
    tokio::time::sleep(ENOUGH / 2).await;
    assert!(!breaker.left(), "something has come back meanwhile");
    one.tell(Verdict::Success);
}

/// Where failures in a row open nothing, too many of them do.
#[tokio::test(start_paused = true)]
async fn those_that_are_left_in_silence_count_for_the_rate_as_well() {
    let breaker = Breaker::new(
        Provider::Verifik,
        Settings {
            consecutive_failures: 0,
            window: Duration::from_secs(600),
            ..settings()
        },
    );
    for _ in 0..20 {
        assert!(!breaker.refuses());
        let mut permit = breaker.admit().unwrap();
        permit.send(Counts::Yes);
        tokio::time::sleep(2 * ENOUGH).await;
        assert!(breaker.left());
        permit.failed_before();
    }
    assert!(breaker.refuses());
}
