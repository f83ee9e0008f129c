//! The billing rule, kind by kind.

use super::*;
use crate::domain::verification::Provider;

fn charged() -> Policy {
    Policy {
        charge: Charge::PerRequest,
        repeat: Repeat::IfNotCharged,
        requires_consent: false,
        scope: "scope".to_owned(),
        audited: true,
    }
}

fn write() -> Policy {
    Policy {
        repeat: Repeat::IfNotSent,
        ..charged()
    }
}

fn read() -> Policy {
    Policy {
        charge: Charge::Never,
        repeat: Repeat::Always,
        ..charged()
    }
}

/// The failure as the transport or an adapter makes it.
fn failure(kind: Kind) -> Failure {
    match kind {
        Kind::TimedOut | Kind::OutcomeUnknown | Kind::Malformed => {
            Failure::after_sending(kind, Provider::Verifik)
        }
        _ => Failure::before_sending(kind, Provider::Verifik),
    }
}

fn answered(kind: Kind, status: u16) -> Failure {
    Failure {
        http_status: Some(status),
        ..failure(kind)
    }
}

#[test]
fn a_charged_call_is_repeated_only_after_what_surely_was_free() {
    use Kind::{DataError, NotConnected, Pending, ProviderDown, SourceTimeout};
    let free = [
        NotConnected,
        Pending,
        ProviderDown,
        DataError,
        SourceTimeout,
    ];
    for kind in Kind::ALL {
        let judged = judge(&charged(), Errors::AreFree, failure(kind));
        assert_eq!(
            may_repeat(&charged(), &judged),
            free.contains(&kind),
            "{kind:?}"
        );
        // Whatever its kind: a cost that is not known is never risked again.
        for billing in [Some(Billing::Unknown), Some(Billing::Billed), None] {
            let failure = Failure {
                billing,
                ..failure(kind)
            };
            assert!(!may_repeat(&charged(), &failure), "{kind:?} {billing:?}");
        }
    }
}

#[test]
fn a_write_is_repeated_only_if_it_never_left() {
    for kind in Kind::ALL {
        let judged = judge(&write(), Errors::AreFree, failure(kind));
        assert_eq!(
            may_repeat(&write(), &judged),
            kind == Kind::NotConnected,
            "{kind:?}"
        );
    }
}

#[test]
fn a_read_is_repeated_after_every_passing_failure_and_no_other() {
    use Kind::{
        DataError, NotConnected, OutcomeUnknown, Pending, ProviderDown, SourceTimeout, TimedOut,
    };
    let passing = [
        NotConnected,
        Pending,
        ProviderDown,
        DataError,
        SourceTimeout,
        TimedOut,
        OutcomeUnknown,
    ];
    for errors in [Errors::AreFree, Errors::MayBeCharged] {
        for kind in Kind::ALL {
            let judged = judge(&read(), errors, answered(kind, 503));
            assert_eq!(judged.billing, Some(Billing::NotBilled), "{kind:?}");
            assert_eq!(judged.kind, kind);
            assert_eq!(
                may_repeat(&read(), &judged),
                passing.contains(&kind),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn where_errors_may_be_charged_an_error_answer_is_neither_free_nor_repeated() {
    for kind in Kind::ALL {
        // An error inside a 200 is an error answer too. What the document calls free is below.
        for status in [200, 400, 503] {
            if kind == Kind::DataError {
                continue;
            }
            let judged = judge(&charged(), Errors::MayBeCharged, answered(kind, status));
            assert_eq!(judged.billing, Some(Billing::Unknown), "{kind:?}");
            assert!(!judged.is_safe_to_repeat(), "{kind:?} is UNAVAILABLE");
            assert!(!may_repeat(&charged(), &judged), "{kind:?}");
        }
    }
    // What was not an answer, or was one that the document calls free, stays so.
    for free in [failure(Kind::NotConnected), answered(Kind::DataError, 200)] {
        let judged = judge(&charged(), Errors::MayBeCharged, free.clone());
        assert_eq!(judged, free);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_random_parts_of_a_doubling_time_up_to_a_cap() {
    fastrand::seed(7);
    for (sent, longest) in [
        (1, 100),
        (2, 200),
        (3, 400),
        (5, 1600),
        (6, 2000),
        (60, 2000),
    ] {
        let waits: Vec<_> = (0..1000).map(|_| backoff(sent).as_millis()).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(
            *most <= longest && *most > longest * 9 / 10,
            "{sent}: {most}"
        );
        assert!(*least < longest / 10, "{sent}: {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_up_to_a_limit() {
    let retry = Retry::new(3);
    let asks = |seconds| Failure {
        retry_after: Some(Duration::from_secs(seconds)),
        ..answered(Kind::ProviderDown, 503)
    };
    let next = |seconds| retry.next(&charged(), &asks(seconds), 1, None);
    assert_eq!(next(3), Some(Duration::from_secs(3)));
    assert_eq!(next(5), Some(Duration::from_secs(5)));
    assert_eq!(next(6), None);
    assert!(next(0).unwrap() <= BASE, "zero does not mean at once");
}

#[tokio::test(start_paused = true)]
async fn no_wait_passes_the_deadline_and_no_call_the_attempts_it_has() {
    let retry = Retry::new(3);
    let down = Failure {
        retry_after: Some(Duration::from_secs(2)),
        ..answered(Kind::ProviderDown, 503)
    };
    let within = |time| {
        let deadline = Some(Instant::now() + time);
        retry.next(&charged(), &down, 1, deadline)
    };
    assert_eq!(within(Duration::from_secs(2)), None);
    assert_eq!(
        within(Duration::from_millis(2001)),
        Some(Duration::from_secs(2))
    );
    assert!(retry.next(&charged(), &down, 2, None).is_some());
    assert_eq!(retry.next(&charged(), &down, 3, None), None);
    assert_eq!(Retry::new(1).next(&charged(), &down, 1, None), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_repeated_does_not_touch_the_budget() {
    let retry = Retry::new(3);
    for _ in 0..100 {
        for kind in [
            Kind::ProviderRateLimited,
            Kind::TimedOut,
            Kind::RepeatedRequest,
        ] {
            assert_eq!(retry.next(&charged(), &failure(kind), 1, None), None);
        }
    }
    let down = failure(Kind::NotConnected);
    let repeats = (0..100).filter(|_| retry.next(&charged(), &down, 1, None).is_some());
    assert_eq!(repeats.count(), 10);
}
