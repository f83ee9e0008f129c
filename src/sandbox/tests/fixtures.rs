//! A team's own people and troubles: what the file says is what callers get.

use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::sandbox::{check_fixtures, fixtures::Book};

const FILE: &str = r#"
seed = 7

[[lookup]]
rpc = "CheckCurp"
id = "GODE561231MDFRRL09"
record = { nombre = "ELENA", apellidoPaterno = "GODOY", datosDocProbatorio = { numActa = "7" } }

[[lookup]]
rpc = "idgw.identity.v1.IdentityService/CheckCurp"
id = "GODE561231MDFRRL17"
answers = ["TIME900101HDFSND03", "not_found", "found"]

[[lookup]]
rpc = "VerifyPeForeignerId"
id = "111222333"
record = { dateOfBirth = "02/03/1984", firstName = "ROSA" }

[[lookup]]
rpc = "VerifyPeDni"
id = "44556677"
answers = ["99000500", "found"]

[[lookup]]
rpc = "ScrubKenyaId"
id = "22334455"
record = { firstName = "Wanjiru", gender = "Female" }

[[person]]
id = "person_of_ours"
firstName = "Ada"
"#;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn started(file: &Path) -> Running {
    start_with(Options {
        fixtures: Some(file.to_owned()),
        ..Options::default()
    })
    .await
}

async fn curp(sandbox: &Running, curp: &str) -> (u16, Value) {
    send(sandbox.mexico(&json!({ "id_number": curp }))).await
}

fn kenya(sandbox: &Running, id: &str) -> RequestBuilder {
    sandbox.kenya(&json!({ "id": id, "idType": "national-id", "isSubjectConsent": true }))
}

#[tokio::test]
async fn a_record_is_laid_over_the_sample_at_every_company() {
    let file = file(FILE);
    let sandbox = started(file.path()).await;
    let (status, body) = curp(&sandbox, "GODE561231MDFRRL09").await;
    assert_eq!((status, &body["result_code"]), (200, &json!("0")));
    let result = &body["result"];
    assert_eq!(
        (&result["nombre"], &result["curp"]),
        (&json!("ELENA"), &json!("GODE561231MDFRRL09"))
    );
    assert_eq!(result["datosDocProbatorio"]["numActa"], "7");
    assert!(
        result["datosDocProbatorio"]["anioReg"].is_string(),
        "the sample's stays: {result}"
    );
    let (status, body) = send(sandbox.peru("111222333", "02/03/1984")).await;
    assert_eq!((status, &body["data"]["firstName"]), (200, &json!("ROSA")));
    let (status, _) = send(sandbox.peru("111222333", "03/02/1984")).await;
    assert_eq!(status, 404, "number and birth date belong together");
    let (_, body) = send(kenya(&sandbox, "22334455")).await;
    assert_eq!(
        (&body["data"]["status"], &body["data"]["firstName"]),
        (&json!("found"), &json!("Wanjiru"))
    );
    let (_, body) = send(sandbox.verifik(Method::GET, "/v2/persons/person_of_ours")).await;
    assert_eq!(body["firstName"], "Ada");
}

