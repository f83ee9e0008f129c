//! The cases that are told in words.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tonic_types::StatusExt as _;

use super::{Case, Expect, MANY, call_of};
use crate::{
    it::{scenarios::calls, stage::Stage, table::Setting},
    kit::{
        provider::{Does, Received, Reply},
        wire,
    },
};

/// A case that is told in words.
#[derive(Clone, Copy)]
pub enum Told {
    /// One number is refused by 429 for ten minutes; another one is asked for.
    OneNumberIsHeld,
    /// 250 persons, and at most 100 on a page.
    PagesAreCapped,
    /// The birth date stands under another name than the document's.
    BirthDateOfAnotherDialect,
}

/// The case of this name, if it is one.
pub fn case(name: &str) -> Option<Told> {
    Some(match name.split('-').next()? {
        "361" => Told::OneNumberIsHeld,
        "394" => Told::PagesAreCapped,
        "395" => Told::BirthDateOfAnotherDialect,
        _ => return None,
    })
}

impl Told {
    /// What is wrong with what the gateway makes of it.
    pub async fn play(self, case: Case) -> Vec<String> {
        let stage = Stage::set(Setting::Usual).await;
        let Expect { rest, .. } = &case.expect;
        let keys: Vec<_> = rest.keys().map(String::as_str).collect();
        match self {
            Self::OneNumberIsHeld => {
                assert_eq!(keys, ["first", "second"]);
                one_number_is_held(&stage, &case).await
            }
            Self::PagesAreCapped => {
                assert_eq!(keys, ["persons_over_all_pages"]);
                let wanted = &rest["persons_over_all_pages"];
                let mut problems = Vec::new();
                for wrap in [|page: Value| page, |page: Value| json!({"data": page})] {
                    let found = json!(all_persons(&stage, &case, wrap).await);
                    if found != *wanted {
                        problems.push(format!("{found} persons instead of {wanted}"));
                    }
                }
                problems
            }
            Self::BirthDateOfAnotherDialect => {
                assert_eq!(keys, ["put_body"]);
                birth_date_of_another_dialect(&stage, &case).await
            }
        }
    }
}

async fn one_number_is_held(stage: &Stage, case: &Case) -> Vec<String> {
    let refused = case.provider_answer["when"].as_str().unwrap().to_owned();
    let [first, second] = case.request.as_array().unwrap().as_slice() else {
        panic!("two requests were expected");
    };
    let body = case.provider_answer["body"].clone();
    let wait = case.provider_answer["headers"]["Retry-After"].clone();
    let reply = Reply::new(move |request: &Received| {
        if request.json()["id"] == json!(refused) {
            let wait = wait.as_str().unwrap().to_owned();
            return wire::json(429, body.clone()).header("retry-after", wait);
        }
        wire::json(200, crate::it::scenarios::youverify::found())
    });
    stage.provider.next(vec![Does::Replies(reply); MANY]);
    let call = async |request: &Value| {
        let (method, request) = call_of(&case.kind, request.clone());
        stage.gateway.client.call(&method, &request).await
    };
    let mut problems = Vec::new();
    match call(first).await {
        Ok(_) => problems.push("the refused number was answered".to_owned()),
        Err(status) => {
            let reason = status.get_details_error_info().map(|info| info.reason);
            if reason.as_deref() != case.expect.rest["first"].as_str() {
                problems.push(format!("first: {reason:?}"));
            }
        }
    }
    // "OUTCOME_FOUND, or held for a short capped time".
    match call(second).await {
        Ok(reply) if reply["verification"]["outcome"] == "OUTCOME_FOUND" => {}
        Ok(reply) => problems.push(format!("second: {reply}")),
        Err(status) => {
            let held = status.get_details_retry_info();
            let held = held.and_then(|info| info.retry_delay);
            if held.is_none_or(|held| held.as_secs() > 10) {
                problems.push(format!("second is held for {held:?}"));
            }
        }
    }
    problems
}

/// How many persons the pages hold, if each stands there once.
async fn all_persons(stage: &Stage, case: &Case, wrap: fn(Value) -> Value) -> usize {
    const ALL: usize = 250;
    const CAP: usize = 100;
    let reply = Reply::new(move |request| {
        let asked = |name: &str| -> usize {
            let mut pairs = request.target.split(['?', '&']);
            let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map_or(0, |value| value.parse().unwrap())
        };
        let limit = asked("limit").clamp(1, CAP);
        let from = asked("page").saturating_sub(1) * limit;
        let page = (from..ALL.min(from + limit)).map(|number| json!({"id": format!("p{number}")}));
        wire::json(200, wrap(page.collect()))
    });
    let (method, mut request) = call_of(&case.kind, case.request.clone());
    let mut ids = Vec::new();
    for _ in 0..ALL {
        stage
            .provider
            .next(vec![Does::Replies(reply.clone()); MANY]);
        let page = stage.gateway.client.call(&method, &request).await;
        let page = page.unwrap();
        let persons = page["persons"].as_array().cloned().unwrap_or_default();
        ids.extend(persons.iter().map(|person| person["id"].to_string()));
        match page.get("next_page_token") {
            Some(token) => request["page_token"] = token.clone(),
            None => break,
        }
    }
    ids.sort();
    ids.dedup();
    ids.len()
}

async fn birth_date_of_another_dialect(stage: &Stage, case: &Case) -> Vec<String> {
    // A provider that merges what it is sent into what it has.
    let kept = Arc::new(Mutex::new(case.provider_answer["body"].clone()));
    let put = Arc::new(Mutex::new(Value::Null));
    let (provider, written) = (Arc::clone(&kept), Arc::clone(&put));
    let reply = Reply::new(move |request| {
        let mut kept = provider.lock().unwrap();
        if request.method == "PUT" {
            let body = request.json();
            for (name, value) in body.as_object().unwrap() {
                kept["data"][name] = value.clone();
            }
            *written.lock().unwrap() = body;
        }
        wire::json(200, kept.clone())
    });
    stage.provider.next(vec![Does::Replies(reply); MANY]);
    let (method, request) = call_of(&case.kind, case.request.clone());
    assert_eq!(method, calls::UPDATE);
    let answered = stage.gateway.client.call(&method, &request).await;
    let mut problems = Vec::new();
    let body = put.lock().unwrap();
    if body.is_null() {
        problems.push(format!("nothing was written: {answered:?}"));
    }
    // The old date beside the new one, under whichever name.
    let old = &case.provider_answer["body"]["data"]["date_of_birth"];
    if body.get("date_of_birth") == Some(old) && body.get("dateOfBirth").is_some() {
        problems.push(format!("the old date stands beside the new one: {body}"));
    }
    // An answer that does not show the change is never OK.
    if let Ok(reply) = answered {
        let wanted = &case.request["person"]["birthdate"];
        if reply["person"]["birthdate"] != *wanted {
            problems.push(format!("OK, and the birth date is not changed: {reply}"));
        }
    }
    problems
}
