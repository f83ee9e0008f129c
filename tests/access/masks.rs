//! What a caller may see of an answer: never more than is granted, whatever it asks for and whoever asked
//! before.

use serde_json::{Value, json};

use tonic::Code;
use tonic_types::StatusExt as _;

use crate::access::rig::{CREATE, CURP, GET, KENYA, LIST, Rig, refusal, rpcs, rule};

/// A CURP that the sandbox knows.
const FOUND: &str = "RAZR811011HVZXPB01";

async fn rig(more: &[(&str, &str)]) -> Rig {
    let policy = [
        rule("plain", "persons = 'all'\nrpcs = ['*']\nshare = 'one'"),
        rule(
            "all",
            "persons = 'all'\nrpcs = ['*']\nshare = 'one'\nclasses = ['contacts', 'bureau', 'images', 'envelope']",
        ),
        rule(
            "contacts",
            "persons = 'all'\nrpcs = ['*']\nclasses = ['contacts']",
        ),
        rule(
            "narrow",
            "rpcs = ['identity.kenya_id.scrub']\nfields = ['verification.outcome', 'record.given_name', \
             'record.inquiries']",
        ),
    ];
    Rig::start(
        &policy.concat(),
        &["plain", "all", "contacts", "narrow"],
        more,
    )
    .await
}

fn request(rpc: &str) -> Value {
    let (_, request) = rpcs().into_iter().find(|(known, _)| known == rpc).unwrap();
    request
}

/// The names of the fields that the answer's record has.
fn names(answer: &Value) -> Vec<&str> {
    let record = answer["record"].as_object().unwrap();
    record.keys().map(String::as_str).collect()
}

const CONTACTS: [&str; 4] = [
    "email",
    "home_phone_number",
    "main_address",
    "mobile_phone_number",
];
const BUREAU: [&str; 2] = ["contract_summary", "inquiries"];

