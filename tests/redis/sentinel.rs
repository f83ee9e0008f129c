//! Servers under Sentinel: the primary is found, and found again after a failover.

use uuid::Uuid;

use super::creates::{connected, create};
use crate::kit::{eventually_in, redis_cluster::watched, replica::*};

#[tokio::test]
async fn a_request_id_is_known_after_a_failover_and_nothing_is_sent_while_there_is_no_primary() {
    let Some(mut servers) = watched().await else {
        return;
    };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, servers.shared()).await;
    let two = Gateway::with(&provider, servers.shared()).await;
    connected(&[&one, &two]).await;
    let id = Uuid::now_v7().to_string();
    let first = create(&one, &id, GIVEN_NAME).await.unwrap();
    servers.primary.is_copied_to(&servers.replica).await;
    let before = provider.requests();
    servers.primary.kill();
    eventually_in(async || match create(&two, &id, GIVEN_NAME).await {
        Ok(person) => {
            assert_eq!(person, first);
            true
        }
        Err(status) => {
            assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
            false
        }
    })
    .await;
    assert_eq!(provider.requests(), before);
    let role: Vec<redis::Value> = servers.replica.says("ROLE").await;
    assert_eq!(
        role.first(),
        Some(&redis::Value::BulkString(b"master".to_vec()))
    );
    // The one that ran it goes on with the new one, too.
    eventually_in(async || {
        let new = Uuid::now_v7().to_string();
        create(&one, &new, GIVEN_NAME).await.is_ok()
    })
    .await;
    assert_eq!(provider.requests(), before + 1);
}

#[tokio::test]
async fn a_primary_that_is_made_a_replica_is_left_for_the_new_one() {
    let Some(servers) = watched().await else {
        return;
    };
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, servers.shared()).await;
    connected(&[&gateway]).await;
    let id = Uuid::now_v7().to_string();
    let first = create(&gateway, &id, GIVEN_NAME).await.unwrap();
    servers.primary.is_copied_to(&servers.replica).await;
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", servers.port)).unwrap();
    let sentinel = client.get_multiplexed_async_connection().await.unwrap();
    // Refused until the Sentinel has seen that the replica is good (NOGOODSLAVE).
    eventually_in(async || {
        let mut failover = redis::cmd("SENTINEL");
        let failover = failover.arg("FAILOVER").arg("mymaster");
        let mut sentinel = sentinel.clone();
        failover.query_async::<()>(&mut sentinel).await.is_ok()
    })
    .await;
    eventually_in(async || {
        let role: Vec<redis::Value> = servers.replica.says("ROLE").await;
        role.first() == Some(&redis::Value::BulkString(b"master".to_vec()))
    })
    .await;
    let before = provider.requests();
    eventually_in(async || {
        create(&gateway, &id, GIVEN_NAME)
            .await
            .is_ok_and(|again| again == first)
    })
    .await;
    eventually_in(async || {
        let new = Uuid::now_v7().to_string();
        create(&gateway, &new, GIVEN_NAME).await.is_ok()
    })
    .await;
    assert!(provider.requests() > before);
}
