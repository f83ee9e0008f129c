//! Stages rows of the table, one after the other, and says everything that is wrong.

use std::time::{Duration, Instant};

use identity_gateway::domain::verification::Provider;
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    it::{
        errors,
        scenarios::calls,
        stage::Stage,
        table::{Answers, Expect, Fails, Row, Setting},
    },
    kit::{companies, provider::Does},
};

/// A row's own deadline is made longer up to here, until the provider is asked within it.
const LONGEST: Duration = Duration::from_secs(10);
/// How often a row is played at most whose call came too late for what it is about.
const PLAYS: u32 = 10;

/// Runs the rows, those of a setting against the same gateway.
pub async fn run(rows: Vec<Row>) {
    let mut problems = Vec::new();
    let mut settings: Vec<Setting> = Vec::new();
    for row in &rows {
        if !settings.contains(&row.setting) {
            settings.push(row.setting);
        }
    }
    let count = rows.len();
    for setting in settings {
        let mut stage = Stage::set(setting).await;
        let mut calls = 0;
        for row in rows.iter().filter(|row| row.setting == setting) {
            let mut plays = 1;
            let found = loop {
                let began = Instant::now();
                let found = play(&stage, row, &mut calls).await;
                // On a busy machine the call may come when what it is to meet is over: that is another row.
                let was_over = row.lasts().is_some_and(|lasts| began.elapsed() >= lasts)
                    && !stage.provider.received().is_empty();
                if !was_over || plays == PLAYS {
                    break found;
                }
                plays += 1;
                stage = Stage::set(setting).await;
                calls = 0;
            };
            let name = format!(
                "{} {} [{setting:?}] {}",
                row.provider, row.call.method, row.what
            );
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("{name}: {problem}")),
            );
            calls += 1 + usize::from(row.before.is_some() || row.has_blocker());
            if row.holds_back() {
                problems.extend(count_lines(&stage, &name, calls));
                stage = Stage::set(setting).await;
                calls = 0;
            }
        }
        problems.extend(count_lines(&stage, &format!("[{setting:?}]"), calls));
    }
    assert!(
        problems.is_empty(),
        "{} problems in {count} rows:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// One log line a call, neither more nor less.
fn count_lines(stage: &Stage, until: &str, calls: usize) -> Option<String> {
    let lines = stage.gateway.log.since(0);
    let lines = lines.iter().filter(|line| line["message"] == "call");
    let lines = lines.count();
    (lines != calls).then(|| format!("{until}: {lines} log lines of {calls} calls"))
}

async fn play(stage: &Stage, row: &Row, calls: &mut usize) -> Vec<String> {
    let Stage {
        gateway, provider, ..
    } = stage;
    let in_the_way = if row.has_blocker() {
        Some(Blocker::place(stage, row).await)
    } else {
        None
    };
    if let Some((call, does)) = &row.before {
        let mark = gateway.log.mark();
        provider.next(does.clone());
        let _ = gateway.client.call(call.method, &call.request).await;
        assert!(gateway.log.line(mark, "call").await.is_some());
    }
    let hangs = matches!(row.does.as_slice(), [Does::Hangs | Does::Trickles(_)]);
    let Row { call, .. } = row;
    let mut deadline = row.deadline;
    let (answered, mark, gone) = loop {
        let (_, gone) = provider.seen();
        provider.next(row.does.clone());
        let mark = gateway.log.mark();
        let answered = gateway
            .client
            .call_within(call.method, &call.request, deadline)
            .await;
        // On a busy machine it may pass before anything is sent, which is another row.
        match deadline {
            Some(passed) if hangs && provider.received().is_empty() && passed < LONGEST => {
                assert!(gateway.log.line(mark, "call").await.is_some());
                *calls += 1;
                deadline = Some(2 * passed);
            }
            _ => break (answered, mark, gone),
        }
    };

    let mut problems = match (&row.expect, &answered) {
        (Expect::Fails(fails), Err(status)) => {
            let lookup = call.method.starts_with("idgw.identity.v1.");
            errors::problems(status, fails, row.provider, lookup)
        }
        (Expect::Answers(answers), Ok(reply)) => {
            let mut problems = compare(answers, reply);
            problems.extend(check_verification(reply));
            problems
        }
        (Expect::Fails(fails), Ok(reply)) => {
            vec![format!("{} was expected: {reply}", fails.case.reason)]
        }
        (Expect::Answers(_), Err(status)) => vec![format!("an answer was expected: {status:?}")],
    };
    let requests = provider.received().len();
    if requests != row.does.len() {
        problems.push(format!("{requests} requests instead of {}", row.does.len()));
    }
    if let Some(line) = gateway.log.line(mark, "call").await {
        problems.extend(check_line(&line, row, &answered, requests));
    } else {
        problems.push("no log line".to_owned());
    }
    // The log's other lines, too, and the error must keep to themselves what was asked and answered.
    let mut secret = errors::values_of_request(&call.request);
    secret.extend(companies::secrets().map(str::to_owned));
    if let Err(status) = &answered {
        for does in &row.does {
            secret.extend(answer_of(does));
        }
        problems.extend(errors::leaks(&errors::shown(status), &secret));
    }
    for mut line in gateway.log.since(mark) {
        // Clocks tell numbers of their own.
        if let Some(fields) = line.as_object_mut() {
            fields.retain(|name, _| !["duration_ms", "timestamp"].contains(&name.as_str()));
        }
        problems.extend(errors::leaks(&line.to_string(), &secret));
    }
    if hangs && !provider.until(|(_, now)| now > gone).await {
        problems.push("the work at the provider was not cancelled".to_owned());
    }
    if let Some(blocker) = in_the_way {
        blocker.clear(stage).await;
    }
    problems
}

fn answer_of(does: &Does) -> Vec<String> {
    match does {
        Does::Answers(answer)
        | Does::Chunks(answer)
        | Does::Waits(_, answer)
        | Does::Holds(_, answer)
        | Does::Cuts(answer)
        | Does::CutsChunks(answer)
        | Does::Trickles(answer) => errors::values_of_answer(&answer.body),
        Does::Closes | Does::Hangs | Does::Replies(_) => Vec::new(),
    }
}

/// What the pointers of a row find in an answer.
pub fn compare(answers: &Answers, reply: &Value) -> Vec<String> {
    let Answers(holds) = answers;
    let differ = holds.iter().filter_map(|(pointer, wanted)| {
        let found = reply.pointer(pointer).unwrap_or(&Value::Null);
        (found != wanted).then(|| format!("{pointer}: {found} instead of {wanted}"))
    });
    differ.collect()
}

/// What every verification says.
fn check_verification(reply: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(verification) = reply.get("verification") {
        let id = verification["id"].as_str().unwrap_or_default();
        let version = uuid::Uuid::try_parse(id)
            .ok()
            .map(|id| id.get_version_num());
        if version != Some(7) {
            problems.push(format!("verification.id {id} is no UUIDv7"));
        }
        if verification["checked_at"].is_null() {
            problems.push("checked_at is missing".to_owned());
        }
    }
    problems
}

/// The log line names method, code and reason, and what is known of the verification.
fn check_line(
    line: &Value,
    row: &Row,
    answered: &Result<Value, Status>,
    requests: usize,
) -> Vec<String> {
    let mut wanted = vec![("rpc", json!(row.call.method))];
    match (&row.expect, answered) {
        (Expect::Fails(Fails { case, billing, .. }), Err(status)) => {
            let code = format!("{:?}", case.code);
            wanted.push(("code", json!(upper_snake(&code))));
            wanted.push(("reason", json!(case.reason)));
            wanted.push(("billing", json!(billing)));
            let id = tonic_types::StatusExt::get_details_error_info(status)
                .and_then(|info| info.metadata.get("verification_id").cloned());
            wanted.push(("verification_id", json!(id)));
            if billing.is_some() {
                wanted.push(("provider", json!(row.provider)));
            }
        }
        (_, Ok(reply)) => {
            wanted.push(("code", json!("OK")));
            wanted.push(("reason", Value::Null));
            if let Some(verification) = reply.get("verification") {
                let word = |name: &str, prefix: &str| {
                    let name = verification[name].as_str().unwrap_or_default();
                    json!(name.trim_start_matches(prefix).to_lowercase())
                };
                wanted.push(("outcome", word("outcome", "OUTCOME_")));
                wanted.push(("billing", word("billing", "BILLING_")));
                wanted.push(("verification_id", verification["id"].clone()));
            }
        }
        _ => {}
    }
    if row.setting != Setting::Unreachable {
        wanted.push(("attempts", json!(requests)));
    }
    let mut problems: Vec<String> = wanted
        .iter()
        .filter(|(name, value)| line.get(*name).unwrap_or(&Value::Null) != value)
        .map(|(name, value)| format!("log line: {name} is not {value} in {line}"))
        .collect();
    if !line["duration_ms"].is_number() {
        problems.push(format!("log line: duration_ms is no number in {line}"));
    }
    problems
}

/// `InvalidArgument` as `INVALID_ARGUMENT`.
pub fn upper_snake(camel: &str) -> String {
    let mut snake = String::new();
    for (place, letter) in camel.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_uppercase());
    }
    snake
}

/// A call that keeps the only place.
struct Blocker(tokio::task::JoinHandle<()>);

impl Blocker {
    async fn place(stage: &Stage, row: &Row) -> Self {
        let call = match companies::named(row.provider) {
            Provider::Verifik => calls::get(),
            Provider::Youverify => calls::kenya_numbered("7654321"),
            Provider::Accuauth => calls::curp_numbered("HEGG560427MVZRRL04"),
        };
        let (requests, _) = stage.provider.seen();
        stage.provider.next([Does::Hangs]);
        let client = stage.gateway.client.clone();
        let blocker = tokio::spawn(async move {
            let _ = client.call(call.method, &call.request).await;
        });
        assert!(stage.provider.until(|(now, _)| now > requests).await);
        Self(blocker)
    }

    async fn clear(self, stage: &Stage) {
        let mark = stage.gateway.log.mark();
        self.0.abort();
        // The line is written when the place is free again.
        let line = stage.gateway.log.line(mark, "call").await;
        assert_eq!(
            line.map(|line| line["code"].clone()),
            Some(json!("CANCELLED"))
        );
    }
}
