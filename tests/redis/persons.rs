//! Changes of one person at several replicas: one at a time.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    routing::get,
};
use identity_gateway::proto::person::v1::{DeletePersonRequest, Person, UpdatePersonRequest};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::creates::connected;
use crate::kit::{
    redis_server::{Redis, redis},
    replica::*,
};

type Record = Arc<Mutex<Value>>;

/// How many requests the provider has now, and the most that it had at once.
type AtOnce = Arc<Mutex<(u32, u32)>>;

/// A provider with a memory, that takes a while and whose PUT replaces.
async fn remembering() -> (SocketAddr, Record, AtOnce) {
    const WHILE: Duration = Duration::from_millis(15);
    let record = Arc::new(Mutex::new(
        json!({"id": "person_1", "firstName": GIVEN_NAME}),
    ));
    let read = async |State(record): State<Record>| {
        let read = record.lock().unwrap().clone();
        sleep(WHILE).await;
        Json(read)
    };
    let write = async |State(record): State<Record>, Json(written): Json<Value>| {
        sleep(WHILE).await;
        *record.lock().unwrap() = written.clone();
        Json(written)
    };
    let delete = async || {
        sleep(WHILE).await;
        "{}"
    };
    let at_once = AtOnce::default();
    let count = async |State(at_once): State<AtOnce>, request: Request, next: Next| {
        {
            let (now, most) = &mut *at_once.lock().unwrap();
            *now += 1;
            *most = (*most).max(*now);
        }
        let answer = next.run(request).await;
        at_once.lock().unwrap().0 -= 1;
        answer
    };
    let create = async || Json(json!({"id": "person_2", "firstName": GIVEN_NAME}));
    let routes = Router::new()
        .route("/v2/persons", axum::routing::post(create))
        .route("/v2/persons/{id}", get(read).put(write).delete(delete))
        .layer(middleware::from_fn_with_state(Arc::clone(&at_once), count))
        .with_state(Arc::clone(&record));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, record, at_once)
}

async fn replica(address: SocketAddr, redis: &Redis) -> Gateway {
    let (unused, shared) = (Provider::start().await, redis.shared());
    Gateway::with(&unused, |settings| {
        shared(settings);
        let url = format!("http://{address}");
        settings.providers.verifik.base_url = url.parse().unwrap();
    })
    .await
}

async fn update(gateway: &Gateway, change: impl FnOnce(&mut Person)) -> Result<(), Status> {
    let mut person = Person {
        id: "person_1".to_owned(),
        ..Person::default()
    };
    change(&mut person);
    let request = UpdatePersonRequest {
        person: Some(person),
        update_mask: None,
    };
    gateway
        .persons
        .clone()
        .update_person(request)
        .await
        .map(drop)
}

#[tokio::test]
async fn updates_of_one_person_at_two_replicas_lose_nothing() {
    let Some(redis) = redis().await else { return };
    let (address, record, _) = remembering().await;
    let one = replica(address, &redis).await;
    let two = replica(address, &redis).await;
    connected(&[&one, &two]).await;
    let before = redis.dump_at_rest().await.len();
    for pair in 0..10 {
        let (email, phone) = (format!("{pair}@example.com"), format!("+12345{pair}"));
        let (first, second) = tokio::join!(
            update(&one, |person| person.email = Some(email.clone())),
            update(&two, |person| person.phone_number = Some(phone.clone())),
        );
        first.unwrap();
        second.unwrap();
        let record = record.lock().unwrap().clone();
        assert_eq!(
            (&record["email"], &record["phone"]),
            (&json!(email), &json!(phone))
        );
    }
    // The leases are given back.
    redis.holds(before).await;
}

async fn delete(gateway: &Gateway) -> Result<(), Status> {
    let request = DeletePersonRequest {
        id: "person_1".to_owned(),
    };
    let mut persons = gateway.persons.clone();
    persons.delete_person(request).await.map(drop)
}

#[tokio::test]
async fn deletions_take_their_turn_with_all_changes_at_all_replicas() {
    let Some(redis) = redis().await else { return };
    let (address, _, at_once) = remembering().await;
    let one = replica(address, &redis).await;
    let two = replica(address, &redis).await;
    connected(&[&one, &two]).await;
    let before = redis.dump_at_rest().await.len();
    let renamed = || {
        update(&one, |person| {
            person.email = Some("a@example.com".to_owned())
        })
    };
    let all = tokio::join!(delete(&one), delete(&two), renamed(), delete(&two));
    assert!(matches!(all, (Ok(()), Ok(()), Ok(()), Ok(()))), "{all:?}");
    assert_eq!(*at_once.lock().unwrap(), (0, 1));
    redis.holds(before).await;
}

#[tokio::test]
async fn while_redis_is_down_no_person_is_changed() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let (address, record, _) = remembering().await;
    let gateway = replica(address, &redis).await;
    connected(&[&gateway]).await;
    let before = record.lock().unwrap().clone();
    redis.kill();
    for refused in [
        update(&gateway, |person| {
            person.email = Some("a@example.com".to_owned())
        })
        .await,
        delete(&gateway).await,
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "PERSON_LOCK_UNAVAILABLE");
        assert_eq!(info.metadata["billing"], "not_billed");
        assert!(refused.get_details_retry_info().is_some());
    }
    assert_eq!(*record.lock().unwrap(), before);
}
