//! The order of the checks and what each refusal says, in paused time, over attempts made by hand.
// Long: the rules of the guard lean on each other and on the same script of a provider.

use std::{
    cell::{Cell, RefCell},
    num::NonZeroU32,
};

use super::*;
use crate::proto::gateway::v1::Repeat;

const PROVIDER: Provider = Provider::Accuauth;

pub(super) fn limits() -> Limits {
    Limits {
        max_in_flight: 256,
        queue: 64,
        queue_timeout: Duration::from_millis(250),
        rate: None,
        max_attempts: 3,
        breaker: breaker::Settings {
            consecutive_failures: 5,
            failure_percent: 50,
            minimum_calls: 20,
            window: Duration::from_secs(10),
            max_open: Duration::from_secs(15),
            abandoned_after: Duration::from_secs(1),
        },
        rate_limit_hold: Duration::from_secs(3),
        errors: Errors::AreFree,
    }
}

pub(super) fn charged() -> Policy {
    Policy {
        charge: Charge::PerRequest,
        repeat: Repeat::IfNotCharged,
        requires_consent: false,
        scope: "scope".to_owned(),
        audited: true,
    }
}

/// Whom a call is about.
pub(super) fn number(number: u64) -> Subject {
    Subject::of([number.to_be_bytes().as_slice()])
}

fn failure(kind: Kind) -> Failure {
    match kind {
        Kind::TimedOut | Kind::OutcomeUnknown | Kind::Malformed => {
            Failure::after_sending(kind, PROVIDER)
        }
        _ => Failure::before_sending(kind, PROVIDER),
    }
}

fn asks_for(kind: Kind, wait: u64) -> Failure {
    Failure {
        retry_after: Some(Duration::from_secs(wait)),
        ..failure(kind)
    }
}

/// A call whose attempts end as listed, then well; its end, and how many attempts it took.
async fn call(
    guard: &Guard,
    progress: &Progress,
    script: impl IntoIterator<Item = Failure>,
) -> (Result<(), Failure>, u32) {
    let script = RefCell::new(script.into_iter());
    let attempts = Cell::new(0);
    let attempt = || {
        attempts.set(attempts.get() + 1);
        progress.sent();
        std::future::ready(script.borrow_mut().next().map_or(Ok(()), Err))
    };
    let end = guard
        .call(progress, &charged(), || number(1), attempt)
        .await;
    assert_eq!(progress.attempts(), attempts.get());
    (end, attempts.get())
}

async fn fresh(guard: &Guard, script: &[Failure]) -> (Result<(), Failure>, u32) {
    call(guard, &Progress::default(), script.iter().cloned()).await
}

