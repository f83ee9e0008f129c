//! The published table: which request gets which answer, and what the gateway makes of it.
//!
//! It is built from the same cases that the sandbox answers by, so that it cannot say anything else.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::ledger::Provider;
use super::samples::{KE_FOUND, KE_NOT_FOUND, MX_CURP, PE_BIRTHDATE, PE_NUMBER, PERSON_ID};
use super::verifik_conditions::{CONDITIONS, Condition, ON_CREATE, ON_LIVENESS, ON_UPDATE};
use super::{accuauth_cases, persons, verifik, youverify, youverify_cases};

/// One request that the sandbox knows.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `verifik`, `youverify` or `accuauth`.
    pub provider: &'static str,
    /// The RPC, such as `idgw.identity.v1.IdentityService/CheckCurp`.
    pub method: &'static str,
    /// The request of that RPC as proto JSON, with the names of the proto files.
    pub request: &'static str,
    /// What the sandbox answers, in a few words: `403 OUT_OF_QUOTA`.
    pub answer: &'static str,
    /// What the gateway makes of it: code and outcome, or code and reason.
    pub gives: &'static str,
}

const PE: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
const KE: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";
const MX: &str = "idgw.identity.v1.IdentityService/CheckCurp";
const CREATE: &str = "idgw.person.v1.PersonService/CreatePerson";
const CREATE_WITH_LIVENESS: &str = "idgw.person.v1.PersonService/CreatePersonWithLiveness";
const GET: &str = "idgw.person.v1.PersonService/GetPerson";
const LIST: &str = "idgw.person.v1.PersonService/ListPersons";
const UPDATE: &str = "idgw.person.v1.PersonService/UpdatePerson";
const DELETE: &str = "idgw.person.v1.PersonService/DeletePerson";

const FOUND: &str = "OK OUTCOME_FOUND";
const NOT_FOUND: &str = "OK OUTCOME_NOT_FOUND";
const NO_PERSON: &str = "NOT_FOUND PERSON_NOT_FOUND";

/// The conditions that are listed for every method of PersonService. All of them work there; the
/// table would only repeat itself.
const EVERYWHERE: [&str; 4] = ["TOKENEXPIRED", "NOCREDITS", "OUTOFSERVICE", "CUTCONNECT"];

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    peru(&mut rows);
    kenya(&mut rows);
    mexico(&mut rows);
    person(&mut rows);
    rows
});

/// Every request that the sandbox knows. Rows do not depend on each other and may be repeated.
#[must_use]
pub fn table() -> &'static [Row] {
    &TABLE
}

/// [`table`] as a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| Provider | Method | Request | The sandbox answers | The gateway gives |\n\
         |---|---|---|---|---|\n",
    );
    for row in table() {
        let method = row.method.rsplit('/').next().unwrap_or(row.method);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | `{method}` | `{}` | {} | `{}` |",
            row.provider, row.request, row.answer, row.gives
        );
    }
    text
}

fn row(
    provider: Provider,
    method: &'static str,
    request: String,
    answer: &'static str,
    gives: &'static str,
) -> Row {
    Row {
        provider: provider.name(),
        method,
        // Once in the life of the process: the table is a static.
        request: request.leak(),
        answer,
        gives,
    }
}

