//! TLS to Redis, both ways, and credentials that are replaced without a restart.

use std::{fs, time::Duration};

use identity_gateway::{config::Settings, domain::redaction::Secret};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::creates::{connected, create};
use crate::kit::{
    certs::{Ca, Mounted},
    eventually_in,
    redis_server::{Redis, free_port, is_wanted, redis, shared},
    replica::*,
};

/// A Redis that speaks TLS alone, with a certificate for this name, and wants one of the same CA if it says so.
struct Tls {
    _server: Redis,
    port: u16,
    files: Mounted,
}

async fn over_tls(ca: &Ca, wants: &str) -> Tls {
    let (port, plain) = (free_port(), free_port());
    let (own, of_gateway) = (
        ca.issue(&["localhost", "127.0.0.1"]),
        ca.issue(&["gateway.test"]),
    );
    let other = Ca::new("other");
    let foreign = other.issue(&["gateway.test"]);
    let (ca, other) = (ca.pem(), other.pem());
    let files = Mounted::new(&[
        ("ca.pem", &ca),
        ("other.pem", &other),
        ("own.pem", &own.certificate),
        ("own.key", &own.key),
        ("gateway.pem", &of_gateway.certificate),
        ("gateway.key", &of_gateway.key),
        ("foreign.pem", &foreign.certificate),
        ("foreign.key", &foreign.key),
    ]);
    let server = Redis::with(
        plain,
        &[
            "--port",
            &plain.to_string(),
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &files.text("own.pem"),
            "--tls-key-file",
            &files.text("own.key"),
            "--tls-ca-cert-file",
            &files.text("ca.pem"),
            "--tls-auth-clients",
            wants,
        ],
    );
    server.is_up().await;
    Tls {
        _server: server,
        port,
        files,
    }
}

impl Tls {
    async fn gateway(
        &self,
        provider: &Provider,
        host: &str,
        change: impl FnOnce(&mut Settings, &Mounted),
    ) -> Gateway {
        let with = shared(format!("rediss://{host}:{}", self.port));
        Gateway::with(provider, |settings| {
            with(settings);
            change(settings, &self.files);
        })
        .await
    }
}

