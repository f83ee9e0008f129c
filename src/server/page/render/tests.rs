//! The page of any snapshot: nothing in it breaks out of its place, every state has its word, and an empty gateway has
//! a page too.

use std::time::Duration;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use tower::ServiceExt as _;

use super::*;
use crate::{
    config::ProviderState,
    domain::refusal::Quota,
    server::{
        lifecycle::Phase,
        page::{
            notices::{self, Signs},
            snapshot::{
                Account, Answers, Budget, Calls, Circuit, Fact, Notice, Program, Reason, Reload,
                Rpc, Slot, Warning,
            },
            watched::{Level, WATCHED},
        },
    },
    telemetry::reloads::InUse,
};

const HOSTILE: &str = "</title></script><img src=x onerror=alert(1)>\"' onload='x'&lt;\u{202e}";

/// A gateway to which nothing has happened, and that has nothing.
fn empty() -> Snapshot {
    Snapshot {
        program: Program {
            version: "0.0.0",
            commit: "unknown",
            up: Duration::ZERO,
            at: Timestamp::UNIX_EPOCH,
            phase: Phase::Serving,
            in_flight: 0,
            connections: 0,
            memory: 0,
            max_memory: None,
        },
        reach: Duration::ZERO,
        notices: Vec::new(),
        calls: Calls::default(),
        rpcs: Vec::new(),
        reasons: Vec::new(),
        accounts: Vec::new(),
        budgets: Vec::new(),
        more_budgets: 0,
        health: Vec::new(),
        facts: Vec::new(),
        reloads: Vec::new(),
        warnings: Vec::new(),
    }
}

fn calls() -> Calls {
    let slot = Slot {
        good: 12_345,
        failed: 3,
        median: Some(0.1),
        p95: Some(f64::INFINITY),
    };
    Calls {
        all: 12_348,
        failed: 3,
        refused: 7,
        median: Some(0.08),
        p95: Some(1.5),
        slots: vec![slot; 40],
    }
}

fn account(name: &str) -> Account {
    Account {
        name: name.to_owned(),
        state: ProviderState::Live,
        host: "provider.test".to_owned(),
        circuit: Some(Circuit::Closed),
        price: "0.35 USD".parse().ok(),
        expires: None,
        in_flight: 2,
        queued: 1,
        requests: calls(),
        errors: vec![("503".to_owned(), 5), ("timeout".to_owned(), 2)],
        reasons: vec![reason("PROVIDER_TIMEOUT")],
        answers: Answers {
            asked: 100,
            shared: 20,
            cached: 3,
            recovered: 2,
            expired: 1,
        },
    }
}

fn reason(name: &str) -> Reason {
    Reason {
        name: name.to_owned(),
        count: 4,
        slots: vec![0, 4],
        last: Duration::from_secs(75),
    }
}

fn budget(rule: &str, least: u64) -> Budget {
    Budget {
        rule: rule.to_owned(),
        quota: Quota::ChargedCallsPerDay,
        limit: 1_000,
        callers: 3,
        spent: usize::from(least == 0),
        least,
    }
}

/// One with everything, and this text wherever a text comes from outside.
fn full(text: &str) -> Snapshot {
    let named = || text.to_owned();
    Snapshot {
        reach: Duration::from_secs(600),
        notices: vec![Notice {
            level: Level::Alarm,
            words: named(),
            section: Some("IdgwDefect"),
        }],
        calls: calls(),
        rpcs: vec![Rpc {
            service: named(),
            method: named(),
            calls: calls(),
        }],
        reasons: vec![reason(text)],
        accounts: vec![Account {
            host: named(),
            errors: vec![(named(), 1)],
            reasons: vec![reason(text)],
            ..account(text)
        }],
        budgets: vec![budget(text, 0)],
        more_budgets: 12,
        health: vec![(String::new(), true), (named(), false)],
        facts: vec![Fact {
            name: "TLS",
            value: named(),
        }],
        reloads: vec![Reload {
            key: "auth.policy_file",
            taken: Some(Duration::from_secs(60)),
            rejected: Some((Duration::from_secs(5), named())),
            in_use: InUse::Previous,
        }],
        warnings: vec![Warning {
            name: "open_to_all",
            key: named(),
            problem: named(),
        }],
        ..empty()
    }
}

