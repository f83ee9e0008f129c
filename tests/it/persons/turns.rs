//! Changes of one person: one at a time, and finished before the next.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SOON, call, in_flight};
use crate::{
    it::{
        scenarios::{calls, verifik_persons::john},
        stage::Stage,
        table::{Call, Setting},
    },
    kit::{
        provider::{Does, Gate},
        wire::json as answer,
    },
};

/// Within which a call would ask the provider that has nothing to wait for.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A provider with a memory, whose PUT replaces, and which takes a while.
async fn remembering() -> (
    std::net::SocketAddr,
    std::sync::Arc<std::sync::Mutex<Value>>,
) {
    use axum::{Json, extract::State, routing::get};
    let record = std::sync::Arc::new(std::sync::Mutex::new(john()));
    type Kept = State<std::sync::Arc<std::sync::Mutex<Value>>>;
    let read = async |State(record): Kept| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let record = record.lock().unwrap().clone();
        Json(record)
    };
    let write = async |State(record): Kept, Json(written): Json<Value>| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut record = record.lock().unwrap();
        for (name, value) in written.as_object().unwrap() {
            record[name] = value.clone();
        }
        Json(record.clone())
    };
    let routes = axum::Router::new()
        .route("/v2/persons/{id}", get(read).put(write))
        .with_state(std::sync::Arc::clone(&record));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updates_of_one_person_at_once_are_both_done_or_one_is_told_that_it_is_not() {
    let (address, record) = remembering().await;
    let gateway = crate::kit::gateway::Gateway::serve([
        (
            "IDGW_PROVIDERS__VERIFIK__BASE_URL",
            format!("http://{address}"),
        ),
        (
            "IDGW_PROVIDERS__VERIFIK__TOKEN",
            "verifik-token-for-tests".to_owned(),
        ),
    ])
    .await;
    let update = async |field: &str, to: &str| {
        let request = json!({"person": {"id": "person_123456789", field: to}});
        gateway.client.call(calls::UPDATE, &request).await
    };
    for pair in 0..10 {
        let (email, phone) = (format!("{pair}@example.com"), format!("+12345{pair}"));
        let (one, other) = tokio::join!(update("email", &email), update("phone_number", &phone));
        assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        let record = record.lock().unwrap().clone();
        assert_eq!(
            (&record["email"], &record["phone"]),
            (&json!(email), &json!(phone))
        );
    }
    // The provider's own change between the read and the write is not turned back, and not hidden.
    let (failed, answer) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            record.lock().unwrap()["verificationStatus"] = json!("failed");
        },
        update("email", "last@example.com"),
    );
    let () = failed;
    let record = record.lock().unwrap().clone();
    assert_eq!(record["verificationStatus"], "failed");
    let refused = answer.is_err_and(|status| status.code() == tonic::Code::Aborted);
    assert!(refused || record["email"] == "last@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_has_begun_is_finished_before_the_next_though_its_caller_gave_up() {
    let stage = Stage::set(Setting::Usual).await;
    let with_email = |email: &str| {
        let mut person = john();
        person["email"] = json!(email);
        person
    };
    let gate = Gate::default();
    stage.provider.next([
        Does::Answers(answer(200, john())),
        Does::Holds(
            gate.clone(),
            answer(200, with_email("john.new@example.com")),
        ),
        Does::Answers(answer(200, with_email("john.new@example.com"))),
        Does::Answers(answer(200, with_email("another@example.com"))),
    ]);
    let (update, client) = (calls::update(), &stage.gateway.client);
    let gave_up = client
        .call_within(update.method, &update.request, Some(SOON))
        .await;
    assert_eq!(gave_up.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    let request = json!({"person": {"id": "person_123456789", "email": "another@example.com"}});
    let next = calls::call(calls::UPDATE, request);
    waits_in_vain(&stage, &next, &["GET", "PUT"]).await;
    let opens = async {
        in_flight(&stage, 1).await;
        gate.open();
    };
    let (second, ()) = tokio::join!(call(&stage, &next), opens);
    assert_eq!(second["person"]["email"], "another@example.com");
}

/// The call gets no turn before its deadline passes: it is told that it cost nothing, and the provider was sent
/// only what others sent.
async fn waits_in_vain(stage: &Stage, next: &Call, sent: &[&str]) {
    let client = &stage.gateway.client;
    let late = client.call_within(next.method, &next.request, Some(AT_ONCE));
    let late = late.await.unwrap_err();
    assert_eq!(late.code(), tonic::Code::DeadlineExceeded, "{late:?}");
    let told = tonic_types::StatusExt::get_details_error_info(&late).unwrap();
    assert_eq!(told.metadata["billing"], "not_billed");
    let received = stage.provider.received();
    let methods: Vec<_> = received.iter().map(|one| one.method.as_str()).collect();
    assert_eq!(methods, sent, "it did not wait for the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_its_turn_with_updates_and_other_deletions_of_the_person() {
    let stage = Stage::set(Setting::Usual).await;
    let mut changed = john();
    changed["email"] = json!("john.new@example.com");
    // A call, what it sends, and what the provider answers.
    let delete = (calls::delete(), vec!["DELETE"], vec![json!({})]);
    let update = (calls::update(), vec!["GET", "PUT"], vec![john(), changed]);
    for (first, second) in [(&delete, &delete), (&delete, &update), (&update, &delete)] {
        let gate = Gate::default();
        let answers = first.2.iter().chain(&second.2).enumerate();
        let script = answers.map(|(number, body)| match answer(200, body.clone()) {
            last if number + 1 == first.1.len() => Does::Holds(gate.clone(), last),
            other => Does::Answers(other),
        });
        let (before, _) = stage.provider.seen();
        stage.provider.next(script);
        let waits = async {
            let has_all = |(now, _)| now == before + first.1.len();
            assert!(stage.provider.until(has_all).await);
            waits_in_vain(&stage, &second.0, &first.1).await;
            gate.open();
        };
        tokio::join!(call(&stage, &first.0), waits);
        call(&stage, &second.0).await;
        let all = first.1.len() + second.1.len();
        assert_eq!(stage.provider.received().len(), all);
    }
}
