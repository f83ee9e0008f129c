//! Calls of callers who are not known: they fill no log, and are not in flight before it is known who calls.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    access::rig::{GET, Rig, refusal, rule},
    kit::{
        gateway::Gateway,
        issuer::{AUDIENCE, ISSUER, Jwks, Signer, key_set},
    },
};

/// Most lines of strangers in a second.
const A_SECOND: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_writes_few_lines_and_the_others_are_counted() {
    const FLOOD: u64 = 300;
    let rig = Rig::start(&rule("one", "rpcs = ['person.read']"), &["one"], &[]).await;
    let mark = rig.gateway.log.mark();
    let began = Instant::now();
    let ask = async || {
        let refused = rig.gateway.client.call(GET, &json!({"id": "x"})).await;
        assert_eq!(refusal(&refused).0, Code::Unauthenticated);
    };
    join_all((0..FLOOD).map(|_| ask())).await;
    let seconds = began.elapsed().as_secs() + 1;
    // The next second's first line tells of all that were left out.
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask().await;
    let suppressed = |lines: &[Value]| -> u64 {
        let counts = lines.iter().filter_map(|line| line["suppressed"].as_u64());
        counts.sum()
    };
    let end = Instant::now() + Duration::from_secs(20);
    let (written, left_out) = loop {
        let mut lines = rig.gateway.log.since(mark);
        lines.retain(|line| line["message"] == "call" && line["code"] == "UNAUTHENTICATED");
        let (written, left_out) = (u64::try_from(lines.len()).unwrap(), suppressed(&lines));
        if written + left_out > FLOOD || Instant::now() > end {
            break (written, left_out);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(written + left_out, FLOOD + 1);
    assert!(
        written <= A_SECOND * seconds + 1,
        "{written} lines in {seconds} s"
    );
    // Who is known is told of whatever strangers do.
    let mark = rig.gateway.log.mark();
    let _missing = rig.call("one", GET, &json!({"id": "x"})).await;
    assert!(rig.gateway.log.line(mark, "call").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_in_flight_once_it_is_known_who_calls() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    // The key set does not come: nobody can be known.
    jwks.answers_after(200, "", Duration::from_secs(60));
    let directory = tempfile::TempDir::new().unwrap();
    let policy = directory.path().join("policy.toml");
    std::fs::write(&policy, rule("alice", "rpcs = ['person.read']")).unwrap();
    let gateway = Gateway::sandbox([
        ("IDGW_AUTH__MODE", "jwt"),
        ("IDGW_AUTH__JWT__ISSUER", ISSUER),
        ("IDGW_AUTH__JWT__AUDIENCE", AUDIENCE),
        ("IDGW_AUTH__JWT__JWKS_URL", &jwks.url()),
        ("IDGW_AUTH__JWT__JWKS_TIMEOUT", "30s"),
        ("IDGW_AUTH__POLICY_FILE", policy.to_str().unwrap()),
    ])
    .await;
    let bearer = format!("Bearer {}", signer.token("alice", ""));
    let metadata = [("authorization", bearer.as_str()), ("grpc-timeout", "3S")];
    let ask = || async {
        let request = json!({"id": "x"});
        refusal(&gateway.client.call_as(GET, &request, &metadata).await).0
    };
    let calls = join_all((0..20).map(|_| ask()));
    let most_in_flight = async {
        let mut most = 0.0_f64;
        loop {
            let (_, page) = gateway.admin("/metrics").await;
            let mut series = page
                .lines()
                .filter_map(|line| line.strip_prefix("idgw_calls_in_flight "));
            most = most.max(series.next().map_or(0.0, |count| count.parse().unwrap()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            if most > 0.0 {
                return most;
            }
        }
    };
    tokio::select! {
        // The gateway's own answer: they waited there.
        ended = calls => assert_eq!(ended, [Code::DeadlineExceeded; 20]),
        most = most_in_flight => panic!("{most} calls of nobody are in flight"),
    }
}
