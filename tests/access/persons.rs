//! Whose person records a caller may use.

use identity_gateway::sharing::handles;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::access::rig::{CREATE, GET, LIST, Rig, refusal, rule};

const UPDATE: &str = "idgw.person.v1.PersonService/UpdatePerson";
const DELETE: &str = "idgw.person.v1.PersonService/DeletePerson";
const CLASSES: &str = "classes = ['contacts', 'images']";
const RPCS: &str = "rpcs = ['person.create', 'person.read', 'person.update', 'person.delete']";
const KEY: &str = "IDGW_PERSONS__HANDLE_KEY";
const OLD_KEYS: &str = "IDGW_PERSONS__OLD_HANDLE_KEYS";

async fn rig(more: &[(&str, &str)]) -> Rig {
    let policy = [
        rule("one", &format!("{RPCS}\n{CLASSES}")),
        rule("two", &format!("{RPCS}\n{CLASSES}\npersons = 'own'")),
        rule("friend", &format!("{RPCS}\n{CLASSES}\nowner = 'one-rule'")),
        rule("blind", &format!("{RPCS}\nowner = 'one-rule'")),
        rule(
            "office",
            &format!("rpcs = ['*']\n{CLASSES}\npersons = 'all'"),
        ),
    ];
    let callers = ["one", "two", "friend", "blind", "office"];
    Rig::start(&policy.concat(), &callers, more).await
}

fn ada() -> Value {
    json!({"person": {"given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com"}})
}

async fn create(rig: &Rig, caller: &str) -> String {
    let created = rig.call(caller, CREATE, &ada()).await.unwrap();
    created["person"]["id"].as_str().unwrap().to_owned()
}

fn uses(id: &str) -> [(&'static str, Value); 3] {
    [
        (GET, json!({"id": id})),
        (
            UPDATE,
            json!({"person": {"id": id, "phone_number": "+12345678"}}),
        ),
        (DELETE, json!({"id": id})),
    ]
}

fn missing() -> (Code, String) {
    (Code::NotFound, "PERSON_NOT_FOUND".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_its_owners_and_nobody_else_reads_changes_or_deletes_it() {
    let rig = rig(&[]).await;
    let handle = create(&rig, "one").await;
    let bare = handles::id_in(&handle).expect("a handle");
    let odd = handle.replace('~', ".");
    for id in [
        handle.as_str(),
        bare.reveal(),
        "person_123456789",
        &odd,
        "nobody",
    ] {
        for (method, request) in uses(id) {
            let refused = refusal(&rig.call("two", method, &request).await);
            assert_eq!(refused, missing(), "{method} {request}");
        }
    }
    for id in [bare.reveal(), "person_123456789"] {
        for (method, request) in uses(id) {
            let refused = refusal(&rig.call("one", method, &request).await);
            assert_eq!(refused, missing(), "{method} {request}");
        }
    }
    for id in ["", "a/b", "é", &"x".repeat(256)] {
        for (method, request) in uses(id) {
            let (code, reason) = refusal(&rig.call("one", method, &request).await);
            assert_eq!(
                (code, &*reason),
                (Code::InvalidArgument, "INVALID_FIELD"),
                "{id}"
            );
        }
    }
    // Its owner, and whom the policy names as the same one, know it by the same id.
    for caller in ["one", "friend"] {
        let got = rig.call(caller, GET, &json!({"id": handle})).await.unwrap();
        assert_eq!(got["person"]["id"], *handle);
        assert_eq!(got["person"]["email"], "ada@example.com");
        let update = json!({"person": {"id": handle, "phone_number": "+12345678"}});
        let updated = rig.call(caller, UPDATE, &update).await.unwrap();
        assert_eq!(updated["person"]["id"], *handle);
    }
    // Who may use all of them is told the provider's ids, and may use a handle too.
    for id in [handle.as_str(), bare.reveal()] {
        let got = rig.call("office", GET, &json!({"id": id})).await.unwrap();
        assert_eq!(got["person"]["id"], bare.reveal());
    }
    let list = rig
        .call("office", LIST, &json!({"page_size": 1000}))
        .await
        .unwrap();
    let mut listed = list["persons"].as_array().unwrap().iter();
    assert!(listed.any(|person| person["id"] == bare.reveal()));
    let refused = refusal(&rig.call("one", LIST, &json!({})).await);
    assert_eq!(refused.1, "METHOD_NOT_ALLOWED");
    rig.call("one", DELETE, &json!({"id": handle}))
        .await
        .unwrap();
    let refused = refusal(&rig.call("one", GET, &json!({"id": handle})).await);
    assert_eq!(refused, missing());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_not_see_it_may_not_write() {
    let rig = rig(&[]).await;
    let handle = create(&rig, "one").await;
    let full = json!({"given_name": "Ada", "email": "a@example.com", "phone_number": "+12345678",
        "biometric_data": {"face_image": "AAEC"}});
    let fields = async |method: &str, request: Value| {
        let status = rig.call("blind", method, &request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().unwrap().field_violations;
        bad.into_iter().map(|bad| bad.field).collect::<Vec<_>>()
    };
    let all = [
        "person.email",
        "person.phone_number",
        "person.biometric_data.face_image",
    ];
    assert_eq!(fields(CREATE, json!({"person": full.clone()})).await, all);
    let mut update = json!({"person": full});
    update["person"]["id"] = json!(handle);
    assert_eq!(fields(UPDATE, update.clone()).await, all);
    // Nor clear it.
    update["update_mask"] = json!("phoneNumber");
    update["person"]["phone_number"] = Value::Null;
    assert_eq!(
        fields(UPDATE, update.clone()).await,
        ["person.phone_number"]
    );
    update["update_mask"] = json!("givenName");
    rig.call("blind", UPDATE, &update).await.unwrap();
    let got = rig.call("one", GET, &json!({"id": handle})).await.unwrap();
    assert_eq!(got["person"]["email"], "ada@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_holds_at_every_replica_with_the_key_and_under_a_new_key_that_knows_the_old_one() {
    const ONE: &str = "the-first-key-of-handles-for-tests-only";
    const TWO: &str = "the-second-key-of-handles-for-tests-only";
    let handle = create(&rig(&[(KEY, ONE)]).await, "one").await;
    let both = format!("{ONE} an-older-key-of-handles-for-tests-only");
    for (more, is_known) in [
        (&[(KEY, ONE)][..], true),
        (&[(KEY, TWO)], false),
        (&[], false),
        (&[(KEY, TWO), (OLD_KEYS, ONE)], true),
        (&[(KEY, TWO), (OLD_KEYS, &both)], true),
    ] {
        // The record itself is at the first one's sandbox only.
        let other = rig(more).await;
        let refused = other
            .call("one", GET, &json!({"id": handle}))
            .await
            .unwrap_err();
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "PERSON_NOT_FOUND");
        let was_asked = info.metadata.contains_key("http_status");
        assert_eq!(was_asked, is_known, "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_key_is_warned_of_and_no_key_is_ever_shown() {
    let told = "persons.handle_key is not set";
    let warned = async |more: &[(&str, &str)]| {
        let rig = rig(more).await;
        create(&rig, "one").await;
        let log: Vec<String> = rig
            .gateway
            .log
            .since(0)
            .iter()
            .map(Value::to_string)
            .collect();
        assert!(!log.iter().any(|line| line.contains("canary")));
        log.iter().any(|line| line.contains(told))
    };
    assert!(warned(&[]).await);
    assert!(!warned(&[(KEY, "a canary of a key, of more than 32 bytes")]).await);
}