fn peru(rows: &mut Vec<Row>) {
    let mut add = |number, birthdate, answer, gives| {
        let request = format!(r#"{{"document_number":"{number}","birthdate":"{birthdate}"}}"#);
        rows.push(row(Provider::Verifik, PE, request, answer, gives));
    };
    // The sample's own date, as the gateway takes it.
    let birthdate = iso(PE_BIRTHDATE);
    let birthdate = birthdate.as_str();
    add(
        PE_NUMBER,
        birthdate,
        "200 found, the document's sample",
        FOUND,
    );
    add(
        PE_NUMBER,
        "1993-08-17",
        "404 NotFound, another birth date",
        NOT_FOUND,
    );
    add(
        "000000001",
        birthdate,
        "404 NotFound, like every other number",
        NOT_FOUND,
    );
    add(
        verifik::ODD_NUMBER,
        birthdate,
        "200 found, full of oddities",
        FOUND,
    );
    for condition in CONDITIONS {
        let gives = if condition.gives == "OK" {
            FOUND
        } else {
            condition.gives
        };
        add(condition.word, birthdate, condition.answer, gives);
    }
}

fn kenya(rows: &mut Vec<Row>) {
    let mut add = |id, id_type, rest, answer, gives| {
        let kind = match id_type {
            youverify::PASSPORT => "PASSPORT",
            youverify::SERVICE_ID => "SERVICE_ID",
            youverify::ALIEN_ID => "ALIEN_ID",
            _ => "NATIONAL_ID",
        };
        let request = format!(
            r#"{{"id":"{id}","id_type":"KENYA_ID_TYPE_{kind}","subject_consent":true{rest}}}"#
        );
        rows.push(row(Provider::Youverify, KE, request, answer, gives));
    };
    let national = youverify::NATIONAL_ID;
    let metadata = r#","metadata":{"ticket":"T-1"}"#;
    let sample = "200 found, the document's sample";
    add(KE_FOUND, national, "", sample, FOUND);
    add(
        KE_FOUND,
        national,
        metadata,
        "200 found, metadata as sent",
        FOUND,
    );
    add(
        KE_NOT_FOUND,
        national,
        "",
        "200 not_found, the document's sample",
        NOT_FOUND,
    );
    add(
        "7654321",
        national,
        "",
        "200 not_found, like every other number",
        NOT_FOUND,
    );
    for case in youverify_cases::CASES {
        add(case.id, case.id_type, "", case.answer, case.gives);
    }
}

fn mexico(rows: &mut Vec<Row>) {
    let mut add = |curp, rest, answer, gives| {
        let request = format!(r#"{{"curp":"{curp}"{rest}}}"#);
        rows.push(row(Provider::Accuauth, MX, request, answer, gives));
    };
    let with_document = r#","include_document":true"#;
    let other = "HEGG560427MVZRRL04";
    add(
        MX_CURP,
        "",
        "200 found, the document's sample (RCN, active)",
        FOUND,
    );
    add(MX_CURP, with_document, "200 found, with the PDF", FOUND);
    add(
        other,
        "",
        "200 result_code 1, like every other CURP",
        NOT_FOUND,
    );
    for case in accuauth_cases::CASES {
        add(case.curp, "", case.answer, case.gives);
    }
}

fn person(rows: &mut Vec<Row>) {
    let mut add = |method, request, answer, gives| {
        rows.push(row(Provider::Verifik, method, request, answer, gives));
    };
    let everywhere = || CONDITIONS.iter().filter(|c| EVERYWHERE.contains(&c.word));

    add(CREATE, create_request("Lovelace"), "200 pending", "OK");
    for c in CONDITIONS.iter().chain(ON_CREATE) {
        add(CREATE, create_request(&last_name(c)), c.answer, c.gives);
    }
    add(
        CREATE_WITH_LIVENESS,
        liveness_request("Lovelace"),
        "200 verified, livenessScore 0.95",
        "OK",
    );
    for c in ON_LIVENESS.iter().chain(ON_CREATE).chain(everywhere()) {
        add(
            CREATE_WITH_LIVENESS,
            liveness_request(&last_name(c)),
            c.answer,
            c.gives,
        );
    }
    add(
        GET,
        id_request(PERSON_ID),
        "200 the document's sample",
        "OK",
    );
    add(
        GET,
        id_request(persons::WRAPPED),
        "200 inside data, _id, date_of_birth",
        "OK",
    );
    add(
        GET,
        id_request("person_unknown"),
        "404 PERSON_NOT_FOUND, like every other id",
        NO_PERSON,
    );
    for c in CONDITIONS {
        add(GET, id_request(&person_id(c)), c.answer, c.gives);
    }
    add(LIST, r#"{"page_size":10}"#.to_owned(), "200 a page", "OK");
    add(UPDATE, update_request(PERSON_ID), "200 updated", "OK");
    add(
        UPDATE,
        update_request("person_unknown"),
        "404 PERSON_NOT_FOUND",
        NO_PERSON,
    );
    for c in ON_UPDATE.iter().chain(everywhere()) {
        add(UPDATE, update_request(&person_id(c)), c.answer, c.gives);
    }
    add(
        DELETE,
        id_request(persons::DISPOSABLE),
        "200 deleted, every time",
        "OK",
    );
    add(
        DELETE,
        id_request("person_unknown"),
        "404 PERSON_NOT_FOUND",
        NO_PERSON,
    );
    for c in everywhere() {
        add(DELETE, id_request(&person_id(c)), c.answer, c.gives);
    }
}

fn create_request(last_name: &str) -> String {
    format!(r#"{{"person":{{"given_name":"Ada","family_name":"{last_name}"}}}}"#)
}

fn liveness_request(last_name: &str) -> String {
    format!(
        r#"{{"person":{{"given_name":"Ada","family_name":"{last_name}","biometric_data":{{"face_image":"iVBORw0KGgo="}}}}}}"#
    )
}

fn update_request(id: &str) -> String {
    format!(r#"{{"person":{{"id":"{id}","email":"john.doe@example.com"}}}}"#)
}

fn id_request(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

fn last_name(condition: &Condition) -> String {
    format!("SANDBOX-{}", condition.word)
}

fn person_id(condition: &Condition) -> String {
    format!("person_{}", condition.word.to_ascii_lowercase())
}

/// DD/MM/YYYY as YYYY-MM-DD.
fn iso(date: &str) -> String {
    let parts: Vec<_> = date.split('/').rev().collect();
    parts.join("-")
}