#[tokio::test]
async fn a_sequence_is_answered_in_its_order_and_its_last_answer_stays() {
    let file = file(FILE);
    let sandbox = started(file.path()).await;
    let mut said = Vec::new();
    for _ in 0..4 {
        let (status, body) = curp(&sandbox, "GODE561231MDFRRL17").await;
        said.push((status, body["result_code"].clone()));
    }
    let (timeout, none, found) = ((513, Value::Null), (200, json!("1")), (200, json!("0")));
    assert_eq!(said, [timeout, none, found.clone(), found]);
    let dni = "/v3/pe/cedula?documentType=DNI&documentNumber=44556677";
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(send(sandbox.verifik(Method::GET, dni)).await.0);
    }
    assert_eq!(said, [500, 200, 200]);
}

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_broken_one_changes_nothing() {
    let file = file(FILE);
    let sandbox = started(file.path()).await;
    let become_true = async |id: &'static str, code: &str| {
        while curp(&sandbox, id).await.1["result_code"] != code {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    std::fs::write(
        file.path(),
        "[[lookup]]\nrpc = 'CheckCurp'\nid = 'NEWW561231MDFRRL00'",
    )
    .unwrap();
    become_true("NEWW561231MDFRRL00", "0").await;
    become_true("GODE561231MDFRRL09", "1").await;
    assert_eq!(
        sandbox
            .verifik(Method::GET, "/v2/persons/person_of_ours")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    std::fs::write(file.path(), "[[lookup]]\nrpc = 'Unknown'\nid = '1'").unwrap();
    tokio::time::sleep(super::super::LOOK * 2).await;
    become_true("NEWW561231MDFRRL00", "0").await;
}

#[tokio::test]
async fn chance_is_the_same_for_a_seed_and_near_its_rate() {
    let text =
        "seed = SEED\n[[traffic]]\nrpc = 'CheckCurp'\nrate = 0.3\nanswer = 'SERV900101HDFSND03'";
    let mut runs = Vec::new();
    for seed in ["1", "1", "2"] {
        let file = file(&text.replace("SEED", seed));
        let sandbox = started(file.path()).await;
        let mut said = Vec::new();
        for _ in 0..200 {
            said.push(curp(&sandbox, MX_CURP).await.0);
        }
        let troubled = said.iter().filter(|status| **status == 500).count();
        assert!((35..85).contains(&troubled), "{troubled} of 200");
        runs.push(said);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_delay_is_that_of_its_lookup_and_of_its_rpc() {
    let file = file(
        "[[lookup]]\nrpc = 'CheckCurp'\nid = 'GODE561231MDFRRL09'\ndelay = '300ms'\n\
         [[traffic]]\nrpc = 'CheckCurp'\ndelay = '200ms'\ndelay_at_most = '250ms'",
    );
    let sandbox = started(file.path()).await;
    let took = async |id: &'static str| {
        let begun = std::time::Instant::now();
        curp(&sandbox, id).await;
        begun.elapsed()
    };
    assert!(took("GODE561231MDFRRL09").await >= Duration::from_millis(500));
    assert!(took(MX_CURP).await >= Duration::from_millis(200));
    send(kenya(&sandbox, "1234567")).await;
    let (_, seen) = send(sandbox.request(Method::GET, "/_sandbox/requests")).await;
    let delays: Vec<u64> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["delay_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(delays[0], 0);
    assert!(
        (200..=250).contains(&delays[1]) && (500..=550).contains(&delays[2]),
        "{delays:?}"
    );
}

#[tokio::test]
async fn the_last_requests_are_shown_without_what_they_were_about() {
    let sandbox = start().await;
    send(sandbox.verifik(Method::GET, "/v2/persons/person_canary")).await;
    let _ = sandbox.peru("CUTCONNECT", "16/08/1993").send().await;
    send(sandbox.verifik(Method::GET, "/v2/persons/")).await;
    let _ = sandbox.verifik(Method::GET, "/v2/canary").send().await;
    let (_, seen) = send(sandbox.request(Method::GET, "/_sandbox/requests")).await;
    let paths: Vec<_> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(one, "path"))
        .collect();
    assert_eq!(
        paths,
        [
            "a path that the provider does not have",
            "/v2/persons",
            "/v2/pe/foreigner-id/ce",
            "/v2/persons/{id}"
        ]
    );
    assert_eq!(text(&seen[2], "fault"), "connection closed, no response");
    let page = sandbox
        .request(Method::GET, "/_sandbox")
        .send()
        .await
        .unwrap();
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let page = String::from_utf8(page.bytes().await.unwrap().into()).unwrap();
    assert!(page.contains("<td>verifik<td>4<td>"), "{page}");
    for canary in ["person_canary", "/v2/canary", "CUTCONNECT", "1993"] {
        assert!(
            !page.contains(canary) && !seen.to_string().contains(canary),
            "{canary}"
        );
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[test]
fn whatever_is_wrong_is_named_at_once_and_never_repeated() {
    let lookup = "[[lookup]]\nrpc = 'CheckCurp'\n";
    for (wrong, named) in [
        (
            "[[lookup]]\nrpc = 'canary'\nid = '1'".to_owned(),
            "lookup 1: rpc: expected one of VerifyPeForeignerId, VerifyPeDni, ScrubKenyaId, CheckCurp",
        ),
        (format!("{lookup}id = ''"), "lookup 1: id: is required"),
        (
            format!("{lookup}id = 'canary'\n{lookup}id = 'canary'"),
            "lookup 2: id: is that of an earlier entry",
        ),
        (
            format!("{lookup}id = '1'\nanswers = ['canary']"),
            "lookup 1: answers: expected \"found\"",
        ),
        (
            format!("{lookup}id = '1'\nrecord = {{ a = {{ b = [1984-02-03] }} }}"),
            "lookup 1: record: a date",
        ),
        (
            format!("{lookup}id = '1'\ndelay = '11m'"),
            "lookup 1: delay: is longer",
        ),
        (
            format!("{lookup}id = '1'\ndelay = 'canary'"),
            "line 4: is not as",
        ),
        (
            format!("{lookup}id = '1'\nidd = 'canary'"),
            "line 4: is not as",
        ),
        (
            "[[traffic]]\nrpc = 'CheckCurp'\nrate = 0.1".to_owned(),
            "traffic 1: answer: is required",
        ),
        (
            "[[traffic]]\nrpc = 'CheckCurp'\nanswer = 'SERV900101HDFSND03'".to_owned(),
            "traffic 1: rate: is required",
        ),
        (
            "[[traffic]]\nrpc = 'CheckCurp'\nanswer = 'SERV900101HDFSND03'\nrate = nan".to_owned(),
            "traffic 1: rate: expected",
        ),
        (
            "[[traffic]]\nrpc = 'CheckCurp'\ndelay = '2s'\ndelay_at_most = '1s'".to_owned(),
            "traffic 1: delay_at_most: is shorter",
        ),
        (
            "[[person]]\nfirstName = 'canary'".to_owned(),
            "person 1: id: is required",
        ),
        (
            "[[lookup]]\nrpc = 'x'\nid = '1'\n[[person]]\nid = ''".to_owned(),
            "; person 1: id: is required",
        ),
    ] {
        let problem = Book::read(&wrong).map(drop).unwrap_err();
        assert!(problem.contains(named), "{wrong}: {problem}");
        assert!(!problem.contains("canary"), "{problem}");
        assert_eq!(check_fixtures(file(&wrong).path()), Err(problem));
    }
}

/// Whoever adds a lookup lists it for the fixtures too.
#[test]
fn fixtures_know_every_lookup_of_the_table() {
    for row in table()
        .iter()
        .filter(|row| row.method.contains("IdentityService"))
    {
        let text = format!("[[lookup]]\nrpc = '{}'\nid = '1'", row.method);
        assert_eq!(Book::read(&text).map(drop), Ok(()), "{}", row.method);
    }
}

#[tokio::test]
async fn the_documents_example_is_answered_as_it_says() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sandbox.md");
    let document = std::fs::read_to_string(document).unwrap();
    let example = document.split("```toml\n").nth(1).unwrap();
    let file = file(example.split("```").next().unwrap());
    let sandbox = started(file.path()).await;
    let (_, body) = curp(&sandbox, "GORE561231MDFDZL09").await;
    assert_eq!(body["result"]["nombre"], "ELENA");
    let first = send(kenya(&sandbox, "22334455")).await;
    assert_eq!(first.0, 503);
    let (_, list) = send(sandbox.verifik(Method::GET, "/v2/persons")).await;
    assert!(list.to_string().contains("person_of_ours"), "{list}");
}
