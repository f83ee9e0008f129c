//! Plays tests/cases: small inputs from public bug reports, each with what is right.
//!
//! tests/cases/README.md says what a file may hold. What this does not know in one is an error, and so is a file that
//! it does not play.

mod told;

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::{
    it::{run::upper_snake, stage::Stage, table::Setting},
    kit::{
        companies,
        provider::{Answer, Does, Reply},
        wire,
    },
};

/// Cases that are not right yet. The test fails as well if one of them is.
const NOT_YET: &[&str] = &[];

/// More requests than the gateway may make for one call.
const MANY: usize = 12;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: String,
    request: Value,
    provider_answer: Value,
    expect: Expect,
}

/// What is right. A key that is not here is an error.
#[derive(Debug, Default, Deserialize)]
struct Expect {
    code: Option<Value>,
    reason: Option<String>,
    outcome: Option<String>,
    billing: Option<String>,
    calls: Option<usize>,
    bad: Option<Vec<String>>,
    persons: Option<usize>,
    ok: Option<bool>,
    /// Said where null is meant, too.
    #[serde(default, deserialize_with = "said")]
    birthdate: Option<Value>,
    /// `record.PATH`, and the keys of cases that are told in words.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderAnswer {
    status: u16,
    body: Value,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    ctype: Option<String>,
}

fn said<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reported_case_is_right() {
    // As it is used: it repeats what it takes for free. Each case finds the circuit closed.
    let stage = Stage::with(
        Setting::Usual,
        companies::every("MAX_ATTEMPTS", "3").collect(),
    )
    .await;
    let mut problems = Vec::new();
    let mut played = 0;
    for (name, case) in cases() {
        let found = match told::case(&name) {
            Some(told) => told.play(case).await,
            None => play(&stage, &case).await,
        };
        played += 1;
        match (found.is_empty(), NOT_YET.contains(&name.as_str())) {
            (true, true) => problems.push(format!("{name} is right now: take it off NOT_YET")),
            (false, false) => problems.push(format!("{name}: {}", found.join("; "))),
            _ => {}
        }
    }
    assert!(played > 0, "there is no case");
    for name in NOT_YET {
        assert!(cases().contains_key(*name), "there is no case {name}");
    }
    assert!(
        problems.is_empty(),
        "{} problems in {played} cases:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// The cases by the names of their files.
fn cases() -> BTreeMap<String, Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let cases = files.filter_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "README.md" {
            return None;
        }
        let name = name.strip_suffix(".json");
        let name = name.unwrap_or_else(|| panic!("{} is no case", path.display()));
        let text = std::fs::read_to_string(&path).unwrap();
        let case = serde_json::from_str(&text);
        let case = case.unwrap_or_else(|error| panic!("{name}: {error}"));
        Some((name.to_owned(), case))
    });
    cases.collect()
}

/// What is wrong with what the gateway makes of a case.
async fn play(stage: &Stage, case: &Case) -> Vec<String> {
    let Stage {
        gateway, provider, ..
    } = stage;
    provider.next(vec![provider_does(&case.provider_answer); MANY]);
    let (method, request) = call_of(&case.kind, case.request.clone());
    let answered = gateway.client.call(&method, &request).await;
    let mut problems = match &answered {
        Ok(reply) => wrong_reply(&case.expect, reply),
        Err(status) => wrong_error(&case.expect, status),
    };
    if let Some(calls) = case.expect.calls {
        differ("calls", provider.received().len(), calls, &mut problems);
    }
    problems
}

