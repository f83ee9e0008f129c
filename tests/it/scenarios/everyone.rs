//! What can break between the gateway and any provider, and what the callers themselves bring about.

use std::time::Duration;

use serde_json::json;

use super::{accuauth, calls, verifik, verifik_persons, youverify};
use crate::{
    it::{
        cases,
        table::{Call, Expect, Row, Setting},
    },
    kit::{
        provider::{Answer, Does},
        wire::{bytes, json},
    },
};

/// A good call with its good answer.
struct Sample {
    provider: &'static str,
    call: Call,
    answer: Answer,
    /// What a request that was sent and not answered may have cost.
    unknown: &'static str,
    /// The first of its provider: only its rows are shown in the document.
    shown: bool,
}

fn samples() -> Vec<Sample> {
    let sample = |provider, call, answer, unknown, shown| Sample {
        provider,
        call,
        answer,
        unknown,
        shown,
    };
    let person = || json(200, verifik_persons::john());
    vec![
        sample(
            "verifik",
            calls::foreigner(),
            json(200, verifik::found()),
            "unknown",
            true,
        ),
        sample(
            "youverify",
            calls::kenya(),
            json(200, youverify::found()),
            "unknown",
            false,
        ),
        sample(
            "accuauth",
            calls::curp(),
            json(200, accuauth::found()),
            "unknown",
            false,
        ),
        sample("verifik", calls::create(), person(), "unknown", false),
        sample(
            "verifik",
            calls::create_with_liveness(),
            person(),
            "unknown",
            false,
        ),
        sample("verifik", calls::delete(), person(), "unknown", false),
        // Reads of persons cost nothing, whatever becomes of them.
        sample("verifik", calls::get(), person(), "not_billed", false),
        sample(
            "verifik",
            calls::list(),
            json(200, json!([verifik_persons::john()])),
            "not_billed",
            false,
        ),
    ]
}

pub fn rows() -> Vec<Row> {
    // What a provider says of a deletion beside its status is not read.
    let is_read = |row: &Row| {
        let small = row.setting == Setting::Usual && row.deadline.is_none();
        let malformed = matches!(&row.expect, Expect::Fails(fails)
            if std::ptr::eq(fails.case, &cases::MALFORMED) && fails.http_status == Some(200));
        row.call.method != calls::DELETE || !small || !malformed
    };
    let mut rows: Vec<Row> = samples().iter().flat_map(of).filter(is_read).collect();
    rows.extend(samples().iter().flat_map(of_something_between));
    rows.extend(errors_that_may_cost());
    rows
}

/// What proxies, load balancers, API gateways and CDNs answer in the provider's place.
const BETWEEN: [(&str, &str); 14] = [
    (
        "nginx",
        "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>",
    ),
    (
        "Cloudflare",
        "<!DOCTYPE html><html><head><title>524: A timeout occurred</title></head></html>",
    ),
    (
        "AWS API Gateway",
        r#"{"message": "Endpoint request timed out"}"#,
    ),
    (
        "AWS API Gateway, another",
        r#"{"message": "Internal server error"}"#,
    ),
    (
        "AWS Lambda",
        r#"{"errorMessage": "Task timed out", "errorType": "Sandbox.Timedout"}"#,
    ),
    (
        "Azure",
        r#"{"statusCode": 504, "message": "Gateway Timeout", "activityId": "1"}"#,
    ),
    (
        "Google",
        r#"{"error": {"code": 502, "message": "Bad Gateway", "status": "UNAVAILABLE"}}"#,
    ),
    (
        "Google API Gateway",
        r#"{"message": "upstream request timeout", "code": 504}"#,
    ),
    (
        "Envoy",
        "upstream connect error or disconnect/reset before headers",
    ),
    ("Envoy, late", "upstream request timeout"),
    (
        "Nest",
        r#"{"statusCode": 500, "message": "Internal server error"}"#,
    ),
    (
        "Spring",
        r#"{"timestamp": "2026-11-27", "status": 500, "error": "Internal Server Error", "path": "/"}"#,
    ),
    ("a JSON text", r#""Bad Gateway""#),
    ("nothing", ""),
];

/// What one of them answers.
pub fn between(who: &str) -> &'static str {
    BETWEEN.iter().find(|(name, _)| *name == who).unwrap().1
}

fn of_something_between(sample: &Sample) -> Vec<Row> {
    let row = |what: String, status: u16, body: &str| {
        let fails = match status {
            503 | 521 | 522 | 523 | 530 => cases::DOWN.answered(status, ""),
            504 | 524 => cases::TIMED_OUT.unanswered(sample.unknown).status(status),
            _ => cases::OUTCOME_UNKNOWN
                .unanswered(sample.unknown)
                .status(status),
        };
        let does = vec![Does::Answers(bytes(status, body))];
        Row::new(sample.provider, sample.call.clone(), what.leak(), does).fails(fails)
    };
    let told = [
        (504, "504 of AWS API Gateway", "AWS API Gateway"),
        (524, "524 of Cloudflare in HTML", "Cloudflare"),
        (502, "502 of nginx in HTML", "nginx"),
        (500, "500 that is not in the provider's format", "Nest"),
        (503, "503 of any origin", "Envoy"),
        (522, "522 of Cloudflare", "Cloudflare"),
    ];
    let told = told.map(|(status, what, who)| row(what.to_owned(), status, between(who)));
    let statuses = [
        408, 500, 501, 502, 503, 504, 507, 512, 513, 520, 521, 523, 524, 525, 530, 599,
    ];
    let every = statuses.into_iter().flat_map(|status| {
        BETWEEN.map(|(who, body)| row(format!("{status} of {who}"), status, body).hidden())
    });
    let told = told.map(|row| if sample.shown { row } else { row.hidden() });
    told.into_iter().chain(every).collect()
}

