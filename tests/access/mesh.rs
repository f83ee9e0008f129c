//! A sidecar's word counts from a sidecar's address, and from nowhere else.

use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::{
    access::rig::{LIST, refusal},
    kit::gateway::Gateway,
};

const XFCC: &str = "x-forwarded-client-cert";
const L5D: &str = "l5d-client-id";
const NAME: &str = "api.payments.serviceaccount.identity.linkerd.cluster.local";

async fn gateway(peers: &str, headers: &str) -> (Gateway, TempDir) {
    let directory = TempDir::new().unwrap();
    let policy = directory.path().join("policy.toml");
    let rule = format!(
        "[[allow]]\nname = 'payments'\nidentities = ['spiffe://bank.example/ns/payments/*', '{NAME}']\n\
         persons = 'all'\nrpcs = ['person.list']\n"
    );
    std::fs::write(&policy, rule).unwrap();
    let gateway = Gateway::sandbox([
        ("IDGW_AUTH__MODE", "mesh"),
        ("IDGW_AUTH__MESH__PEERS", peers),
        ("IDGW_AUTH__MESH__HEADERS", headers),
        ("IDGW_AUTH__POLICY_FILE", policy.to_str().unwrap()),
    ]);
    (gateway.await, directory)
}

async fn list(gateway: &Gateway, header: &'static str, value: &str) -> Result<Value, Status> {
    gateway
        .client
        .call_as(LIST, &json!({}), &[(header, value)])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoofed_header_from_elsewhere_is_refused() {
    let both = "x-forwarded-client-cert,l5d-client-id";
    let (gateway, _directory) = gateway("10.1.0.0/16,127.0.0.6", both).await;
    for (header, value) in [
        (XFCC, "URI=spiffe://bank.example/ns/payments/sa/api"),
        (L5D, NAME),
    ] {
        let refused = refusal(&list(&gateway, header, value).await);
        assert_eq!(
            refused,
            (Code::Unauthenticated, "UNAUTHENTICATED".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecars_own_word_is_the_last_element() {
    let (gateway, _directory) = gateway("127.0.0.0/8", "x-forwarded-client-cert").await;
    let denied = Some((Code::PermissionDenied, "METHOD_NOT_ALLOWED".to_owned()));
    let unknown = Some((Code::Unauthenticated, "UNAUTHENTICATED".to_owned()));
    for (header, value, expected) in [
        (
            XFCC,
            "Hash=ab;URI=spiffe://bank.example/ns/payments/sa/api",
            None,
        ),
        (
            XFCC,
            "URI=spiffe://bank.example/ns/other,Subject=\"CN=a,O=b\";URI=spiffe://bank.example/ns/payments/sa/api",
            None,
        ),
        // What the client wrote itself stands before what the sidecar adds.
        (
            XFCC,
            "URI=spiffe://bank.example/ns/payments/sa/api,URI=spiffe://bank.example/ns/other/sa/x",
            denied.clone(),
        ),
        (
            XFCC,
            "Subject=\"x,URI=spiffe://bank.example/ns/payments/sa/api\";URI=spiffe://bank.example/ns/other/sa/x",
            denied,
        ),
        (XFCC, "garbage", unknown.clone()),
        // Not a configured header.
        (L5D, NAME, unknown),
    ] {
        let answered = list(&gateway, header, value).await;
        match expected {
            None => assert!(answered.is_ok(), "{value}: {answered:?}"),
            Some(expected) => assert_eq!(refusal(&answered), expected, "{value}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linkerds_header_names_the_workload() {
    let (gateway, _directory) = gateway("127.0.0.1", "l5d-client-id").await;
    assert!(list(&gateway, L5D, NAME).await.is_ok());
    let refused = refusal(&list(&gateway, L5D, "web.other.serviceaccount").await);
    assert_eq!(refused.0, Code::PermissionDenied);
}