fn provider_does(answer: &Value) -> Does {
    if answer.is_null() {
        // The document's provider: it keeps what it is sent, and gives it an id.
        return Does::Replies(Reply::new(|request| {
            let mut object = request.json();
            object["id"] = json!("person_1");
            wire::json(201, object)
        }));
    }
    let answer: ProviderAnswer = serde_json::from_value(answer.clone())
        .unwrap_or_else(|error| panic!("provider_answer: {error}"));
    let text = match &answer.body {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let content_type = answer.ctype.unwrap_or("application/json".to_owned());
    let mut says: Answer = wire::bytes(answer.status, text).header("content-type", content_type);
    for (name, value) in answer.headers {
        says = says.header(Box::leak(name.into_boxed_str()), value);
    }
    Does::Answers(says)
}

/// The method's full name, and the request as proto JSON.
fn call_of(kind: &str, mut request: Value) -> (String, Value) {
    let service = match kind {
        "VerifyPeForeignerId" | "ScrubKenyaId" | "CheckCurp" => "idgw.identity.v1.IdentityService",
        _ => "idgw.person.v1.PersonService",
    };
    if let Some(id_type) = request["id_type"].as_str() {
        request["id_type"] = json!(format!("KENYA_ID_TYPE_{id_type}"));
    }
    if let Some(mask) = request["update_mask"].as_array() {
        let paths: Vec<_> = mask.iter().map(|path| path.as_str().unwrap()).collect();
        request["update_mask"] = json!(paths.join(","));
    }
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    (format!("{service}/{kind}"), request)
}

fn differ<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    wanted: T,
    problems: &mut Vec<String>,
) {
    if found != wanted {
        problems.push(format!("{what}: {found:?} instead of {wanted:?}"));
    }
}

fn wrong_reply(expect: &Expect, reply: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let Expect {
        code,
        reason,
        outcome,
        billing,
        calls: _,
        bad,
        persons,
        ok,
        birthdate,
        rest,
    } = expect;
    if let Some(code) = code.as_ref().filter(|code| !allows(code, "OK")) {
        problems.push(format!("OK instead of {code}"));
    }
    if reason.is_some() || bad.is_some() || *ok == Some(false) {
        problems.push("answered, and should not be".to_owned());
    }
    let mut same = |what: &str, found: &Value, wanted: Value| {
        differ(what, found.clone(), wanted, &mut problems);
    };
    if let Some(outcome) = outcome {
        let found = &reply["verification"]["outcome"];
        same("outcome", found, json!(outcome));
    }
    if let Some(billing) = billing {
        let wanted = json!(format!("BILLING_{}", billing.to_uppercase()));
        same("billing", &reply["verification"]["billing"], wanted);
    }
    if let Some(birthdate) = birthdate {
        let found = &reply["person"]["birthdate"];
        same("birthdate", found, birthdate.clone());
    }
    if let Some(persons) = persons {
        let found = reply["persons"].as_array().map_or(0, Vec::len);
        same("persons", &json!(found), json!(persons));
    }
    for (key, wanted) in rest {
        assert!(key.starts_with("record."), "the key {key} is not known");
        let pointer = format!("/{}", key.replace('.', "/"));
        let found = reply.pointer(&pointer).unwrap_or(&Value::Null);
        same(key, found, wanted.clone());
    }
    problems
}

fn wrong_error(expect: &Expect, status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    let Expect {
        code,
        reason,
        billing,
        bad,
        rest,
        ..
    } = expect;
    for key in rest.keys() {
        assert!(key.starts_with("record."), "the key {key} is not known");
    }
    let found = upper_snake(&format!("{:?}", status.code()));
    let wanted = code.clone().unwrap_or(json!("OK"));
    if !allows(&wanted, &found) {
        problems.push(format!("{found} instead of {wanted}: {}", status.message()));
    }
    let details = status.get_error_details();
    let info = details.error_info();
    let told = |key| info.and_then(|info| info.metadata.get(key).cloned());
    if reason.is_some() {
        let found = info.map(|info| info.reason.clone());
        differ("reason", found, reason.clone(), &mut problems);
    }
    if billing.is_some() {
        differ("billing", told("billing"), billing.clone(), &mut problems);
    }
    if let Some(bad) = bad {
        let fields = details.bad_request().map(|bad| &bad.field_violations);
        let fields = fields.into_iter().flatten().map(|field| &field.field);
        let mut fields: Vec<_> = fields.cloned().collect();
        let mut wanted = bad.clone();
        fields.sort();
        wanted.sort();
        differ("bad", fields, wanted, &mut problems);
    }
    problems
}

/// Whether a code is the one that is expected, or one of them.
fn allows(expected: &Value, code: &str) -> bool {
    match expected {
        Value::Array(codes) => codes.iter().any(|one| one == code),
        one => one == code,
    }
}