#[tokio::test(flavor = "multi_thread")]
async fn contacts_and_bureau_counters_are_seen_by_those_to_whom_they_are_granted() {
    let rig = rig(&[]).await;
    let request = request(KENYA);
    let all = rig.call("all", KENYA, &request).await.unwrap();
    let seen = names(&all);
    for name in CONTACTS.iter().chain(&BUREAU) {
        assert!(
            seen.contains(name),
            "the sandbox answers without {name}: {seen:?}"
        );
    }
    for (caller, has_contacts) in [("plain", false), ("contacts", true)] {
        let answer = rig.call(caller, KENYA, &request).await.unwrap();
        let seen = names(&answer);
        assert!(seen.contains(&"given_name") && answer["verification"]["id"].is_string());
        for name in CONTACTS {
            assert_eq!(seen.contains(&name), has_contacts, "{caller}: {name}");
        }
        for name in BUREAU {
            assert!(!seen.contains(&name), "{caller}: {name}");
        }
    }
    let answer = rig.call("narrow", KENYA, &request).await.unwrap();
    assert_eq!(names(&answer), ["given_name", "inquiries"]);
    assert_eq!(answer["verification"], json!({"outcome": "OUTCOME_FOUND"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_mask_narrows_and_never_widens() {
    let rig = rig(&[]).await;
    let with = |paths: &str| {
        let mut request = request(KENYA);
        request["read_mask"] = json!(paths);
        request
    };
    for (caller, asked, expected) in [
        (
            "all",
            "record.givenName,record.email,record.inquiries",
            &["email", "given_name", "inquiries"][..],
        ),
        ("plain", "record.givenName", &["given_name"]),
        (
            "contacts",
            "record.givenName,record.email",
            &["email", "given_name"],
        ),
        ("narrow", "record", &["given_name", "inquiries"]),
    ] {
        let answer = rig.call(caller, KENYA, &with(asked)).await.unwrap();
        assert_eq!(names(&answer), expected, "{caller}");
        assert_eq!(answer["verification"], Value::Null);
    }
    for everything in ["*", "record"] {
        let answer = rig.call("plain", KENYA, &with(everything)).await.unwrap();
        assert!(!names(&answer).contains(&"email"), "{everything}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_that_names_what_its_caller_may_not_see_is_refused_before_anybody_is_asked() {
    let rig = rig(&[]).await;
    let mut request = request(KENYA);
    for (caller, asked, fields, class) in [
        (
            "plain",
            "record.givenName,record.email",
            "record.email",
            Some("contacts"),
        ),
        (
            "contacts",
            "record.email,record.inquiries",
            "record.inquiries",
            Some("bureau"),
        ),
        ("narrow", "record.familyName", "record.family_name", None),
        (
            "plain",
            "record.mainAddress.town,record.envelope",
            "record.main_address.town,record.envelope",
            Some("contacts,envelope"),
        ),
    ] {
        request["read_mask"] = json!(asked);
        let refused = rig.call(caller, KENYA, &request).await;
        assert_eq!(
            refusal(&refused),
            (Code::PermissionDenied, "FIELD_NOT_ALLOWED".to_owned())
        );
        let status = refused.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata["field"], fields);
        assert_eq!(info.metadata.get("data_class").map(String::as_str), class);
        let named = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(named.len(), fields.split(',').count());
    }
    // Nothing was sent, and nothing counted.
    let metric = |name: &'static str| rig.gateway.metric(name, "");
    assert_eq!(metric("idgw_results_total").await, 0.0);
    let refused = "idgw_rule_refused_total";
    let label = "idgw_caller=\"plain-rule\",idgw_reason=\"FIELD_NOT_ALLOWED\"";
    rig.gateway
        .metric_becomes(refused, label, |count| count == 2.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_is_named_by_its_data_class() {
    let rig = rig(&[]).await;
    let request = request(KENYA);
    let withheld = |answer: Value| answer["verification"]["withheld"].clone();
    let (contact, bureau, envelope) = (
        "DATA_CLASS_CONTACT",
        "DATA_CLASS_BUREAU",
        "DATA_CLASS_ENVELOPE",
    );
    for (caller, expected) in [
        ("plain", json!([contact, bureau, envelope])),
        ("contacts", json!([bureau, envelope])),
        ("all", Value::Null),
        // It may not see this field either.
        ("narrow", Value::Null),
    ] {
        let answer = rig.call(caller, KENYA, &request).await.unwrap();
        assert_eq!(withheld(answer), expected, "{caller}");
    }
    let document = json!({"curp": FOUND, "include_document": true});
    let without = json!({"curp": FOUND});
    let images = json!(["DATA_CLASS_IMAGE"]);
    assert_eq!(
        withheld(rig.call("plain", CURP, &document).await.unwrap()),
        images
    );
    assert_eq!(
        withheld(rig.call("plain", CURP, &without).await.unwrap()),
        Value::Null
    );
    // Where there is no record nothing was left out of it.
    let mut missing = request.clone();
    missing["id"] = json!("900001004");
    if let Ok(answer) = rig.call("plain", KENYA, &missing).await {
        assert_eq!(
            (&answer["record"], withheld(answer.clone())),
            (&Value::Null, Value::Null)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_document_is_seen_by_those_to_whom_images_are_granted() {
    let rig = rig(&[]).await;
    let request = json!({"curp": FOUND, "include_document": true});
    let all = rig.call("all", CURP, &request).await.unwrap();
    assert!(all["record"]["document"].is_string());
    let plain = rig.call("plain", CURP, &request).await.unwrap();
    assert_eq!(plain["record"]["document"], Value::Null);
    assert_eq!(plain["record"]["curp"], FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_shows_each_caller_its_own_part() {
    let rig = rig(&[]).await;
    let request = json!({"curp": FOUND, "include_document": true, "max_age": "60s"});
    let first = rig.call("all", CURP, &request).await.unwrap();
    assert!(first["record"]["document"].is_string());
    let second = rig.call("plain", CURP, &request).await.unwrap();
    assert_eq!(second["verification"]["source"], "SOURCE_CACHE");
    assert_eq!(second["record"]["document"], Value::Null);
    // And what was fetched for one who may not see it is whole for one who may.
    let mut kenya = self::request(KENYA);
    kenya["max_age"] = json!("60s");
    let first = rig.call("plain", KENYA, &kenya).await.unwrap();
    assert!(!names(&first).contains(&"email"));
    let second = rig.call("all", KENYA, &kenya).await.unwrap();
    assert_eq!(second["verification"]["source"], "SOURCE_CACHE");
    assert!(names(&second).contains(&"email"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_answer_shows_each_caller_its_own_part() {
    let rig = rig(&[("IDGW_SANDBOX__DELAY", "1s")]).await;
    let document = json!({"curp": FOUND, "include_document": true});
    let (all, plain) = tokio::join!(
        rig.call("all", CURP, &document),
        rig.call("plain", CURP, &document)
    );
    let (all, plain) = (all.unwrap(), plain.unwrap());
    let sources = [&all, &plain].map(|answer| answer["verification"]["source"].as_str().unwrap());
    assert!(sources.contains(&"SOURCE_COALESCED"), "{sources:?}");
    assert!(all["record"]["document"].is_string());
    assert_eq!(plain["record"]["document"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_persons_are_seen_by_those_to_whom_they_are_granted() {
    let rig = rig(&[]).await;
    let person = json!({"given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com",
        "biometric_data": {"face_image": "AAEC"}});
    let created = rig
        .call("all", CREATE, &json!({"person": person}))
        .await
        .unwrap();
    assert_eq!(created["person"]["email"], "ada@example.com");
    let id = created["person"]["id"].as_str().unwrap();
    let full = json!({"id": id, "view": "PERSON_VIEW_FULL"});
    for (caller, contacts, images) in [
        ("all", true, true),
        ("contacts", true, false),
        ("plain", false, false),
    ] {
        let got = rig.call(caller, GET, &full).await.unwrap();
        let list = json!({"page_size": 1000, "view": "PERSON_VIEW_FULL"});
        let page = rig.call(caller, LIST, &list).await.unwrap();
        let persons = page["persons"].as_array().unwrap();
        let listed = persons.iter().find(|person| person["id"] == id).unwrap();
        for person in [&got["person"], listed] {
            assert_eq!(person["given_name"], "Ada");
            assert_eq!(person["email"].is_string(), contacts, "{caller}: {person}");
            let image = &person["biometric_data"]["face_image"];
            assert_eq!(image.is_string(), images, "{caller}: {person}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_for_a_caller_who_may_not_see_the_images_it_asks_for() {
    let rig = rig(&[]).await;
    for number in 0..3 {
        let person = json!({"given_name": "Ada", "family_name": format!("Lovelace {number}")});
        rig.call("plain", CREATE, &json!({"person": person}))
            .await
            .unwrap();
    }
    let mut list = json!({"page_size": 1, "view": "PERSON_VIEW_FULL"});
    let first = rig.call("plain", LIST, &list).await.unwrap();
    list["page_token"] = first["next_page_token"].clone();
    assert!(list["page_token"].is_string(), "{first}");
    let second = rig.call("plain", LIST, &list).await.unwrap();
    assert_ne!(first["persons"][0]["id"], second["persons"][0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_its_callers_own() {
    let rig = rig(&[]).await;
    let request = json!({
        "person": {"given_name": "Ada", "family_name": "Lovelace"},
        "request_id": "018f4b52-7f7e-7c3c-9a52-2f1d6a0e4b11",
    });
    let mut other_content = request.clone();
    other_content["person"]["given_name"] = json!("Augusta");
    let id = |answer: Value| answer["person"]["id"].as_str().unwrap().to_owned();
    let first = id(rig.call("all", CREATE, &request).await.unwrap());
    let repeat = id(rig.call("all", CREATE, &request).await.unwrap());
    assert_eq!(first, repeat);
    let other = id(rig.call("plain", CREATE, &request).await.unwrap());
    assert_ne!(first, other);
    // Nobody finds out what ids another one has used.
    let other = rig.call("contacts", CREATE, &other_content).await;
    assert!(other.is_ok(), "{other:?}");
}
