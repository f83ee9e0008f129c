//! Who called stands in the audit, and neither there nor anywhere else how it was proven.

use serde_json::{Value, json};

use crate::access::rig::{CURP, Rig, key, rule};

const FOUND: &str = "RAZR811011HVZXPB01";

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_the_caller_and_the_log_only_its_rule() {
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit.log");
    // The rules have names of their own, as a person in charge would give them.
    let policy = rule("canary-caller", "rpcs = ['identity.curp.check']")
        .replace("canary-caller-rule", "payments");
    let more = [
        ("IDGW_AUDIT__SINK", "file"),
        ("IDGW_AUDIT__PATH", audit.to_str().unwrap()),
        ("IDGW_AUDIT__KEY", "a key for the hashes of this test"),
        ("IDGW_AUDIT__FSYNC", "each"),
    ];
    let rig = Rig::start(&policy, &["canary-caller", "other"], &more).await;
    rig.call("canary-caller", CURP, &json!({"curp": FOUND}))
        .await
        .unwrap();
    let line = rig.gateway.log.line(0, "call").await.unwrap();
    assert_eq!(line["caller"], "payments");
    let refused = rig.call("other", CURP, &json!({"curp": FOUND})).await;
    assert!(refused.is_err());
    let text = loop {
        let text = std::fs::read_to_string(&audit).unwrap();
        if text.contains("\"result\"") {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let results: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "result")
        .collect();
    assert_eq!(results.len(), 1, "{text}");
    assert_eq!(results[0]["caller"], "canary-caller");
    assert_eq!(results[0]["caller_mode"], "keys");
    assert_eq!(results[0]["caller_rule"], "payments");
    assert!(!text.contains(&key("canary-caller")));
    for line in rig.gateway.log.since(0) {
        let line = line.to_string();
        assert!(
            !line.contains("canary-caller") && !line.contains("preshared"),
            "{line}"
        );
    }
    let (_, metrics) = rig.gateway.admin("/metrics").await;
    assert!(!metrics.contains("canary-caller"));
}
