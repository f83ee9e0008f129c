//! What takes more than one call: request ids, pages, masks against a provider with a memory.

mod turns;

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    it::{
        scenarios::{calls, verifik_persons::john},
        stage::Stage,
        table::{Call, Setting},
    },
    kit::{
        provider::{Does, Gate},
        wire::{bytes, json as answer, says},
    },
};

/// Within which a request leaves, on the busiest machine, and a caller then gives up.
const SOON: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

fn numbered(number: usize) -> Value {
    let mut person = john();
    person["id"] = json!(format!("person_{number}"));
    person
}

async fn call(stage: &Stage, call: &Call) -> Value {
    let answered = stage.gateway.client.call(call.method, &call.request).await;
    answered.unwrap_or_else(|status| panic!("{} {}: {status:?}", call.method, call.request))
}

/// Waits until so many calls are in flight in the gateway.
async fn in_flight(stage: &Stage, calls: usize) {
    let line = format!("idgw_calls_in_flight {calls}");
    let reached = async {
        while !stage.gateway.admin("/metrics").await.1.contains(&line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached.unwrap_or_else(|_| panic!("no {calls} calls in flight"));
}

fn with_id(id: &str) -> Call {
    calls::create().with("request_id", json!(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_id_gets_the_first_answer_and_creates_nothing() {
    let stage = Stage::set(Setting::Usual).await;
    let create = with_id("018f8c5e-7b1a-7c3d-9e2f-000000000001");
    stage.provider.next(says(201, numbered(1)));
    let first = call(&stage, &create).await;
    assert_eq!(first["person"]["id"], "person_1");
    assert_eq!(call(&stage, &create).await, first);
    // The same id, written in upper case.
    let upper = with_id("018F8C5E-7B1A-7C3D-9E2F-000000000001");
    assert_eq!(call(&stage, &upper).await, first);
    assert_eq!(stage.provider.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_while_the_first_is_running_waits_for_its_answer() {
    let stage = Stage::set(Setting::Usual).await;
    let create = with_id("018f8c5e-7b1a-7c3d-9e2f-000000000002");
    let gate = Gate::default();
    let held = Does::Holds(gate.clone(), answer(201, numbered(2)));
    stage.provider.next([held]);
    let calls = futures_util::future::join_all([(); 5].map(|()| call(&stage, &create)));
    let opens = async {
        in_flight(&stage, 5).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(calls, opens);
    assert!(
        answers
            .iter()
            .all(|answer| answer["person"]["id"] == "person_2")
    );
    assert_eq!(stage.provider.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_are_dropped_before_their_time_are_counted() {
    let capacity = ("IDGW_PERSONS__REQUEST_ID_CAPACITY", "1".to_owned());
    let stage = Stage::with(Setting::Usual, vec![capacity]).await;
    for (number, dropped) in [(1, 0), (2, 1), (3, 2)] {
        stage.provider.next(says(201, numbered(number)));
        let id = format!("018f8c5e-7b1a-7c3d-9e2f-00000000010{number}");
        call(&stage, &with_id(&id)).await;
        let (_, page) = stage.gateway.admin("/metrics").await;
        let mut series = page
            .lines()
            .filter(|line| line.starts_with("idgw_request_ids_dropped_total"));
        let counted = series.next().and_then(|line| line.rsplit(' ').next());
        assert_eq!(counted.unwrap_or("0"), dropped.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_frees_its_request_id() {
    let stage = Stage::set(Setting::Usual).await;
    let create = with_id("018f8c5e-7b1a-7c3d-9e2f-000000000003");
    let client = &stage.gateway.client;
    for refusal in [
        answer(
            409,
            json!({"code": "MissingParameter", "message": "missing email\n"}),
        ),
        answer(409, json!({"message": "409:duplicated_person\n"})),
        answer(403, json!({"code": "insufficient_credits"})),
        bytes(503, ""),
    ] {
        stage.provider.next([Does::Answers(refusal)]);
        client
            .call(create.method, &create.request)
            .await
            .unwrap_err();
        assert_eq!(stage.provider.received().len(), 1);
    }
    // Also for another content: the refused one left nothing behind.
    let mut other = create;
    other.request["person"]["email"] = json!("another@example.com");
    stage.provider.next(says(201, numbered(3)));
    assert_eq!(call(&stage, &other).await["person"]["id"], "person_3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_runs_to_its_end_although_its_caller_gave_up() {
    let stage = Stage::set(Setting::Usual).await;
    let create = with_id("018f8c5e-7b1a-7c3d-9e2f-000000000004");
    let gate = Gate::default();
    let held = Does::Holds(gate.clone(), answer(201, numbered(4)));
    stage.provider.next([held]);
    let client = &stage.gateway.client;
    let gave_up = client
        .call_within(create.method, &create.request, Some(SOON))
        .await;
    assert_eq!(gave_up.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(stage.provider.received().len(), 1);
    gate.open();
    assert_eq!(call(&stage, &create).await["person"]["id"], "person_4");
    assert_eq!(stage.provider.received().len(), 1);
}

/// Follows the pages; `provider` answers a page and a limit. A list goes on where its last record is.
async fn all_pages(
    stage: &Stage,
    page_size: usize,
    provider: impl Fn(usize, usize) -> Value,
) -> Vec<String> {
    let mut ids = Vec::new();
    let mut token = String::new();
    let mut at = 1;
    for _ in 1..20 {
        let pages = [at, at + 1].map(|page| Does::Answers(answer(200, provider(page, page_size))));
        stage.provider.next(pages);
        let list = calls::list()
            .with("page_size", json!(page_size))
            .with("page_token", json!(token));
        let answer = call(stage, &list).await;
        let received = stage.provider.received();
        for (page, received) in (at..).zip(&received) {
            let target = format!("/v2/persons?page={page}&limit={page_size}");
            assert_eq!(received.target, target);
        }
        assert!(received.len() <= if token.is_empty() { 1 } else { 2 });
        let persons = answer["persons"].as_array().cloned().unwrap_or_default();
        assert!(persons.len() <= page_size, "{answer}");
        let id = |person: &Value| person["id"].as_str().unwrap().to_owned();
        ids.extend(persons.iter().map(id));
        at += received.len() - 1;
        match answer["next_page_token"].as_str() {
            Some(next) => token = next.to_owned(),
            None => return ids,
        }
    }
    panic!("the pages do not end: {ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_whole_over_a_provider_that_caps_its_pages_and_does_not_say_so() {
    let stage = Stage::set(Setting::Usual).await;
    let all: Vec<Value> = (0..250).map(numbered).collect();
    let capped = |page: usize, limit: usize| {
        let limit = limit.min(100);
        let start = ((page - 1) * limit).min(250);
        json!(all[start..(start + limit).min(250)])
    };
    let wrapped = |page, limit| json!({"data": {"docs": capped(page, limit)}});
    for page_size in [200, 1000] {
        assert_eq!(all_pages(&stage, page_size, capped).await.len(), 250);
        assert_eq!(all_pages(&stage, page_size, wrapped).await.len(), 250);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_ends_where_the_provider_finds_no_such_page() {
    let stage = Stage::set(Setting::Usual).await;
    let list = calls::list().with("page_size", json!(2));
    let page = || Does::Answers(answer(200, json!([numbered(1), numbered(2)])));
    stage.provider.next([page()]);
    let first = call(&stage, &list).await;
    let missing = json!({"error": "Person not found", "message": "PERSON_NOT_FOUND"});
    stage
        .provider
        .next([page(), Does::Answers(answer(404, missing))]);
    let list = list.with("page_token", first["next_page_token"].clone());
    assert_eq!(call(&stage, &list).await, json!({}));
}

/// Newest first, and a page's worth of new records between two pages: the second page is the first again.
#[tokio::test(flavor = "multi_thread")]
async fn new_records_between_two_pages_hide_nobody_and_repeat_nobody() {
    let stage = Stage::set(Setting::Usual).await;
    let page = |from: usize| {
        let page: Vec<Value> = (from..from + 50).rev().map(numbered).collect();
        Does::Answers(answer(200, json!(page)))
    };
    let list = calls::list().with("page_size", json!(50));
    stage.provider.next([page(80)]);
    let first = call(&stage, &list).await;
    let list = list.with("page_token", first["next_page_token"].clone());
    stage.provider.next([page(130), page(80), page(30)]);
    let second = call(&stage, &list).await;
    assert_eq!(second["persons"][0]["id"], "person_79");
    assert_eq!(second["persons"].as_array().unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_whole_whether_the_provider_pages_or_not() {
    let stage = Stage::set(Setting::Usual).await;
    for count in [0, 1, 2, 3, 4, 6, 7] {
        let all: Vec<Value> = (0..count).map(numbered).collect();
        let ids: Vec<String> = (0..count)
            .map(|number| format!("person_{number}"))
            .collect();
        let page_of = |page: usize, limit: usize| -> Vec<Value> {
            all.iter()
                .skip((page - 1) * limit)
                .take(limit)
                .cloned()
                .collect()
        };
        let pages = |limit: usize| count.div_ceil(limit);
        let bare = |page, limit| json!(page_of(page, limit));
        let wrapped = |page, limit| {
            json!({"data": page_of(page, limit),
                "pagination": {"page": page, "limit": limit, "total": count, "pages": pages(limit)}})
        };
        let everything = |_, _| json!(all);
        let everything_wrapped = |_, _| json!({"data": all});
        assert_eq!(all_pages(&stage, 3, bare).await, ids, "pages, {count}");
        assert_eq!(
            all_pages(&stage, 3, wrapped).await,
            ids,
            "pages and says so, {count}"
        );
        assert_eq!(
            all_pages(&stage, 3, everything).await,
            ids,
            "ignores paging, {count}"
        );
        assert_eq!(
            all_pages(&stage, 3, everything_wrapped).await,
            ids,
            "ignores paging, wrapped, {count}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_bound_to_its_query_and_survives_a_restart() {
    let stage = Stage::set(Setting::Usual).await;
    let list = calls::list().with("page_size", json!(2));
    let page = || says(200, json!([numbered(1), numbered(2)]));
    stage.provider.next(page());
    let token = call(&stage, &list).await["next_page_token"].clone();
    let text = token.as_str().unwrap();
    assert!(!text.contains("person") && !text.contains('='), "{text}");

    let goes_on = list.with("page_token", token.clone());
    for odd in [
        goes_on.clone().with("page_size", json!(3)),
        goes_on.clone().with("page_size", json!(0)),
        goes_on.clone().with("view", json!("PERSON_VIEW_FULL")),
        goes_on
            .clone()
            .with("page_token", json!(format!("{text}A"))),
        goes_on
            .clone()
            .with("page_token", json!(text.to_lowercase())),
    ] {
        stage.provider.next([]);
        let refused = stage
            .gateway
            .client
            .call(odd.method, &odd.request)
            .await
            .unwrap_err();
        assert_eq!(
            refused.code(),
            tonic::Code::InvalidArgument,
            "{}",
            odd.request
        );
        assert!(stage.provider.received().is_empty());
    }
    // BASIC is what no view means.
    let named = goes_on.clone().with("view", json!("PERSON_VIEW_BASIC"));
    let restarted = Stage::set(Setting::Usual).await;
    for (stage, call_) in [(&stage, &named), (&restarted, &goes_on)] {
        let last = json!({"data": [numbered(3)], "pagination": {"pages": 2}});
        let last = Does::Answers(answer(200, last));
        stage.provider.next(page().into_iter().chain([last]));
        let answer = call(stage, call_).await;
        assert_eq!(answer["persons"][0]["id"], "person_3");
        assert_eq!(answer["next_page_token"], Value::Null);
        assert_eq!(
            stage.provider.received()[1].target,
            "/v2/persons?page=2&limit=2"
        );
    }
}

/// Two providers with a memory: one whose PUT merges, one whose PUT replaces.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_right_over_a_put_that_merges_and_over_one_that_replaces() {
    let stage = Stage::set(Setting::Usual).await;
    let update = calls::call(
        calls::UPDATE,
        json!({
            "person": {"id": "person_123456789", "email": "john.new@example.com"},
            "update_mask": "email,phoneNumber",
        }),
    );
    let mut kept = Vec::new();
    for merges in [true, false] {
        let mut changed = john();
        changed["email"] = json!("john.new@example.com");
        changed["phone"] = Value::Null;
        stage.provider.next([
            Does::Answers(answer(200, john())),
            Does::Answers(answer(200, changed)),
        ]);
        call(&stage, &update).await;
        let written = stage.provider.received()[1].json();
        // What the provider owns stays its own, however it takes the rest.
        let owned = ["verificationStatus", "createdAt", "updatedAt"];
        let mut record = john();
        let fields = record.as_object_mut().unwrap();
        fields.retain(|name, _| merges || owned.contains(&name.as_str()));
        for (name, value) in written.as_object().unwrap() {
            record[name] = value.clone();
        }
        stage.provider.next(says(200, record));
        let full = calls::get().with("view", json!("PERSON_VIEW_FULL"));
        kept.push(call(&stage, &full).await["person"].clone());
    }
    assert_eq!(
        kept[0]["verification_status"],
        "VERIFICATION_STATUS_VERIFIED"
    );
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0]["email"], "john.new@example.com");
    assert_eq!(kept[0]["phone_number"], Value::Null);
    assert_eq!(kept[0]["given_name"], "John");
    assert_eq!(kept[0]["biometric_data"]["face_image"], "/9j/4AAQSkZJRg==");
    assert_eq!(kept[0]["create_time"], "2024-01-15T10:30:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_images_go_up_and_come_down_whole() {
    let stage = Stage::set(Setting::Usual).await;
    // 6 MiB of bytes are 8 MiB of base64: within 8 MiB of request and 16 MiB of answer.
    let image = crate::kit::wire::base64(&vec![0xa5; 6 << 20]);
    let mut create = calls::create();
    create.request["person"]["biometric_data"] = json!({"face_image": image});
    stage.provider.next(says(201, john()));
    call(&stage, &create).await;
    assert!(stage.provider.received()[0].json()["biometricData"]["faceImage"] == image);

    let mut person = john();
    person["biometricData"]["faceImage"] = json!(image);
    stage.provider.next(says(200, person));
    let full = calls::get().with("view", json!("PERSON_VIEW_FULL"));
    assert!(call(&stage, &full).await["person"]["biometric_data"]["face_image"] == image);
}