fn of(sample: &Sample) -> Vec<Row> {
    let Sample {
        provider,
        call,
        answer,
        unknown,
        ..
    } = sample;
    let row = |what, does: Option<Does>| {
        let row = Row::new(provider, call.clone(), what, does.into_iter().collect());
        if sample.shown { row } else { row.hidden() }
    };
    let unknown = *unknown;
    let answered = |case: &'static cases::Case| case.unanswered(unknown).status(200);
    let large = || bytes(200, format!("{{\"padding\":\"{}\"}}", "x".repeat(800)));
    let own_deadline = Duration::from_millis(600);
    let mut rows = vec![
        row("no answer within the timeout", Some(Does::Hangs))
            .setting(Setting::Impatient)
            .fails(cases::TIMED_OUT.unanswered(unknown)),
        row(
            "a response not complete within the timeout",
            Some(Does::Trickles(answer.clone())),
        )
        .setting(Setting::Impatient)
        .fails(cases::TIMED_OUT.unanswered(unknown)),
        row("connection refused at the provider's address", None)
            .setting(Setting::Unreachable)
            .fails(cases::NOT_CONNECTED.unanswered("not_billed")),
        row("connection closed without an answer", Some(Does::Closes))
            .fails(cases::OUTCOME_UNKNOWN.unanswered(unknown)),
        row("truncated response", Some(Does::Cuts(answer.clone())))
            .fails(answered(&cases::OUTCOME_UNKNOWN)),
        row(
            "truncated chunked response",
            Some(Does::CutsChunks(answer.clone())),
        )
        .fails(answered(&cases::OUTCOME_UNKNOWN))
        .hidden(),
        row("answer over the size limit", Some(Does::Answers(large())))
            .setting(Setting::SmallAnswers)
            .fails(answered(&cases::TOO_LARGE)),
        row(
            "chunked answer over the size limit",
            Some(Does::Chunks(large())),
        )
        .setting(Setting::SmallAnswers)
        .fails(answered(&cases::TOO_LARGE))
        .hidden(),
        row(
            "200 that is not JSON",
            Some(Does::Answers(bytes(200, "<html>up and well</html>"))),
        )
        .fails(answered(&cases::MALFORMED)),
        row(
            "200 with an empty body",
            Some(Does::Answers(bytes(200, ""))),
        )
        .hidden()
        .fails(answered(&cases::MALFORMED)),
        row(
            "200 with half a JSON",
            Some(Does::Answers(bytes(200, "{\"data\": {\"id\": \"x\""))),
        )
        .hidden()
        .fails(answered(&cases::MALFORMED)),
        row(
            "200 with bytes that are not UTF-8",
            Some(Does::Answers(bytes(200, vec![0x7b, 0xff, 0xfe]))),
        )
        .hidden()
        .fails(answered(&cases::MALFORMED)),
        row(
            "200 with JSON of another format",
            Some(Does::Answers(json(200, json!({"welcome": true})))),
        )
        .fails(answered(&cases::MALFORMED)),
        row(
            "200 with a JSON text",
            Some(Does::Answers(json(200, json!("welcome")))),
        )
        .hidden()
        .fails(answered(&cases::MALFORMED)),
        row(
            "302 to another location",
            Some(Does::Answers(
                bytes(302, "").header("location", "http://127.0.0.1:1/"),
            )),
        )
        .fails(cases::MALFORMED.unanswered(unknown).status(302)),
        row(
            "the caller's deadline passes before the answer",
            Some(Does::Hangs),
        )
        .setting(Setting::GivesUp)
        .deadline(own_deadline)
        .hidden()
        .fails(cases::DEADLINE.unanswered(unknown)),
        row(
            "the caller's deadline passes within the answer",
            Some(Does::Trickles(answer.clone())),
        )
        .setting(Setting::GivesUp)
        .deadline(own_deadline)
        .hidden()
        .fails(cases::DEADLINE.unanswered(unknown)),
        row("the provider's concurrency limit is reached", None)
            .setting(Setting::OnePlace)
            .fails(cases::OVERLOADED.unanswered("not_billed")),
        row("`server.max_in_flight` is reached", None)
            .setting(Setting::OneCall)
            .fails(cases::OVERLOADED.bare().retry(1)),
        // Less than a whole second is left in these two.
        row(
            "the provider's circuit breaker has opened after failures",
            None,
        )
        .setting(Setting::Fragile)
        .after(call.clone(), vec![Does::Answers(bytes(503, "down"))])
        .fails(cases::CIRCUIT_OPEN.unanswered("not_billed").retry(0)),
        row("the gateway's own rate limit is reached", None)
            .setting(Setting::OnceASecond)
            .after(call.clone(), vec![Does::Answers(answer.clone())])
            .fails(cases::RATE_LIMITED.unanswered("not_billed").retry(0)),
        row("no credential configured", None)
            .setting(Setting::Without(provider))
            .fails(cases::NOT_CONFIGURED.unanswered("not_billed")),
    ];
    // What was sent is finished, and waits for the caller.
    if call.method.starts_with("idgw.identity.") {
        let left = row(
            "the caller's deadline passes before the answer, which is stored",
            Some(Does::Waits(2 * own_deadline, answer.clone())),
        );
        let fails = cases::DEADLINE.unanswered(unknown).recoverable();
        let left = left.setting(Setting::LeftBehind).deadline(own_deadline);
        rows.push(left.fails(fails));
    }
    rows
}

