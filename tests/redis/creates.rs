//! A `request_id` at all replicas: one create, one answer.

use std::time::Duration;

use identity_gateway::proto::person::v1::{CreatePersonRequest, Person};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::kit::{redis_server::redis, replica::*};

pub const REQUEST_ID: &str = "0193c9a2-7c11-7e4b-9d0a-5f2f6f0f4b11";

pub async fn create(gateway: &Gateway, request_id: &str, name: &str) -> Result<Person, Status> {
    let person = Person {
        given_name: Some(name.to_owned()),
        family_name: Some("ARCE".to_owned()),
        ..Person::default()
    };
    let request = CreatePersonRequest {
        person: Some(person),
        request_id: request_id.to_owned(),
    };
    let created = gateway.persons.clone().create_person(request).await?;
    Ok(created.into_inner().person.unwrap())
}

/// Comes back when each gateway has reached Redis: a create is refused until then.
pub async fn connected(gateways: &[&Gateway]) {
    for gateway in gateways {
        let mut left = 100;
        while create(gateway, &fresh_id(), GIVEN_NAME).await.is_err() {
            left -= 1;
            assert!(left > 0, "it does not reach Redis");
        }
    }
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_repeat_at_another_replica_gets_the_first_answer_also_while_it_runs() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one, &two]).await;
    let before = provider.requests();
    provider.hold();
    let (first, second, third, reuse) = tokio::join!(
        create(&one, REQUEST_ID, GIVEN_NAME),
        async {
            provider.has_requests(before + 1).await;
            create(&two, REQUEST_ID, GIVEN_NAME).await
        },
        async {
            provider.has_requests(before + 1).await;
            create(&two, REQUEST_ID, GIVEN_NAME).await
        },
        async {
            provider.has_requests(before + 1).await;
            let reuse = create(&two, REQUEST_ID, "OTHER").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            provider.release();
            reuse
        },
    );
    let first = first.unwrap();
    assert_eq!(second.unwrap().id, first.id);
    assert_eq!(third.unwrap().id, first.id);
    let reuse = reuse.unwrap_err();
    assert_eq!(reuse.code(), Code::InvalidArgument);
    assert_eq!(reason(&reuse), "REQUEST_ID_REUSED");
    assert_eq!(provider.requests(), before + 1);

    // Afterwards too, also at a replica that has just come.
    let three = Gateway::with(&provider, redis.shared()).await;
    assert_eq!(create(&three, REQUEST_ID, GIVEN_NAME).await.unwrap(), first);
    for gateway in [&one, &two, &three] {
        let reuse = create(gateway, REQUEST_ID, "OTHER").await.unwrap_err();
        assert_eq!(reason(&reuse), "REQUEST_ID_REUSED");
    }
    assert_eq!(provider.requests(), before + 1);
}

#[tokio::test]
async fn after_a_refused_create_the_id_is_free_at_all_replicas() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one, &two]).await;
    let before = provider.requests();
    provider.refuses_persons(true);
    for gateway in [&one, &two] {
        let refused = create(gateway, REQUEST_ID, GIVEN_NAME).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
    }
    provider.refuses_persons(false);
    // Another content, too: the first was none.
    let created = create(&two, REQUEST_ID, "OTHER").await.unwrap();
    assert_eq!(create(&one, REQUEST_ID, "OTHER").await.unwrap(), created);
    assert_eq!(provider.requests(), before + 3);
}

#[tokio::test]
async fn an_owner_that_crashed_leaves_an_unknown_outcome_and_never_a_second_create() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let settings = redis.shared();
    let doomed = provider.clone();
    // A process of its own, as far as tasks go.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let crashed = runtime.spawn(async move {
        let one = Gateway::with(&doomed, |it| {
            settings(it);
            it.providers.verifik.timeout = "2s".parse().unwrap();
            it.providers.verifik.max_attempts = 1;
        });
        let one = one.await;
        connected(&[&one]).await;
        doomed.hold();
        create(&one, REQUEST_ID, GIVEN_NAME).await
    });
    eventually(|| provider.bodies().len() >= 2).await;
    runtime.shutdown_background();
    assert!(crashed.await.is_err());
    provider.release();
    let sent = provider.requests();

    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&two]).await;
    for _ in 0..2 {
        let repeat = create(&two, REQUEST_ID, GIVEN_NAME).await.unwrap_err();
        assert_eq!(repeat.code(), Code::Unknown);
        let info = repeat.get_details_error_info().unwrap();
        assert_eq!(info.reason, "PROVIDER_OUTCOME_UNKNOWN");
        assert_eq!(info.metadata["billing"], "unknown");
    }
    assert_eq!(
        provider.requests(),
        sent + 1,
        "the one that shows the connection"
    );
}

#[tokio::test]
async fn while_redis_is_down_a_create_with_an_id_is_not_sent_and_one_without_is() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, redis.shared()).await;
    connected(&[&gateway]).await;
    let before = provider.requests();
    redis.kill();
    let refused = create(&gateway, REQUEST_ID, GIVEN_NAME).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "REQUEST_ID_UNAVAILABLE");
    assert_eq!(info.metadata["billing"], "not_billed");
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!(provider.requests(), before);
    create(&gateway, "", GIVEN_NAME).await.unwrap();
    assert_eq!(provider.requests(), before + 1);

    let another = crate::kit::redis_server::Redis::on(redis.port);
    another.is_up().await;
    connected(&[&gateway]).await;
    create(&gateway, REQUEST_ID, GIVEN_NAME).await.unwrap();
}
