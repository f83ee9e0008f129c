//! Budgets of callers: refused before anything is sent, and counted only where money may be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::access::rig::{CURP, GET, LIST, Rig, refusal, rule};

/// CURPs that the sandbox knows: billed, billed, and of bad data, which is free.
const FOUND: &str = "RAZR811011HVZXPB01";
const FREE: &str = "DATA900101HDFSND07";

/// A minute that has ten seconds left, so that a test stays within it.
async fn within_a_minute() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let second = now.as_secs() % 60;
    if second >= 50 {
        tokio::time::sleep(Duration::from_secs(61 - second)).await;
    }
}

fn spent(answered: &Result<Value, Status>, budget: &str) -> Duration {
    assert_eq!(
        refusal(answered),
        (Code::ResourceExhausted, "BUDGET_EXHAUSTED".to_owned())
    );
    let status = answered.as_ref().unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["budget"], budget);
    assert_eq!(
        (&*info.metadata["unit"], &*info.metadata["remaining"]),
        ("calls", "0")
    );
    assert!(info.metadata["limit"].parse::<u64>().is_ok());
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations.len(), 1);
    assert_eq!(quota.violations[0].subject, format!("caller:{budget}"));
    let retry = status.get_details_retry_info().unwrap();
    retry.retry_delay.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_minute_are_counted_for_each_caller() {
    let policy = [
        rule(
            "one",
            "persons = 'all'\nrpcs = ['person.list']\ncalls_per_minute = 3",
        ),
        rule(
            "other",
            "persons = 'all'\nrpcs = ['person.list']\ncalls_per_minute = 3",
        ),
        rule("free", "persons = 'all'\nrpcs = ['person.list']"),
    ];
    let rig = Rig::start(&policy.concat(), &["one", "other", "free"], &[]).await;
    within_a_minute().await;
    let list = json!({});
    for _ in 0..3 {
        rig.call("one", LIST, &list).await.unwrap();
    }
    let wait = spent(&rig.call("one", LIST, &list).await, "calls_per_minute");
    assert!(
        wait >= Duration::from_secs(1) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    // A call that may not be made is not counted, and says so whatever is spent.
    let refused = refusal(&rig.call("one", GET, &json!({"id": "x"})).await);
    assert_eq!(refused.1, "METHOD_NOT_ALLOWED");
    rig.call("other", LIST, &list).await.unwrap();
    for _ in 0..10 {
        rig.call("free", LIST, &list).await.unwrap();
    }
    let (_, metrics) = rig.gateway.admin("/metrics").await;
    let series = "idgw_refused_total{idgw_limit=\"budget\"";
    assert!(
        metrics.lines().any(|line| line.starts_with(series)),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_may_be_charged_counts_as_a_charged_call() {
    let what =
        "persons = 'all'\nrpcs = ['identity.curp.check', 'person.list']\ncharged_calls_per_day = 2";
    let rig = Rig::start(&rule("one", what), &["one"], &[]).await;
    let curp = |curp: &str| json!({"curp": curp, "max_age": "60s"});
    let answer = rig.call("one", CURP, &curp(FOUND)).await.unwrap();
    assert_eq!(answer["verification"]["billing"], "BILLING_BILLED");
    // Kept, malformed, and free by the provider's own document: none of them is charged.
    for _ in 0..3 {
        let kept = rig.call("one", CURP, &curp(FOUND)).await.unwrap();
        assert_eq!(kept["verification"]["source"], "SOURCE_CACHE");
        assert!(rig.call("one", CURP, &curp("nonsense")).await.is_err());
        let free = rig.call("one", CURP, &curp(FREE)).await.unwrap_err();
        let info = free.get_details_error_info().unwrap();
        assert_eq!(info.metadata["billing"], "not_billed");
    }
    let fresh = json!({"curp": FOUND});
    rig.call("one", CURP, &fresh).await.unwrap();
    let mark = rig.gateway.log.mark();
    let refused = rig.call("one", CURP, &fresh).await;
    spent(&refused, "charged_calls_per_day");
    let info = refused.unwrap_err().get_details_error_info().unwrap();
    assert_eq!(info.metadata["billing"], "not_billed");
    // The line of a call before may come after the mark.
    let id = info.metadata["verification_id"].as_str();
    let own = |line: &Value| line["message"] == "call" && line["verification_id"] == id;
    let line = loop {
        if let Some(line) = rig.gateway.log.since(mark).into_iter().find(own) {
            break line;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(line["attempts"], 0, "it was sent: {line}");
    // What costs nothing goes on.
    rig.call("one", LIST, &json!({})).await.unwrap();
    let kept = rig.call("one", CURP, &curp(FOUND)).await.unwrap();
    assert_eq!(kept["verification"]["source"], "SOURCE_CACHE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_response_says_what_is_left_of_each_budget() {
    let what = "persons = 'all'\nrpcs = ['identity.curp.check', 'person.list']\ncalls_per_minute = 50\n\
                charged_calls_per_day = 3";
    let policy = [
        rule("one", what),
        rule("free", "rpcs = ['identity.curp.check']"),
    ];
    let price = [("IDGW_PROVIDERS__ACCUAUTH__PRICE", "0.35 USD")];
    let rig = Rig::start(&policy.concat(), &["one", "free"], &price).await;
    within_a_minute().await;
    let curp = json!({"curp": FOUND, "max_age": "60s"});
    let charged = json!({"curp": FOUND});
    for (request, expected) in [
        (&curp, ["calls_per_minute=49", "charged_calls_per_day=2"]),
        // A cache hit costs a call, and no charged one.
        (&curp, ["calls_per_minute=48", "charged_calls_per_day=2"]),
        (&charged, ["calls_per_minute=47", "charged_calls_per_day=1"]),
    ] {
        assert_eq!(rig.head("one", CURP, request).await, expected);
    }
    assert_eq!(rig.head("free", CURP, &curp).await, Vec::<String>::new());
    // And the rule has its figures, of answers from wherever they came, and of what was billed for them.
    let metrics = &rig.gateway;
    let one = "idgw_caller=\"one-rule\"";
    metrics
        .metric_becomes("idgw_rule_verifications_total", one, |count| count == 3.0)
        .await;
    metrics
        .metric_becomes("idgw_rule_cost_total", one, |cost| {
            (cost - 0.7).abs() < 1e-9
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_not_overdrawn_by_calls_at_the_same_moment() {
    let what = "rpcs = ['identity.pe_foreigner_id.verify']\ncharged_calls_per_day = 5";
    let delay = [("IDGW_SANDBOX__DELAY", "300ms")];
    let rig = Rig::start(&rule("one", what), &["one"], &delay).await;
    let calls = (0..40).map(|number| {
        let request = json!({
            "document_number": format!("{:09}", 300_000_000 + number),
            "birthdate": "1993-08-16",
        });
        let rig = &rig;
        async move {
            let rpc = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
            rig.call("one", rpc, &request).await
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(answered, 5);
    for refused in answers.iter().filter(|answer| answer.is_err()) {
        spent(refused, "charged_calls_per_day");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_another_callers_lookup_pays_nothing_for_it() {
    let policy = [
        rule("first", "rpcs = ['identity.curp.check']\nshare = 'one'"),
        rule(
            "second",
            "rpcs = ['identity.curp.check']\nshare = 'one'\ncharged_calls_per_day = 1",
        ),
    ];
    let delay = [("IDGW_SANDBOX__DELAY", "1s")];
    let rig = Rig::start(&policy.concat(), &["first", "second"], &delay).await;
    let curp = json!({"curp": FOUND});
    let first = rig.call("first", CURP, &curp);
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.call("second", CURP, &curp).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok());
    assert_eq!(
        second.unwrap()["verification"]["source"],
        "SOURCE_COALESCED"
    );
    // So its one call is still there.
    rig.call("second", CURP, &curp).await.unwrap();
    spent(
        &rig.call("second", CURP, &curp).await,
        "charged_calls_per_day",
    );
}