/// The tags of a page, without what is between them.
fn tags(page: &str) -> Vec<&str> {
    let begins = page.split('<').skip(1);
    begins
        .filter_map(|tag| tag.split([' ', '>', '\n']).next())
        .collect()
}

#[test]
fn no_name_of_a_rule_an_account_or_a_file_can_break_out_of_its_place() {
    let (plain, hostile) = (status(&full("plain")), status(&full(HOSTILE)));
    assert!(hostile.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(!hostile.contains("<img") && !hostile.contains('\u{202e}'));
    // Apart from the texts the two pages are the same.
    assert_eq!(tags(&hostile), tags(&plain));
    assert_eq!(hostile.matches('"').count(), plain.matches('"').count());
}

#[test]
fn every_element_is_closed() {
    const ALONE: [&str; 7] = ["!doctype", "meta", "link", "path", "img", "br", "/path"];
    for page in [status(&full("plain")), status(&empty()), runbook()] {
        // Style and script hold what looks like tags.
        let page = page.replace(STYLE, "").replace(SCRIPT, "");
        let mut open = Vec::new();
        for tag in tags(&page).into_iter().filter(|tag| !ALONE.contains(tag)) {
            match tag.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None => open.push(tag),
            }
        }
        assert_eq!(open, [""; 0]);
    }
}

