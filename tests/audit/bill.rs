//! Whoever adds up the log, or the audit, gets the bill: a mix of calls against the sandbox's ledger.

use std::time::Duration;

use identity_gateway::proto::{
    identity::v1::{CheckCurpRequest, Source},
    person::v1::{CreatePersonRequest, DeletePersonRequest, Person, UpdatePersonRequest},
};
use serde_json::Value;
use tonic::{Code, Request};

use crate::{
    audit::{FOUND, SLOW, curp, of_event, program::Place},
    kit::eventually,
};

const PRICE: f64 = 0.35;
/// Of bad data, which is free by the provider's document.
const FREE: &str = "DATA900101HDFSND07";
/// Not in the registry.
const UNKNOWN: &str = "NOEX900101HDFSND08";

/// What the lines or records say of the cost.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    cost: f64,
    /// Of these nobody knows.
    unknown: usize,
}

fn sum<'a>(lines: impl IntoIterator<Item = &'a Value>) -> Sum {
    let mut sum = Sum::default();
    for line in lines {
        match line["cost"].as_f64() {
            Some(cost) => {
                assert_eq!(cost > 0.0, line["currency"] == "USD", "{line}");
                sum.cost += cost;
            }
            None if line["billing"] == "unknown" && line["attempts"] != 0 => sum.unknown += 1,
            None => {}
        }
    }
    sum
}

fn keeps(number: &str) -> CheckCurpRequest {
    CheckCurpRequest {
        max_age: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..curp(number)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_costs_of_log_and_audit_add_up_to_the_bill() {
    let place = Place::new().await;
    let program = place
        .start(&[
            ("IDGW_PROVIDERS__ACCUAUTH__PRICE", "0.35 USD"),
            ("IDGW_PROVIDERS__VERIFIK__PRICE", "0.35 USD"),
        ])
        .await;
    let identity = program.identity();
    let mut persons = program.persons();
    let source = |request: Request<CheckCurpRequest>| {
        let mut identity = identity.clone();
        async move {
            let answered = identity.check_curp(request).await?;
            Ok::<_, tonic::Status>(answered.into_inner().verification.unwrap().source())
        }
    };
    // Charged, then kept.
    assert_eq!(
        source(Request::new(keeps(FOUND))).await.unwrap(),
        Source::Provider
    );
    for _ in 0..3 {
        assert_eq!(
            source(Request::new(keeps(FOUND))).await.unwrap(),
            Source::Cache
        );
    }
    // One of several at the same moment.
    let together = (0..4).map(|_| source(Request::new(curp(SLOW))));
    let together = futures_util::future::join_all(together).await;
    let coalesced = together
        .iter()
        .filter(|one| matches!(one, Ok(Source::Coalesced)));
    assert_eq!(coalesced.count(), 3, "{together:?}");
    // A caller that goes without its answer, and comes back for it.
    let mut hasty = Request::new(curp(SLOW));
    hasty.set_timeout(Duration::from_secs(1));
    let left = program.untimed().await.check_curp(hasty).await;
    assert_eq!(left.unwrap_err().code(), Code::DeadlineExceeded);
    program.wait_for("\"late result\"").await;
    assert_eq!(
        source(Request::new(curp(SLOW))).await.unwrap(),
        Source::Recovered
    );
    // The same `request_id` again.
    let again = CheckCurpRequest {
        request_id: "018f4b52-7f7e-7c3c-9a52-2f1d6a0e4b11".to_owned(),
        ..curp(FOUND)
    };
    assert_eq!(
        source(Request::new(again.clone())).await.unwrap(),
        Source::Provider
    );
    assert_eq!(
        source(Request::new(again)).await.unwrap(),
        Source::Recovered
    );
    // Free, and refused.
    let _ = source(Request::new(curp(UNKNOWN))).await;
    assert!(source(Request::new(curp(FREE))).await.is_err());
    assert!(source(Request::new(curp("nonsense"))).await.is_err());
    let known = place.ledger().await["accuauth"]["billed"].as_u64().unwrap();
    // Broken off: the sandbox has charged for it, and nobody here can know.
    assert!(
        source(Request::new(curp("ROTO900101HDFSND07")))
            .await
            .is_err()
    );
    // Person records, of whose price Verifik's document says nothing.
    let person = Person {
        given_name: Some("Ada".to_owned()),
        ..Person::default()
    };
    let create = CreatePersonRequest {
        person: Some(person.clone()),
        request_id: "018f4b52-7f7e-7c3c-9a52-2f1d6a0e4b12".to_owned(),
    };
    let created = persons.create_person(create.clone()).await.unwrap();
    let repeated = persons.create_person(create).await.unwrap();
    for (head, what) in [(&created, "the first"), (&repeated, "its repeat")] {
        let metadata = head.metadata();
        assert_eq!(metadata.get("idgw-billing").unwrap(), "unknown", "{what}");
        assert!(metadata.contains_key("idgw-call-id"), "{what}");
    }
    let id = created
        .metadata()
        .get("idgw-call-id")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let created = created.into_inner().person.unwrap();
    let updated = persons
        .update_person(UpdatePersonRequest {
            person: Some(Person {
                id: created.id.clone(),
                email: Some("ada@example.com".to_owned()),
                ..Person::default()
            }),
            update_mask: None,
        })
        .await
        .unwrap();
    assert_eq!(updated.metadata().get("idgw-billing").unwrap(), "unknown");
    let deleted = persons
        .delete_person(DeletePersonRequest { id: created.id })
        .await
        .unwrap();
    assert_eq!(deleted.metadata().get("idgw-billing").unwrap(), "unknown");

    let ledger = place.ledger().await;
    let count = |provider: &str, what: &str| ledger[provider][what].as_u64().unwrap();
    assert_eq!((count("accuauth", "billed"), known), (6, 5), "{ledger}");
    let bill = PRICE * f64::from(u32::try_from(known).unwrap());
    let is_about_a_call =
        |line: &&Value| ["call", "late result"].contains(&line["message"].as_str().unwrap_or(""));
    // The last lines come a moment after the answers.
    let lines = || {
        let log = program.output();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect::<Vec<Value>>()
    };
    let deleted = |line: &Value| line["rpc"] == "idgw.person.v1.PersonService/DeletePerson";
    eventually(|| lines().iter().any(deleted)).await;
    let lines = lines();
    let log = sum(lines.iter().filter(is_about_a_call));
    assert!(
        (log.cost - bill).abs() < 1e-9,
        "{log:?} and not {bill}: {lines:#?}"
    );
    let own = lines
        .iter()
        .find(|line| line["call"] == id.as_str())
        .unwrap();
    assert_eq!(
        (&own["billing"], &own["source"]),
        (&"unknown".into(), &"provider".into())
    );
    program.terminate();
    let records = place.records();
    let ends = ["result", "late_result"]
        .map(|event| of_event(&records, event))
        .concat();
    let audit = sum(ends.iter().copied());
    assert!(
        (audit.cost - bill).abs() < 1e-9,
        "{audit:?} and not {bill}: {records:#?}"
    );
    // What is not known is said to be: three writes of persons, what was broken off, and the hasty call, for which a late
    // result has the cost.
    assert_eq!((log.unknown, audit.unknown), (5, 5), "{lines:#?}");
    for record in &ends {
        if record["source"] != "provider" {
            assert_eq!(record["cost"].as_f64().unwrap_or_default(), 0.0, "{record}");
        }
    }
}