/// `ERRORS_ARE_FREE=false`: an error answer may have been charged, unless the call never is.
fn errors_that_may_cost() -> Vec<Row> {
    let row = |sample: &Sample, what, does: Answer| {
        Row::new(
            sample.provider,
            sample.call.clone(),
            what,
            vec![Does::Answers(does)],
        )
        .setting(Setting::ErrorsMayCost)
        .hidden()
    };
    let mut rows = Vec::new();
    for sample in &samples() {
        let reads = sample.unknown == "not_billed";
        for (what, status) in [
            ("500 with `ERRORS_ARE_FREE=false`", 500),
            ("503 with `ERRORS_ARE_FREE=false`", 503),
        ] {
            let mut row = row(sample, what, bytes(status, "down"));
            row.shown = sample.shown && status == 503;
            rows.push(
                row.fails(match (reads, status) {
                    (true, 503) => cases::DOWN.answered(status, ""),
                    (true, _) => cases::OUTCOME_UNKNOWN
                        .unanswered("not_billed")
                        .status(status),
                    (false, _) => cases::OUTCOME_UNKNOWN.unanswered("unknown").status(status),
                }),
            );
        }
        let limited = bytes(429, "slow down").header("retry-after", "7");
        rows.push(
            row(sample, "401 that may cost", bytes(401, "no"))
                .fails(cases::CREDENTIALS.unanswered(sample.unknown).status(401)),
        );
        rows.push(
            row(sample, "402 that may cost", bytes(402, "pay"))
                .fails(cases::QUOTA.unanswered(sample.unknown).status(402)),
        );
        rows.push(
            row(sample, "400 that may cost", bytes(400, "odd")).fails(
                cases::REJECTED_ARGUMENT
                    .unanswered(sample.unknown)
                    .status(400),
            ),
        );
        rows.push(
            row(sample, "429 that may cost", limited).fails(
                cases::RATE_LIMITED_THERE
                    .unanswered(sample.unknown)
                    .status(429)
                    .retry(7),
            ),
        );
    }
    let accuauth = &samples()[2];
    for (word, status) in [
        ("PENDING", 400),
        ("SOURCE_SERVICE_UNAVAILABLE", 512),
        ("SOURCE_SERVICE_TIMEOUT", 513),
        ("INTERNAL_ERROR", 500),
        // An error inside a 200 is an error answer too.
        ("PENDING", 200),
        ("SOURCE_SERVICE_UNAVAILABLE", 200),
        ("SOURCE_SERVICE_TIMEOUT", 200),
        ("INTERNAL_ERROR", 200),
    ] {
        let mut expected = cases::OUTCOME_UNKNOWN.unanswered("unknown").status(status);
        expected.provider_code = Some(word);
        rows.push(row(accuauth, word, json(status, accuauth::error(word, ""))).fails(expected));
    }
    let mut spent = cases::QUOTA.unanswered("unknown").status(200);
    spent.provider_code = Some("OUT_OF_QUOTA");
    let inside = json(200, accuauth::error("OUT_OF_QUOTA", "quota"));
    rows.push(row(accuauth, "OUT_OF_QUOTA inside a 200", inside).fails(spent));
    let mut free = cases::DATA_ERROR.answered(200, "5");
    free.retry = Some(1);
    let code_5 = json(
        200,
        json!({"status": "OK", "result_code": "5", "result_message": "Data error"}),
    );
    rows.push(
        row(
            accuauth,
            "result_code 5 is documented as free all the same",
            code_5,
        )
        .fails(free),
    );
    let verifik = &samples()[0];
    let mut down = cases::OUTCOME_UNKNOWN.unanswered("unknown").status(409);
    down.provider_code = Some("Endpoint_out_of_service");
    let out = json(
        409,
        json!({"code": "Endpoint_out_of_service", "message": "out of service\n"}),
    );
    rows.push(row(verifik, "409 Endpoint_out_of_service that may cost", out).fails(down));
    rows.push(
        row(
            verifik,
            "200 found is what it was",
            json(200, verifik::found()),
        )
        .finds("FOUND", "UNKNOWN", []),
    );
    rows
}
