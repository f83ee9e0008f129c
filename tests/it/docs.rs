//! docs/errors.md is written from the scenario table and held equal to it.

use std::{fmt::Write as _, path::Path};

use identity_gateway::{
    domain::{
        failure::{Failure, Kind},
        verification::Billing,
    },
    status,
};
use serde_json::Value;

use crate::it::{
    cases::{self, Case, Cost, Detail},
    run::upper_snake,
    scenarios::sections,
    table::{Answers, Expect, Row},
};

const HEAD: &str = "\
# Errors

<!-- Generated from tests/it/cases.rs and tests/it/scenarios/. To change it, change them and run
`UPDATE_DOCS=1 cargo test --test program docs`. -->

Every error is a gRPC status with exactly one `google.rpc.ErrorInfo` among its details: `domain` is
`identity-gateway`, `reason` is one of those below, `metadata` has `provider`, `provider_code`,
`http_status`, `verification_id`, `billing`, `scope` and `cause` where they exist (`cause`: why a caller is not identified, or why
Redis could not be used, [sharing.md](sharing.md#redis-or-valkey)). Details name fields, never values,
and stay under 4 KiB. (One exception: an unknown method is `UNIMPLEMENTED` without details.)

An error without that `ErrorInfo` was not made by the gateway but by a client library or by something in between. It
says nothing of the cost: the request may never have left, or its answer may be lost on the way back. The same
call with the same `request_id` is never charged twice, whichever it was ([clients.md](clients.md)).

Two rules apply to all errors:

1. `UNAVAILABLE`, which standard clients retry automatically, is used only where a retry cannot be
   charged twice. If a request was sent and its outcome is unknown, the code is
   `DEADLINE_EXCEEDED`, `UNKNOWN` or `INTERNAL`, and `billing` is `unknown`.
2. Faults between gateway and provider are never `UNAUTHENTICATED` or `PERMISSION_DENIED`.

A verification that finds nobody is not an error: `OK` with `OUTCOME_NOT_FOUND`.

An error response is the provider's own if its documentation lists the status or the code and the body
has the provider's format, or if it is a 500 in that format. Any other status from 500 on, and 408,
comes from an intermediary, and the provider may have done the work: 504 and 524 are
`DEADLINE_EXCEEDED`; 503, 521, 522, 523 and 530 mean that the provider was not reached; the others are
`UNKNOWN`.

The provider's own error responses (4xx, 5xx) are treated as not charged. AccuAuth documents that; for
Verifik and YouVerify it is an assumption. `IDGW_PROVIDERS__<P>__ERRORS_ARE_FREE=false` disables it:
`billing` of such a response is then `unknown`, and instead of `UNAVAILABLE` the code is `UNKNOWN` with
`PROVIDER_OUTCOME_UNKNOWN`. Reads of person records (`GetPerson`, `ListPersons`) are never charged.
";

/// The text of the document.
fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Every reason\n\n");
    text.push_str(&reasons());
    text.push_str("\n## All errors\n\n");
    text.push_str(
        "| what happened | gRPC code | reason | details | billing |\n|---|---|---|---|---|\n",
    );
    for case in cases::ALL {
        case_line(&mut text, case);
    }
    for (title, about, rows) in sections() {
        let _ = write!(text, "\n## {title}\n\n{about}\n\n");
        text.push_str(
            "| what happened | gRPC code | reason or outcome | billing |\n|---|---|---|---|\n",
        );
        for row in rows.iter().filter(|row| row.shown) {
            row_line(&mut text, row);
        }
    }
    text
}

/// Every reason, as the program says it.
fn reasons() -> String {
    let mut table = String::from("| Reason | gRPC code | What happened |\n|---|---|---|\n");
    for kind in Kind::ALL {
        let (code, reason, words) = status::row(kind);
        let code = status::code_name(code);
        let unknown = Failure::new(kind).leaves_outcome_unknown();
        let cost = status::cost(kind, unknown.then_some(Billing::Unknown));
        let cost = cost.map(|cost| format!("; {cost}")).unwrap_or_default();
        let _ = writeln!(table, "| `{reason}` | `{code}` | {words}{cost} |");
    }
    table
}

fn case_line(text: &mut String, case: &Case) {
    let what = case.what;
    let details: Vec<_> = case
        .details
        .iter()
        .map(|detail| match detail {
            Detail::Fields => "`BadRequest`",
            Detail::NamedFields => "`BadRequest`, where the provider's message names a field",
            Detail::Precondition => "`PreconditionFailure`",
            Detail::Quota => "`QuotaFailure`",
            Detail::Retry => "`RetryInfo`",
            Detail::Budget => "`QuotaFailure` that names the budget",
            Detail::Hidden => "`BadRequest` with what each field needs",
        })
        .collect();
    let billing = match case.cost {
        Cost::None => "",
        Cost::Free => "`not_billed`",
        Cost::Assumed => "`not_billed`; `unknown` with `ERRORS_ARE_FREE=false`",
        Cost::Unknown => "`unknown`",
        Cost::Depends => "`unknown` if a request was sent, else `not_billed`",
    };
    let code = upper_snake(&format!("{:?}", case.code));
    let details = details.join(", ");
    let _ = writeln!(
        text,
        "| {what} | {code} | `{}` | {details} | {billing} |",
        case.reason
    );
}

fn row_line(text: &mut String, row: &Row) {
    let (code, reason, billing) = match &row.expect {
        Expect::Fails(fails) => (
            upper_snake(&format!("{:?}", fails.case.code)),
            fails.case.reason.to_owned(),
            fails.billing.unwrap_or_default().to_owned(),
        ),
        Expect::Answers(answers) => (
            "OK".to_owned(),
            found(answers, "/verification/outcome"),
            found(answers, "/verification/billing")
                .trim_start_matches("BILLING_")
                .to_lowercase(),
        ),
    };
    let quoted = |word: String| {
        if word.is_empty() {
            word
        } else {
            format!("`{word}`")
        }
    };
    let _ = writeln!(
        text,
        "| {} | {code} | {} | {} |",
        row.what,
        quoted(reason),
        quoted(billing)
    );
}

fn found(answers: &Answers, pointer: &str) -> String {
    let held = answers.0.iter().find(|(at, _)| *at == pointer);
    held.and_then(|(_, value)| Value::as_str(value))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_error_document_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = document();
    for section in text.split("\n## ") {
        let mut lines: Vec<_> = section
            .lines()
            .filter(|line| line.starts_with("| "))
            .collect();
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), all, "a line stands twice in {section}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/errors.md is out of date: run UPDATE_DOCS=1 cargo test"
    );
}
