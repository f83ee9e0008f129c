//! Keys, key sets and the policy file change under load, and no call fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    access::rig::{LIST, Rig, line, refusal, rule},
    kit::{
        client::Client,
        gateway::Gateway,
        issuer::{AUDIENCE, ISSUER, Jwks, Signer, key_set},
    },
};

const CALLERS: usize = 8;

/// Calls without a pause, each with the credential of the moment.
struct Load {
    calls: JoinSet<()>,
    made: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    credential: watch::Sender<String>,
}

impl Load {
    async fn start(gateway: &Gateway, credential: String) -> Self {
        let (sender, credential) = watch::channel(credential);
        let load = Self {
            calls: JoinSet::new(),
            made: Arc::default(),
            stop: Arc::default(),
            credential: sender,
        };
        let mut load = load;
        for _ in 0..CALLERS {
            let client = Client::connect(gateway.grpc).await;
            let (made, stop) = (Arc::clone(&load.made), Arc::clone(&load.stop));
            let credential = credential.clone();
            load.calls.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let bearer = format!("Bearer {}", *credential.borrow());
                    let metadata = [("authorization", bearer.as_str())];
                    let answered = client.call_as(LIST, &json!({}), &metadata).await;
                    answered.expect("no call fails");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        load.goes_on().await;
        load
    }

    /// Waits until every caller has made another call.
    async fn goes_on(&self) {
        let until = self.made.load(Ordering::Relaxed) + 4 * CALLERS;
        while self.made.load(Ordering::Relaxed) < until && !self.calls.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(mut self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.calls.join_next().await {
            ended.unwrap();
        }
        assert!(self.made.load(Ordering::Relaxed) >= 4 * CALLERS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_is_rotated_without_a_failed_call() {
    let (old, new) = (Signer::es256("old"), Signer::rs256("new"));
    let jwks = Jwks::start(key_set(&[&old])).await;
    let directory = TempDir::new().unwrap();
    let policy = directory.path().join("policy.toml");
    std::fs::write(
        &policy,
        rule("alice", "persons = 'all'\nrpcs = ['person.list']"),
    )
    .unwrap();
    let url = jwks.url();
    let gateway = Gateway::sandbox([
        ("IDGW_AUTH__MODE", "jwt"),
        ("IDGW_AUTH__JWT__ISSUER", ISSUER),
        ("IDGW_AUTH__JWT__AUDIENCE", AUDIENCE),
        ("IDGW_AUTH__JWT__JWKS_URL", &url),
        ("IDGW_AUTH__JWT__JWKS_REFRESH", "1s"),
        ("IDGW_AUTH__JWT__JWKS_COOLDOWN", "100ms"),
        ("IDGW_AUTH__POLICY_FILE", policy.to_str().unwrap()),
    ]);
    let gateway = gateway.await;
    let try_with = async |token: String| {
        let bearer = format!("Bearer {token}");
        let metadata = [("authorization", bearer.as_str())];
        gateway.client.call_as(LIST, &json!({}), &metadata).await
    };
    let load = Load::start(&gateway, old.token("alice", "")).await;
    // The issuer publishes the new key, then signs with it, then withdraws the old one.
    jwks.answers(200, &key_set(&[&old, &new]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    load.credential.send_replace(new.token("alice", ""));
    load.goes_on().await;
    let asked = jwks.asked();
    jwks.answers(200, &key_set(&[&new]));
    while jwks.asked() < asked + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.goes_on().await;
    let withdrawn = try_with(old.token("alice", "")).await;
    assert_eq!(refusal(&withdrawn).1, "UNAUTHENTICATED");
    // The issuer is gone: known keys go on, and what cannot be judged is not the caller's fault.
    jwks.answers(503, "");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    load.goes_on().await;
    let unknown = try_with(Signer::es256("unheard of").token("alice", "")).await;
    assert_eq!(refusal(&unknown).1, "AUTH_UNAVAILABLE");
    load.stop().await;
    assert!(
        gateway
            .log
            .line(0, "reload rejected, keeping the previous version")
            .await
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn preshared_keys_and_the_policy_are_rotated_without_a_failed_call() {
    let policy = rule("one", "persons = 'all'\nrpcs = ['person.list']");
    let rig = Rig::start(&policy, &["one"], &[]).await;
    let (old, new) = (
        crate::access::rig::key("one"),
        "another preshared key, also for tests".to_owned(),
    );
    let load = Load::start(&rig.gateway, old.clone()).await;
    let try_with = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let metadata = [("authorization", bearer.as_str())];
        rig.gateway
            .client
            .call_as(LIST, &json!({}), &metadata)
            .await
    };
    let until = async |key: &str, good: bool| {
        for _ in 0..500 {
            if try_with(key).await.is_ok() == good {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the keys are not read again");
    };
    let keys = rig.path("keys");
    std::fs::write(&keys, line("one", &old) + &line("one", &new)).unwrap();
    until(&new, true).await;
    load.credential.send_replace(new.clone());
    load.goes_on().await;
    std::fs::write(&keys, line("one", &new)).unwrap();
    until(&old, false).await;
    // Broken files change nothing, and are said to be broken.
    let mark = rig.gateway.log.mark();
    std::fs::write(&keys, "broken").unwrap();
    std::fs::write(
        rig.path("policy.toml"),
        policy.replace("person.list", "person.lists"),
    )
    .unwrap();
    let line = rig
        .gateway
        .log
        .line(mark, "reload rejected, keeping the previous version")
        .await;
    assert_eq!(line.unwrap()["level"], "WARN");
    load.goes_on().await;
    std::fs::write(&keys, crate::access::rig::line("one", &new)).unwrap();
    // A policy that takes the RPC away is heard of, too.
    let other = rule("one", "rpcs = ['person.read']");
    load.stop().await;
    std::fs::write(rig.path("policy.toml"), other).unwrap();
    until(&new, false).await;
    assert_eq!(refusal(&try_with(&new).await).1, "METHOD_NOT_ALLOWED");
    let (_, metrics) = rig.gateway.admin("/metrics").await;
    for series in [
        "idgw_reloads_total{idgw_file=\"auth.policy_file\",idgw_reload_result=\"kept\"",
        "idgw_reloads_total{idgw_file=\"auth.policy_file\",idgw_reload_result=\"taken\"",
        "idgw_reloads_total{idgw_file=\"auth.keys.file\",idgw_reload_result=\"taken\"",
    ] {
        assert!(
            metrics.lines().any(|line| line.starts_with(series)),
            "{series}\n{metrics}"
        );
    }
}
