//! A shared answer tells that another has asked: it is shared within a rule, or its group, and no
//! further, kept or in flight.

use serde_json::{Value, json};

use crate::access::rig::{CURP, Rig, rule};

/// A CURP that the sandbox knows.
const FOUND: &str = "RAZR811011HVZXPB01";
const CALLERS: [&str; 6] = ["alone", "other", "desk-1", "desk-2", "group-1", "group-2"];

async fn rig(more: &[(&str, &str)]) -> Rig {
    let policy = [
        rule("alone", "rpcs = ['identity.curp.check']"),
        rule("other", "rpcs = ['identity.curp.check']"),
        rule("desk-*", "rpcs = ['identity.curp.check']").replace("desk-*-rule", "desk"),
        rule("group-1", "rpcs = ['identity.curp.check']\nshare = 'desk'"),
        rule("group-2", "rpcs = ['identity.curp.check']\nshare = 'desk'"),
    ];
    Rig::start(&policy.concat(), &CALLERS, more).await
}

fn source(answer: &Value) -> &str {
    answer["verification"]["source"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_given_within_a_rule_or_its_group_and_to_nobody_else() {
    let rig = rig(&[]).await;
    let request = json!({"curp": FOUND, "max_age": "60s"});
    let mut references = Vec::new();
    for (caller, expected) in [
        ("alone", "SOURCE_PROVIDER"),
        ("alone", "SOURCE_CACHE"),
        ("other", "SOURCE_PROVIDER"),
        ("desk-1", "SOURCE_PROVIDER"),
        ("desk-2", "SOURCE_CACHE"),
        // A group of the same name as a rule is not the rule.
        ("group-1", "SOURCE_PROVIDER"),
        ("group-2", "SOURCE_CACHE"),
        ("desk-1", "SOURCE_CACHE"),
    ] {
        let answer = rig.call(caller, CURP, &request).await.unwrap();
        assert_eq!(source(&answer), expected, "{caller}");
        references.push(answer["verification"]["checked_at"].clone());
    }
    assert_ne!(
        references[0], references[2],
        "it tells when the other asked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_is_joined_within_a_rule_or_its_group_and_by_nobody_else() {
    let rig = rig(&[("IDGW_SANDBOX__DELAY", "2s")]).await;
    let request = json!({"curp": FOUND});
    let calls = CALLERS.map(|caller| rig.call(caller, CURP, &request));
    let answers = futures_util::future::join_all(calls).await;
    let joined = |callers: &[&str]| {
        let sources = CALLERS.iter().zip(&answers);
        let sources = sources.filter(|(caller, _)| callers.contains(caller));
        let sources = sources.map(|(_, answer)| source(answer.as_ref().unwrap()));
        sources
            .filter(|source| *source == "SOURCE_COALESCED")
            .count()
    };
    assert_eq!(joined(&["alone", "other"]), 0);
    assert_eq!(joined(&["desk-1", "desk-2"]), 1);
    assert_eq!(joined(&["group-1", "group-2"]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_does_not_keep_a_caller_from_joining_what_another_pays_for() {
    let policy = [
        rule("pays", "rpcs = ['identity.curp.check']\nshare = 'one'"),
        rule(
            "spent",
            "rpcs = ['identity.curp.check']\nshare = 'one'\ncharged_calls_per_day = 0",
        ),
    ];
    let delay = [("IDGW_SANDBOX__DELAY", "2s")];
    let rig = Rig::start(&policy.concat(), &["pays", "spent"], &delay).await;
    let request = json!({"curp": FOUND});
    let (paid, joined) = tokio::join!(rig.call("pays", CURP, &request), async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        rig.call("spent", CURP, &request).await
    });
    assert_eq!(source(&paid.unwrap()), "SOURCE_PROVIDER");
    assert_eq!(source(&joined.unwrap()), "SOURCE_COALESCED");
    // By itself it may not.
    assert!(rig.call("spent", CURP, &request).await.is_err());
}