fn refused(end: (Result<(), Failure>, u32), kind: Kind) -> Duration {
    let (end, attempts) = end;
    let failure = end.unwrap_err();
    assert_eq!((failure.kind, attempts), (kind, 0));
    assert_eq!(failure.billing, Some(Billing::NotBilled));
    assert_eq!(failure.provider, Some(PROVIDER));
    failure.retry_after.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_free_failure_is_repeated_and_an_unknown_one_is_not() {
    for (script, attempts, end) in [
        (&[][..], 1, None),
        (&[Kind::NotConnected, Kind::ProviderDown], 3, None),
        (
            &[Kind::Pending, Kind::DataError, Kind::SourceTimeout],
            3,
            Some(Kind::SourceTimeout),
        ),
        (
            &[Kind::NotConnected, Kind::TimedOut],
            2,
            Some(Kind::TimedOut),
        ),
        (&[Kind::OutcomeUnknown], 1, Some(Kind::OutcomeUnknown)),
        (&[Kind::QuotaExhausted], 1, Some(Kind::QuotaExhausted)),
        (&[Kind::RepeatedRequest], 1, Some(Kind::RepeatedRequest)),
    ] {
        let guard = Guard::new(PROVIDER, limits());
        let failures: Vec<_> = script.iter().copied().map(failure).collect();
        let (got, sent) = fresh(&guard, &failures).await;
        assert_eq!(got.err().map(|failure| failure.kind), end, "{script:?}");
        assert_eq!(sent, attempts, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invitation_to_repeat_says_when() {
    let guard = Guard::new(PROVIDER, limits());
    let once = async |script: &[Failure]| fresh(&guard, script).await.0.unwrap_err().retry_after;
    let down = [Kind::NotConnected; 3].map(failure);
    assert_eq!(once(&down).await, Some(DEFAULT_RETRY_AFTER));
    let patient = [asks_for(Kind::ProviderDown, 9)];
    assert_eq!(once(&patient).await, Some(Duration::from_secs(9)));
    let refused = [asks_for(Kind::RejectedArgument, 9)];
    assert_eq!(once(&refused).await, None);
}

#[tokio::test(start_paused = true)]
async fn after_a_429_calls_are_held_back_for_the_stated_time() {
    for (answer, pause) in [
        (asks_for(Kind::ProviderRateLimited, 30), 30),
        (failure(Kind::ProviderRateLimited), 1),
    ] {
        let guard = Guard::new(PROVIDER, limits());
        let begun = Instant::now();
        let pause = Duration::from_secs(pause);
        let (end, sent) = fresh(&guard, &[answer]).await;
        let end = end.unwrap_err();
        assert_eq!((end.kind, sent), (Kind::ProviderRateLimited, 1));
        assert_eq!(end.retry_after, Some(pause));
        assert_eq!(begun.elapsed(), Duration::ZERO, "passed on at once");
        tokio::time::advance(pause - Duration::from_millis(100)).await;
        let rest = refused(fresh(&guard, &[]).await, Kind::ProviderRateLimited);
        assert_eq!(rest, Duration::from_millis(100));
        tokio::time::advance(rest).await;
        assert_eq!(fresh(&guard, &[]).await, (Ok(()), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn five_calls_without_connection_open_the_circuit() {
    let guard = Guard::new(PROVIDER, limits());
    let down = [Kind::NotConnected; 3].map(failure);
    for call in 1..5 {
        let (end, sent) = fresh(&guard, &down).await;
        assert_eq!(end.unwrap_err().kind, Kind::NotConnected);
        assert_eq!(sent, 3, "call {call} has its repeats");
    }
    let begun = Instant::now();
    let (end, sent) = fresh(&guard, &down).await;
    // The fifth opens it: no wait for a repeat that would be refused.
    assert_eq!((end.unwrap_err().kind, sent), (Kind::NotConnected, 1));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let rest = refused(fresh(&guard, &[]).await, Kind::CircuitOpen);
    tokio::time::advance(rest).await;
    assert_eq!(fresh(&guard, &[]).await, (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn repeats_of_one_question_count_once() {
    let guard = Guard::new(PROVIDER, limits());
    for _ in 0..4 {
        fresh(&guard, &[Kind::ProviderDown; 3].map(failure))
            .await
            .0
            .unwrap_err();
    }
    assert_eq!(*guard.circuit().borrow(), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn over_the_rate_is_refused_without_being_sent() {
    let two = NonZeroU32::new(2).unwrap();
    let guard = Guard::new(
        PROVIDER,
        Limits {
            rate: Some(Rate {
                per_second: two,
                burst: two,
            }),
            ..limits()
        },
    );
    for _ in 0..2 {
        assert_eq!(fresh(&guard, &[]).await, (Ok(()), 1));
    }
    let wait = refused(fresh(&guard, &[]).await, Kind::RateLimited);
    assert_eq!(wait, Duration::from_millis(500));
    // A repeat is a request too: the caller hears of what was before it.
    tokio::time::advance(Duration::from_millis(500)).await;
    let (end, sent) = fresh(&guard, &[failure(Kind::Pending)]).await;
    assert_eq!((end.unwrap_err().kind, sent), (Kind::Pending, 1));
}

#[tokio::test(start_paused = true)]
async fn over_the_places_and_the_queue_is_overloaded_at_once() {
    let one = Limits {
        max_in_flight: 1,
        queue: 0,
        ..limits()
    };
    let guard = Guard::new(PROVIDER, one);
    let (progress, policy) = (Progress::default(), charged());
    let hangs = guard.call(
        &progress,
        &policy,
        || number(1),
        std::future::pending::<Result<(), _>>,
    );
    tokio::select! {
        biased;
        _ = hangs => panic!("it hangs"),
        end = fresh(&guard, &[]) => {
            assert_eq!(refused(end, Kind::Overloaded), DEFAULT_RETRY_AFTER);
        }
    }
    // The caller of the hanging call has given up: its place is free.
    assert_eq!(fresh(&guard, &[]).await, (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_place_is_checked_again() {
    let one = Limits {
        max_in_flight: 1,
        ..limits()
    };
    let guard = Guard::new(PROVIDER, one);
    let (progress, policy) = (Progress::default(), charged());
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err::<(), _>(asks_for(Kind::ProviderRateLimited, 7))
    };
    let (first, second) = tokio::join!(
        guard.call(&progress, &policy, || number(1), slow),
        fresh(&guard, &[])
    );
    assert_eq!(first.unwrap_err().kind, Kind::ProviderRateLimited);
    assert_eq!(
        refused(second, Kind::ProviderRateLimited),
        Duration::from_secs(7)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline_nor_waited_for_beyond_it() {
    let guard = Guard::new(PROVIDER, limits());
    let late = Progress::default();
    late.ends(Instant::now());
    let (end, sent) = call(&guard, &late, []).await;
    let end = end.unwrap_err();
    assert_eq!((end.kind, sent), (Kind::DeadlineExceeded, 0));
    assert_eq!(end.billing, Some(Billing::NotBilled));

    let hurried = Progress::default();
    hurried.ends(Instant::now() + Duration::from_secs(2));
    let (end, sent) = call(&guard, &hurried, [asks_for(Kind::ProviderDown, 2)]).await;
    assert_eq!((end.unwrap_err().kind, sent), (Kind::ProviderDown, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_deadline_costs_depends_on_what_was_out() {
    let guard = Guard::new(PROVIDER, limits());
    let policy = charged();
    // Between two attempts nothing is out, nor while one connects; while one is, it may be charged.
    for (second_hangs, costly) in [(false, false), (true, false), (true, true)] {
        let progress = Progress::default();
        let attempts = Cell::new(0);
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            match attempts.get() {
                1 if second_hangs => Err(failure(Kind::NotConnected)),
                1 => Err(asks_for(Kind::ProviderDown, 1)),
                _ => {
                    if costly {
                        progress.sent();
                    }
                    std::future::pending::<Result<(), _>>().await
                }
            }
        };
        let call = guard.call(&progress, &policy, || number(1), attempt);
        assert!(
            tokio::time::timeout(Duration::from_millis(500), call)
                .await
                .is_err()
        );
        assert_eq!(progress.may_be_charged(), costly);
    }
    // An answer that is charged stays so until the caller has it.
    for script in [&[][..], &[failure(Kind::TimedOut)]] {
        let progress = Progress::default();
        let _end = call(&guard, &progress, script.iter().cloned()).await;
        assert!(progress.may_be_charged());
    }
    let progress = Progress::default();
    let _end = call(&guard, &progress, [failure(Kind::QuotaExhausted)]).await;
    assert!(!progress.may_be_charged());
}

#[tokio::test(start_paused = true)]
async fn a_429_for_one_number_holds_the_others_for_a_moment() {
    let guard = Guard::new(PROVIDER, limits());
    let policy = charged();
    let ask = async |about: u64, answer: Result<(), Failure>| {
        let progress = Progress::default();
        let attempt = || std::future::ready(answer.clone());
        guard
            .call(&progress, &policy, || number(about), attempt)
            .await
    };
    let held = |seconds| {
        Err(Failure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..failure(Kind::ProviderRateLimited)
        })
    };
    assert_eq!(ask(1, held(600)).await, held(600));
    assert_eq!(ask(2, Ok(())).await, held(3));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(ask(2, Ok(())).await, Ok(()));
    assert_eq!(ask(1, Ok(())).await, held(597));
    // The account itself is limited.
    for about in 3..6 {
        assert_eq!(ask(about, held(600)).await, held(600));
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    assert_eq!(ask(6, Ok(())).await, held(597));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_in_html_is_left_alone() {
    let guard = Guard::new(PROVIDER, limits());
    let mut sent = 0;
    for _ in 0..300 {
        sent += fresh(&guard, &[failure(Kind::Malformed)]).await.1;
    }
    assert_eq!(sent, 5);
}

#[tokio::test(start_paused = true)]
async fn refused_calls_put_nothing_into_the_budget_of_repeats() {
    let guard = Guard::new(PROVIDER, limits());
    let down = [Kind::NotConnected; 3].map(failure);
    for _ in 0..5 {
        let _failed = fresh(&guard, &down).await;
    }
    let left = guard.retry.budget_left();
    for _ in 0..1000 {
        refused(fresh(&guard, &[]).await, Kind::CircuitOpen);
    }
    assert!((guard.retry.budget_left() - left).abs() < f64::EPSILON);
}

/// Calls at an even rate, with this deadline, at a provider that never answers: how many requests it gets
/// in each minute.
async fn hangs(deadline: Duration) -> Vec<u32> {
    const MINUTES: u64 = 3;
    const A_SECOND: u64 = 60;
    let guard = std::sync::Arc::new(Guard::new(PROVIDER, limits()));
    let mut requests = Vec::new();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for _ in 0..MINUTES {
                let sent = std::rc::Rc::new(Cell::new(0));
                for _ in 0..60 * A_SECOND {
                    let (guard, sent) = (std::sync::Arc::clone(&guard), std::rc::Rc::clone(&sent));
                    tokio::task::spawn_local(async move {
                        let (progress, policy) = (Progress::default(), charged());
                        let attempt = || {
                            sent.set(sent.get() + 1);
                            std::future::pending::<Result<(), Failure>>()
                        };
                        let call = guard.call(&progress, &policy, || number(1), attempt);
                        let _ended = tokio::time::timeout(deadline, call).await;
                    });
                    tokio::time::sleep(Duration::from_secs(1) / 60).await;
                }
                requests.push(sent.get());
            }
        })
        .await;
    requests
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_gets_few_requests_whatever_the_deadlines_of_the_callers() {
    for millis in [10, 100, 500, 999, 1000, 1500, 2500, 5000, 19_000] {
        let requests = hangs(Duration::from_millis(millis)).await;
        // Before the first is given up, all go out for which there is a place.
        assert!(requests[0] <= 400, "{millis} ms: {requests:?}");
        for minute in &requests[1..] {
            assert!(*minute <= 120, "{millis} ms: {requests:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_its_connection_is_overloaded_which_says_nothing_of_the_provider() {
    let mut limits = limits();
    limits.queue = 1;
    limits.breaker.consecutive_failures = 1;
    let guard = Guard::new(PROVIDER, limits);
    let (progress, policy) = (Progress::default(), charged());
    let tries = Cell::new(0);
    let attempt = || async {
        tries.set(tries.get() + 1);
        guard.queue(std::future::pending::<()>()).await
    };
    let begun = Instant::now();
    let two = async {
        tokio::join!(
            guard.call(&progress, &policy, || number(1), attempt),
            guard.call(&progress, &policy, || number(1), attempt)
        )
    };
    let (first, second) = two.await;
    for end in [first, second] {
        let end = end.unwrap_err();
        assert_eq!(end.kind, Kind::Overloaded);
        assert_eq!(end.billing, Some(Billing::NotBilled));
        assert_eq!(end.retry_after, Some(DEFAULT_RETRY_AFTER));
    }
    assert_eq!(tries.get(), 2, "not repeated");
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
    assert_eq!(*guard.circuit().borrow(), Circuit::Closed);
    assert!(!progress.may_be_charged());
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_place_is_sent_only_if_there_is_time_for_an_answer() {
    let guard = Guard::new(PROVIDER, limits());
    for (waited, left, sent) in [
        (0, 1, true),
        (0, 0, false),
        (1, 99, false),
        (1, 100, false),
        (1, 101, true),
        (200, 5000, true),
    ] {
        let progress = Progress::default();
        let begun = Instant::now();
        tokio::time::advance(Duration::from_millis(waited)).await;
        progress.ends(Instant::now() + Duration::from_millis(left));
        let in_time = guard.in_time(&progress, begun);
        assert_eq!(in_time.is_ok(), sent, "{waited} {left}");
        if let Err(late) = in_time {
            assert_eq!(late.kind, Kind::DeadlineExceeded);
            assert_eq!(late.billing, Some(Billing::NotBilled));
        }
    }
}