/// The cause of what a gateway refuses, or that it has created one; it is given time to connect.
async fn becomes(gateway: &Gateway, expected: &str) {
    let last = std::sync::Mutex::new(String::new());
    let waited = tokio::time::timeout(Duration::from_secs(15), async {
        loop {
            let found = match create(gateway, &Uuid::now_v7().to_string(), GIVEN_NAME).await {
                Ok(_) => "created".to_owned(),
                Err(status) => {
                    let info = status.get_details_error_info().unwrap();
                    info.metadata.get("cause").cloned().unwrap_or_default()
                }
            };
            if found == expected {
                return;
            }
            *last.lock().unwrap() = found;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if waited.await.is_err() {
        panic!("expected {expected}, not {}", last.lock().unwrap());
    }
}

#[tokio::test]
async fn a_server_over_tls_is_verified_against_the_ca_of_its_own_and_by_its_name() {
    if !is_wanted() {
        return;
    }
    let redis = over_tls(&Ca::new("ca"), "no").await;
    let provider = Provider::start().await;
    let trusts = |name: &'static str| {
        move |settings: &mut Settings, files: &Mounted| {
            settings.cache.ca_file = Some(files.path(name));
        }
    };
    for (host, ca, expected) in [
        ("localhost", "ca.pem", "created"),
        ("127.0.0.1", "ca.pem", "created"),
        ("localhost", "other.pem", "certificate_not_trusted"),
        ("127.0.0.2", "ca.pem", "refused"),
    ] {
        let gateway = redis.gateway(&provider, host, trusts(ca)).await;
        becomes(&gateway, expected).await;
    }
    let gateway = redis.gateway(&provider, "localhost", |_, _| {}).await;
    becomes(&gateway, "certificate_not_trusted").await;
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it_or_the_cause_says_so() {
    if !is_wanted() {
        return;
    }
    let redis = over_tls(&Ca::new("ca"), "yes").await;
    let provider = Provider::start().await;
    let shows = |name: Option<&'static str>| {
        move |settings: &mut Settings, files: &Mounted| {
            settings.cache.ca_file = Some(files.path("ca.pem"));
            settings.cache.client_certificate_file =
                name.map(|name| files.path(&format!("{name}.pem")));
            settings.cache.client_key_file = name.map(|name| files.path(&format!("{name}.key")));
        }
    };
    for (name, expected) in [
        (Some("gateway"), "created"),
        (None, "client_certificate_required"),
        (Some("foreign"), "client_certificate_refused"),
    ] {
        let gateway = redis.gateway(&provider, "localhost", shows(name)).await;
        becomes(&gateway, expected).await;
    }
}

#[tokio::test]
async fn a_ca_file_that_changes_is_read_again() {
    if !is_wanted() {
        return;
    }
    let redis = over_tls(&Ca::new("ca"), "no").await;
    let provider = Provider::start().await;
    let (good, bad) = (
        fs::read_to_string(redis.files.path("ca.pem")).unwrap(),
        fs::read_to_string(redis.files.path("other.pem")).unwrap(),
    );
    let own = Mounted::new(&[("ca.pem", &bad)]);
    let gateway = redis
        .gateway(&provider, "localhost", |settings, _| {
            settings.cache.ca_file = Some(own.path("ca.pem"));
        })
        .await;
    becomes(&gateway, "certificate_not_trusted").await;
    own.swap(&[("ca.pem", &good)]);
    becomes(&gateway, "created").await;
}

#[tokio::test]
async fn a_password_is_replaced_without_a_restart_and_without_a_call_that_fails() {
    let Some(redis) = redis().await else { return };
    redis
        .says::<()>("ACL SETUSER gateway on >first ~idgw:* +@all")
        .await;
    let provider = Provider::start().await;
    let files = Mounted::new(&[("user", "gateway\n"), ("password", "first\n")]);
    let with = redis.shared();
    let gateway = Gateway::with(&provider, |settings| {
        with(settings);
        settings.cache.username = Some(Secret::new("gateway"));
        settings.cache.username_file = Some(files.path("user"));
        settings.cache.password = Some(Secret::new("first"));
        settings.cache.password_file = Some(files.path("password"));
        settings.server.reload_interval = "100ms".parse().unwrap();
    })
    .await;
    connected(&[&gateway]).await;
    let clients = async || -> Vec<String> {
        let all: String = redis.says("CLIENT LIST").await;
        let own = all.lines().filter(|line| line.contains("user=gateway"));
        own.map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let before = clients().await;
    assert_eq!(before.len(), 1);
    // Both are good for a while, as whoever rotates them does it.
    redis.says::<()>("ACL SETUSER gateway >second").await;
    files.swap(&[("user", "gateway"), ("password", "second")]);
    eventually_in(async || {
        // Meanwhile no call fails.
        create(&gateway, &Uuid::now_v7().to_string(), GIVEN_NAME)
            .await
            .unwrap();
        let now = clients().await;
        now.len() == 1 && now != before
    })
    .await;
    redis.says::<()>("ACL SETUSER gateway <first").await;
    redis.says::<i64>("CLIENT KILL TYPE normal").await;
    becomes(&gateway, "created").await;
    // One that was replaced without notice: the server says WRONGPASS until the file has it.
    redis
        .says::<()>("ACL SETUSER gateway resetpass >third")
        .await;
    redis.says::<i64>("CLIENT KILL TYPE normal").await;
    becomes(&gateway, "wrongpass").await;
    files.swap(&[("user", "gateway"), ("password", "third")]);
    becomes(&gateway, "created").await;
}

#[tokio::test]
async fn a_url_is_read_again_from_its_file() {
    let Some(redis) = redis().await else { return };
    redis
        .says::<()>("ACL SETUSER one on >first ~idgw:* +@all")
        .await;
    redis
        .says::<()>("ACL SETUSER two on >second ~idgw:* +@all")
        .await;
    let url = |login: &str| format!("redis://{login}@127.0.0.1:{}/0", redis.port);
    let provider = Provider::start().await;
    let file = Mounted::new(&[("url", &url("one:first"))]);
    let with = redis.shared();
    let gateway = Gateway::with(&provider, |settings| {
        with(settings);
        settings.cache.url = Some(Secret::new(url("one:first")));
        settings.cache.url_file = Some(file.path("url"));
        settings.server.reload_interval = "100ms".parse().unwrap();
    })
    .await;
    connected(&[&gateway]).await;
    file.swap(&[("url", &url("two:second"))]);
    eventually_in(async || {
        redis
            .says::<String>("CLIENT LIST")
            .await
            .contains("user=two")
    })
    .await;
    redis.says::<i64>("ACL DELUSER one").await;
    becomes(&gateway, "created").await;
}