#[test]
fn a_gateway_that_has_nothing_has_a_page() {
    let page = status(&empty());
    for words in [
        "Nothing needs attention",
        "No rule states a budget",
        "No file and no key set has changed",
        "Serving",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn every_state_has_a_word_and_a_shape() {
    let shown = |account: Account| {
        let mut page = Html::default();
        accounts::write(
            &mut page,
            &Snapshot {
                accounts: vec![account],
                ..empty()
            },
        );
        page.into_string()
    };
    for (circuit, words) in [
        (Circuit::Closed, "●</span> circuit closed"),
        (
            Circuit::Open(Duration::from_secs(9)),
            "■</span> circuit open for 9 s",
        ),
        (Circuit::Waiting, "▲</span> circuit open, next call tries"),
        (Circuit::HalfOpen, "▲</span> circuit half-open"),
    ] {
        let circuit = Some(circuit);
        let page = shown(Account {
            circuit,
            ..account("one")
        });
        assert!(page.contains(words), "{words}: {page}");
    }
    for (state, words) in [
        (ProviderState::Live, "●</span> live"),
        (ProviderState::Sandbox, "○</span> sandbox"),
    ] {
        assert!(
            shown(Account {
                state,
                ..account("one")
            })
            .contains(words),
            "{words}"
        );
    }
    let none = Account {
        state: ProviderState::NotConfigured,
        circuit: None,
        ..account("one")
    };
    assert!(shown(none).contains("PROVIDER_NOT_CONFIGURED"));
    for (expires, words) in [
        (None, "does not say when it expires"),
        (Some(30 * 86_400), "<dd>expires in 30 d</dd>"),
        (Some(86_400), "▲</span> expires in 1 d</span>"),
        (Some(-61), "■</span> expired 1 min ago"),
    ] {
        assert!(
            shown(Account {
                expires,
                ..account("one")
            })
            .contains(words),
            "{words}"
        );
    }
    for (phase, words) in [
        (Phase::Serving, "●</span> Serving"),
        (Phase::LameDuck, "▲</span> Leaving: calls are still taken"),
        (Phase::Draining, "▲</span> Leaving: new calls are refused"),
    ] {
        let mut snapshot = empty();
        snapshot.program.phase = phase;
        assert!(status(&snapshot).contains(words), "{words}");
    }
}

#[test]
fn figures_are_where_they_belong() {
    let page = status(&full("plain"));
    for words in [
        "<b>25</b> (20 %)",
        "<p class=\"value\">12,348</p>",
        "aria-label=\"Requests to plain by time: 12,348, of which 3 failed\"",
        "0.35 USD a billed result",
        "<code>503</code>",
        "1,000 charged calls a day",
        "12 more budgets have more left",
        "5 s ago: plain",
        "href=\"runbook#idgwdefect\"",
        "1 min ago",
    ] {
        let page = match words {
            "<code>503</code>" => {
                let accounts = vec![account("one")];
                status(&Snapshot {
                    accounts,
                    ..empty()
                })
            }
            _ => page.clone(),
        };
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn what_needs_attention_is_said_worst_first() {
    let quiet = Signs {
        watched: vec![0; WATCHED.len()],
        ..Signs::default()
    };
    let mut healthy = Snapshot {
        accounts: vec![account("one")],
        reloads: Vec::new(),
        ..empty()
    };
    healthy.accounts[0].requests.failed = 3;
    assert_eq!(notices::of(&healthy, &quiet), []);
    let sections = |snapshot: &Snapshot, signs: &Signs| -> Vec<_> {
        let notices = notices::of(snapshot, signs);
        notices
            .into_iter()
            .map(|notice| (notice.level, notice.section))
            .collect()
    };
    let of_account = |change: fn(&mut Account)| {
        let mut snapshot = healthy.clone();
        change(&mut snapshot.accounts[0]);
        sections(&snapshot, &quiet)
    };
    let (alarm, warning) = (Level::Alarm, Level::Warning);
    let open = of_account(|one| one.circuit = Some(Circuit::Open(Duration::from_secs(1))));
    assert_eq!(open, [(alarm, Some("IdgwBreakerOpen"))]);
    let down = of_account(|one| one.requests.failed = 7_000);
    assert_eq!(down, [(alarm, Some("IdgwProviderDown"))]);
    let soon = of_account(|one| one.expires = Some(3_600));
    assert_eq!(soon, [(warning, Some("IdgwTokenExpires"))]);
    let over = of_account(|one| one.expires = Some(-1));
    assert_eq!(over, [(alarm, Some("IdgwTokenExpires"))]);
    let mut leaving = healthy.clone();
    leaving.program.phase = Phase::Draining;
    leaving.calls = Calls {
        failed: 1_000,
        ..calls()
    };
    leaving.reloads = full("").reloads;
    let mut watched = vec![0; WATCHED.len()];
    watched[0] = 1;
    let signs = Signs {
        watched,
        certificate: Some(-5),
        crl: Some(60),
        redis: Some(false),
    };
    assert_eq!(
        sections(&leaving, &signs),
        [
            (alarm, Some("IdgwErrorBudgetBurn")),
            (alarm, Some("IdgwCertificateExpires")),
            (alarm, Some("IdgwCacheUnavailable")),
            (alarm, Some("IdgwDefect")),
            (warning, None),
            (warning, Some("IdgwCrlExpires")),
            (warning, Some("IdgwReloadRefused")),
        ]
    );
}

#[test]
fn a_page_with_everything_is_not_large() {
    let mut snapshot = full("a-rule-with-a-name-of-sixty-four-letters-as-long-as-it-may-be-ok");
    snapshot.accounts = vec![snapshot.accounts[0].clone(); 3];
    snapshot.budgets = vec![snapshot.budgets[0].clone(); 30];
    snapshot.rpcs = vec![snapshot.rpcs[0].clone(); 12];
    let page = status(&snapshot);
    assert!(page.len() < 80_000, "{}", page.len());
}

#[tokio::test]
async fn the_policy_allows_the_script_and_the_style_that_are_in_the_page_and_no_others() {
    let policy = policy();
    let policy = policy.to_str().unwrap();
    let page = status(&full("plain"));
    for (name, kind) in [("style", "style-src"), ("script", "script-src")] {
        let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
        let (_, rest) = page.split_once(&begin).unwrap();
        let (text, rest) = rest.split_once(&end).unwrap();
        assert!(!rest.contains(&begin), "one {name} only");
        let hash = STANDARD.encode(Sha256::digest(text));
        assert!(
            policy.contains(&format!("{kind} 'sha256-{hash}';")),
            "{policy}"
        );
    }
    assert!(policy.starts_with("default-src 'none';"));
    assert!(!policy.contains("unsafe") && !policy.contains("http"));
    // What it does not allow is not there to be refused.
    let body = page
        .replace(STYLE, "")
        .replace(SCRIPT, "")
        .replace(ICON, "");
    assert!(!body.contains(" style=") && !body.contains(" onclick") && !body.contains("://"));
}

#[tokio::test]
async fn the_runbook_is_served_with_the_same_policy() {
    let router: axum::Router =
        axum::Router::new().route("/", axum::routing::get(super::super::show_runbook));
    let request = Request::get("/").body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-security-policy"], policy());
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("IdgwBreakerOpen"));
}
