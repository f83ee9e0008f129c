//! Why Redis did not do something: in the caller's status, the log and the metrics, and never in Redis's own words.

use std::time::Duration;

use identity_gateway::{config::Settings, sharing::settings::Mode};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::creates::{connected, create};
use crate::kit::{
    gateway,
    process::text,
    redis_server::{KEY, Redis, free_port, redis, shared},
    replica::*,
};

/// The cause in the status of a create, once there is this one; a gateway that has just started says `connecting`.
async fn says(gateway: &Gateway, cause: &str) {
    let last = std::sync::Mutex::new(None);
    let waited = tokio::time::timeout(Duration::from_secs(15), async {
        loop {
            let id = Uuid::now_v7().to_string();
            let found = match create(gateway, &id, GIVEN_NAME).await {
                Ok(_) => None,
                Err(status) => {
                    let info = status.get_details_error_info().unwrap();
                    assert_eq!(info.reason, "REQUEST_ID_UNAVAILABLE");
                    info.metadata.get("cause").cloned()
                }
            };
            if found.as_deref() == Some(cause) {
                return;
            }
            *last.lock().unwrap() = found;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if waited.await.is_err() {
        panic!("expected {cause}, not {:?}", last.lock().unwrap());
    }
}

#[tokio::test]
async fn a_server_that_refuses_says_why() {
    for (words, cause) in [
        ("CONFIG SET maxmemory 1", "oom"),
        ("ACL SETUSER default -set", "noperm"),
        ("CONFIG SET min-replicas-to-write 1", "noreplicas"),
        ("REPLICAOF 127.0.0.1 1", "readonly"),
    ] {
        let Some(redis) = redis().await else { return };
        let provider = Provider::start().await;
        let gateway = Gateway::with(&provider, redis.shared()).await;
        connected(&[&gateway]).await;
        redis.says::<()>(words).await;
        says(&gateway, cause).await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_is_another_one_says_why() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let port = redis.port;
    let plain = format!("redis://127.0.0.1:{port}");
    for (url, mode, cause) in [
        (
            format!("redis://127.0.0.1:{}", free_port()),
            Mode::Single,
            "refused",
        ),
        (
            format!("redis://127.0.0.1:{}", free_port()),
            Mode::Cluster,
            "refused",
        ),
        (
            format!("redis://127.0.0.1:{}", free_port()),
            Mode::Sentinel,
            "refused",
        ),
        ("redis://redis.invalid".to_owned(), Mode::Single, "dns"),
        ("redis://redis.invalid".to_owned(), Mode::Cluster, "dns"),
        (
            format!("redis://nobody:canary@127.0.0.1:{port}"),
            Mode::Single,
            "wrongpass",
        ),
        (
            format!("redis://nobody:canary@127.0.0.1:{port}"),
            Mode::Cluster,
            "wrongpass",
        ),
        (
            format!("rediss://127.0.0.1:{port}"),
            Mode::Single,
            "timeout",
        ),
        (plain.clone(), Mode::Cluster, "not_a_cluster"),
        (plain.clone(), Mode::Sentinel, "wrong_kind"),
    ] {
        let with = shared(url.clone());
        let gateway = Gateway::with(&provider, |settings: &mut Settings| {
            with(settings);
            settings.cache.mode = mode;
            settings.cache.sentinel_master = Some("mymaster".to_owned());
        });
        eprintln!("{url} {mode:?}");
        says(&gateway.await, cause).await;
    }
    redis.says::<()>("CONFIG SET requirepass canary").await;
    says(&Gateway::with(&provider, shared(plain)).await, "noauth").await;
    assert_eq!(provider.requests(), 0);
}

#[tokio::test]
async fn a_server_that_is_silent_says_timeout() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, redis.shared()).await;
    connected(&[&gateway]).await;
    redis.freeze();
    says(&gateway, "timeout").await;
    redis.thaw();
}

#[tokio::test]
async fn the_log_and_the_metrics_say_the_cause_and_no_word_of_redis() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let url = format!("redis://nobody:canary@127.0.0.1:{}", redis.port);
    let base = format!("http://{}", provider.address);
    let gateway = gateway::Gateway::serve([
        ("IDGW_CACHE__URL", &*url),
        ("IDGW_CACHE__KEY", KEY),
        ("IDGW_PROVIDERS__VERIFIK__BASE_URL", &base),
        ("IDGW_PROVIDERS__VERIFIK__TOKEN", "secret"),
    ])
    .await;
    let line = gateway
        .log
        .line(0, "shared cache unreachable")
        .await
        .unwrap();
    assert_eq!(text(&line, "cause"), "wrongpass");
    gateway
        .metric_becomes("idgw_cache_connected", "", |value| value == 0.0)
        .await;
    let of_cause = r#"idgw_cache_failure="wrongpass""#;
    gateway
        .metric_becomes("idgw_cache_failures_total", of_cause, |value| value > 0.0)
        .await;
    redis
        .says::<()>("ACL SETUSER nobody on >canary ~* +@all")
        .await;
    gateway.log.line(0, "shared cache available").await.unwrap();
    gateway
        .metric_becomes("idgw_cache_connected", "", |value| value == 1.0)
        .await;
    // One that has no persistence says so; another process in its place is another server.
    let line = gateway.log.line(
        0,
        "shared cache is not persisted: a restart of Redis forgets request ids",
    );
    assert!(line.await.is_some());
    let port = redis.port;
    drop(redis);
    let again = Redis::on(port);
    again.is_up().await;
    again
        .says::<()>("ACL SETUSER nobody on >canary ~* +@all")
        .await;
    gateway
        .metric_becomes("idgw_cache_primary_changes_total", "", |value| value == 1.0)
        .await;
    gateway
        .metric_becomes("idgw_cache_connected", "", |value| value == 1.0)
        .await;
    // What it has lost while it was running is counted.
    provider.hold();
    let mut persons = {
        let url = format!("http://{}", gateway.grpc);
        identity_gateway::proto::person::v1::person_service_client::PersonServiceClient::connect(
            url,
        )
        .await
        .unwrap()
    };
    let before = provider.requests();
    let request = identity_gateway::proto::person::v1::CreatePersonRequest {
        person: Some(identity_gateway::proto::person::v1::Person {
            given_name: Some(GIVEN_NAME.to_owned()),
            ..Default::default()
        }),
        request_id: Uuid::now_v7().to_string(),
    };
    let created = tokio::spawn(async move { persons.create_person(request).await });
    provider.has_requests(before + 1).await;
    again.says::<()>("FLUSHALL").await;
    provider.release();
    assert!(created.await.unwrap().is_ok());
    gateway
        .metric_becomes("idgw_request_ids_lost_total", "", |value| value == 1.0)
        .await;
    assert!(!gateway.log.text().contains("canary"));
}
