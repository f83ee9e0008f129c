//! Why a caller is not let in stands in the log, the metrics and the audit as it is, and coarser in its answer.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};
use tonic_types::StatusExt as _;

use crate::{
    access::rig::{CURP, GET, Rig, key, rule},
    kit::{
        gateway::Gateway,
        issuer::{AUDIENCE, ISSUER, Jwks, Signer, claims, key_set, now},
    },
};

/// `cause` and `scope` of a refusal, `-` where there is none.
fn told(answered: &Result<Value, Status>) -> (Code, String, String) {
    let status = answered.as_ref().expect_err("a refusal was expected");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    let word = |key: &str| {
        info.metadata
            .get(key)
            .map_or("-", String::as_str)
            .to_owned()
    };
    (status.code(), word("cause"), word("scope"))
}

struct Audited {
    directory: TempDir,
}

impl Audited {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("IDGW_AUDIT__SINK", "file".to_owned()),
            (
                "IDGW_AUDIT__PATH",
                self.path("audit.log").display().to_string(),
            ),
            (
                "IDGW_AUDIT__KEY",
                "a key for the hashes of this test".to_owned(),
            ),
        ]
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit.log")).unwrap();
        let whole = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        whole.collect()
    }

    /// The records of refusals, once there are so many.
    async fn refused(&self, count: usize) -> Vec<Value> {
        for _ in 0..1000 {
            let mut records = self.records();
            records.retain(|record| record["event"] == "refused");
            if records.len() >= count {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:#?}", self.records());
    }
}

/// What `/metrics` counts of refused callers, by cause.
async fn counted(gateway: &Gateway) -> BTreeMap<String, u64> {
    let (_, page) = gateway.admin("/metrics").await;
    let mut counted = BTreeMap::new();
    let series = page
        .lines()
        .filter_map(|line| line.strip_prefix("idgw_callers_refused_total{"));
    for line in series {
        let (_, cause) = line.split_once("idgw_cause=\"").unwrap();
        let (cause, rest) = cause.split_once('"').unwrap();
        let count = rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        *counted.entry(cause.to_owned()).or_default() += count as u64;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_cause_is_in_log_metric_and_audit_and_a_coarser_one_is_told() {
    let (signer, place) = (Signer::es256("one"), Audited::new());
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let policy = place.path("policy.toml");
    let rules =
        rule("alice", "rpcs = ['person.read']") + &rule("bob", "rpcs = ['identity.curp.check']");
    std::fs::write(&policy, rules).unwrap();
    let mut variables = place.variables();
    variables.extend([
        ("IDGW_AUTH__MODE", "jwt".to_owned()),
        ("IDGW_AUTH__JWT__ISSUER", ISSUER.to_owned()),
        ("IDGW_AUTH__JWT__AUDIENCE", AUDIENCE.to_owned()),
        ("IDGW_AUTH__JWT__JWKS_URL", jwks.url()),
        ("IDGW_AUTH__POLICY_FILE", policy.display().to_string()),
    ]);
    let gateway = Gateway::sandbox(variables).await;
    let with = |claim: &str, value: Value| {
        let mut claims = claims("alice", "");
        claims[claim] = value;
        format!("Bearer {}", signer.sign(&claims))
    };
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let refused = Code::Unauthenticated;
    let denied = Code::PermissionDenied;
    let rows = [
        (None, refused, "no_credential", "no_credential", None),
        (
            Some("Basic YTpi".to_owned()),
            refused,
            "unsupported",
            "invalid",
            None,
        ),
        (
            bearer("x".to_owned()),
            refused,
            "malformed",
            "invalid",
            None,
        ),
        (
            Some(with("exp", json!(now() - 600))),
            refused,
            "expired",
            "expired",
            Some("alice"),
        ),
        (
            Some(with("nbf", json!(now() + 600))),
            refused,
            "not_yet_valid",
            "invalid",
            Some("alice"),
        ),
        (
            Some(with("aud", json!("x"))),
            refused,
            "audience",
            "invalid",
            Some("alice"),
        ),
        (
            Some(with("iss", json!("x"))),
            refused,
            "issuer",
            "invalid",
            None,
        ),
        (
            bearer(Signer::es256("one").token("alice", "")),
            refused,
            "signature",
            "invalid",
            None,
        ),
        (
            bearer(Signer::es256("two").token("alice", "")),
            refused,
            "unknown_key",
            "invalid",
            None,
        ),
        (
            bearer(signer.token("carol", "")),
            denied,
            "no_rule",
            "-",
            Some("carol"),
        ),
        (
            bearer(signer.token("alice", "")),
            denied,
            "not_granted",
            "-",
            Some("alice"),
        ),
    ];
    for (number, (credential, code, cause, says, name)) in (1..).zip(&rows) {
        let mark = gateway.log.mark();
        let mut metadata = vec![("x-purpose", "canary-purpose")];
        metadata.extend(credential.as_deref().map(|text| ("authorization", text)));
        let request = json!({"curp": "RAZR811011HVZXPB01"});
        let answered = gateway.client.call_as(CURP, &request, &metadata).await;
        let scope = if *code == denied {
            "identity.curp.check"
        } else {
            "-"
        };
        let expected = (*code, (*says).to_owned(), scope.to_owned());
        assert_eq!(told(&answered), expected, "{cause}");
        let line = gateway.log.line(mark, "call").await.unwrap();
        assert_eq!(line["cause"], *cause);
        assert_eq!(line["identity"].as_str(), *name, "{cause}");
        let record = place.refused(number).await.pop().unwrap();
        assert_eq!(record["cause"], *cause);
        assert_eq!(record["caller"].as_str(), *name, "{cause}");
        assert_eq!(record["rpc"], CURP);
        assert_eq!(record["billing"], "not_billed");
        assert!(record["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
        // What a stranger says of its purpose is nobody's word.
        assert_eq!(record["purpose"], Value::Null);
    }
    let counted = counted(&gateway).await;
    for (_, _, cause, ..) in &rows {
        assert_eq!(counted.get(*cause), Some(&1), "{cause}: {counted:?}");
    }
    // Keys that cannot be had are not the caller's fault, and it is told nothing of its credential.
    jwks.answers(503, "");
    let unknown = format!("Bearer {}", Signer::es256("three").token("alice", ""));
    let unavailable = async || {
        let metadata = [("authorization", unknown.as_str())];
        gateway
            .client
            .call_as(GET, &json!({"id": "x"}), &metadata)
            .await
    };
    for _ in 0..200 {
        if told(&unavailable().await).0 == Code::Unavailable {
            break;
        }
        // Seldom: the audit takes sixty such records a minute, and the one that is waited for is to be among them.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(
        told(&unavailable().await),
        (Code::Unavailable, "-".to_owned(), "-".to_owned())
    );
    let line = gateway
        .log
        .line(0, "reload rejected, keeping the previous version")
        .await;
    assert_eq!(line.unwrap()["why"], "HTTP status 503");
    let is_it =
        |record: &Value| record["cause"] == "keys_unavailable" && record["event"] == "refused";
    for _ in 0..1000 {
        if place.records().iter().any(is_it) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:#?}", place.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_leaves_the_audit_to_those_who_are_let_in() {
    const FLOOD: u64 = 400;
    let place = Audited::new();
    let variables = place.variables();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let rig = Rig::start(
        &rule("one", "rpcs = ['identity.curp.check']"),
        &["one", "two"],
        &variables,
    )
    .await;
    let ask = async || {
        let refused = rig.gateway.client.call(CURP, &json!({"curp": "x"})).await;
        assert_eq!(told(&refused).0, Code::Unauthenticated);
    };
    join_all((0..FLOOD).map(|_| ask())).await;
    // A known caller that may not call is recorded all the same, and so is one that may.
    let denied = rig
        .call("two", CURP, &json!({"curp": "RAZR811011HVZXPB01"}))
        .await;
    assert_eq!(told(&denied).0, Code::PermissionDenied);
    let answered = rig
        .call("one", CURP, &json!({"curp": "RAZR811011HVZXPB01"}))
        .await;
    assert!(answered.is_ok());
    for _ in 0..1000 {
        if place
            .records()
            .iter()
            .any(|record| record["event"] == "result")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let records = place.records();
    let of = |cause: &str| {
        records
            .iter()
            .filter(|record| record["cause"] == cause)
            .count()
    };
    assert_eq!(of("no_rule"), 1);
    assert!(of("no_credential") <= 120, "{}", of("no_credential"));
    let left_out = records
        .iter()
        .filter_map(|record| record["refusals_left_out"].as_u64());
    let written = u64::try_from(of("no_credential")).unwrap();
    assert_eq!(left_out.sum::<u64>() + written, FLOOD);
    assert_eq!(counted(&rig.gateway).await["no_credential"], FLOOD);
    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_identity-gateway"))
        .args(["audit", "verify"])
        .arg(place.path("audit.log"))
        .output();
    let verified = verified.unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_to_reflection_is_logged_and_counted() {
    let rig = Rig::start(&rule("one", "rpcs = ['person.read']"), &["one"], &[]).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", rig.gateway.grpc));
    let mut client = ServerReflectionClient::new(channel.unwrap().connect().await.unwrap());
    let mut ask = async |credential: Option<&str>| {
        let mut request = Request::new(tokio_stream::iter([ServerReflectionRequest::default()]));
        if let Some(credential) = credential {
            let value = format!("Bearer {credential}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let refused = client.server_reflection_info(request).await.unwrap_err();
        let info = refused.get_details_error_info().unwrap();
        info.metadata.get("cause").cloned()
    };
    let wrong = key("somebody else");
    for (credential, cause, says) in [
        (None, "no_credential", "no_credential"),
        (Some(wrong.as_str()), "unknown_key", "invalid"),
        (Some("letmein"), "weak_key", "invalid"),
    ] {
        let mark = rig.gateway.log.mark();
        assert_eq!(ask(credential).await.as_deref(), Some(says));
        let line = rig.gateway.log.line(mark, "call").await.unwrap();
        assert_eq!(line["rpc"], "grpc.reflection");
        assert_eq!(line["cause"], cause);
        assert_eq!(line["code"], "UNAUTHENTICATED");
    }
    assert_eq!(counted(&rig.gateway).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecars_word_from_elsewhere_is_said_to_be_from_elsewhere() {
    let directory = TempDir::new().unwrap();
    let policy = directory.path().join("policy.toml");
    std::fs::write(&policy, rule("web", "rpcs = ['person.read']")).unwrap();
    for (peers, header, cause) in [
        ("10.1.0.0/16", Some("web"), "untrusted_peer"),
        ("10.1.0.0/16", None, "no_credential"),
        ("127.0.0.0/8", None, "no_credential"),
        ("127.0.0.0/8", Some(" "), "identity"),
    ] {
        let gateway = Gateway::sandbox([
            ("IDGW_AUTH__MODE", "mesh"),
            ("IDGW_AUTH__MESH__PEERS", peers),
            ("IDGW_AUTH__MESH__HEADERS", "l5d-client-id"),
            ("IDGW_AUTH__POLICY_FILE", policy.to_str().unwrap()),
        ]);
        let gateway = gateway.await;
        let metadata: Vec<_> = header
            .map(|name| ("l5d-client-id", name))
            .into_iter()
            .collect();
        let refused = gateway
            .client
            .call_as(GET, &json!({"id": "x"}), &metadata)
            .await;
        assert_eq!(told(&refused).0, Code::Unauthenticated);
        let line = gateway.log.line(0, "call").await.unwrap();
        assert_eq!(line["cause"], cause, "{peers} {header:?}");
    }
}
