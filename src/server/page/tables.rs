//! The tables. On a narrow screen a row stands as a block in which each figure has its column's head before it, so that
//! nothing has to be moved sideways.

use std::fmt::Display;

use super::{
    html::{Html, put},
    parts::{Tone, badge, reasons, section},
    snapshot::{Answers, Budget, Reload, Rpc, Snapshot},
    words::{Count, Latency, Share, Span},
};
use crate::{domain::refusal::Quota, telemetry::reloads::InUse};

/// A field of a table.
struct Cell {
    class: &'static str,
    content: Html,
}

impl Cell {
    fn of(write: impl FnOnce(&mut Html)) -> Self {
        let mut content = Html::default();
        write(&mut content);
        Self { class: "", content }
    }

    fn text(value: impl Display) -> Self {
        Self::of(|cell| cell.text(value))
    }

    /// A number of what should not be.
    fn bad(count: u64) -> Self {
        Self {
            class: if count > 0 { "bad" } else { "" },
            ..Self::text(Count(count))
        }
    }

    fn count(count: u64) -> Self {
        Self::text(Count(count))
    }
}

/// Begins a table with the heads of its columns.
fn begin(page: &mut Html, id: &'static str, columns: &[&'static str]) {
    put!(page; "<table class=\"" (id) "\" aria-labelledby=\"" (id) "\"><thead><tr>");
    for column in columns {
        put!(page; "<th scope=\"col\">" (column) "</th>");
    }
    put!(page; "</tr></thead><tbody>");
}

/// Adds a row, whose first field is its name.
fn row(
    page: &mut Html,
    columns: &[&'static str],
    class: &'static str,
    name: Cell,
    cells: Vec<Cell>,
) {
    put!(page; "<tr class=\"" (class) "\"><th scope=\"row\">");
    page.append(name.content);
    put!(page; "</th>");
    for (cell, column) in cells.into_iter().zip(columns.iter().skip(1)) {
        put!(page; "<td class=\"" (cell.class) "\" data-column=\"" (column) "\">");
        page.append(cell.content);
        put!(page; "</td>");
    }
    put!(page; "</tr>");
}

fn end(page: &mut Html) {
    put!(page; "</tbody></table>");
}

/// Rows of which there is nothing to be seen stand back.
const fn quiet(count: u64) -> &'static str {
    match count {
        0 => "quiet",
        _ => "",
    }
}

/// Calls by RPC.
pub fn rpcs(page: &mut Html, snapshot: &Snapshot) {
    let columns = [
        "RPC",
        "Calls",
        "Server errors",
        "Other errors",
        "Half within",
        "95 % within",
    ];
    section(page, "rpcs", "Calls by RPC");
    begin(page, "rpcs", &columns);
    let mut service = "";
    for Rpc {
        service: of,
        method,
        calls,
    } in &snapshot.rpcs
    {
        if of != service {
            service = of;
            put!(page; "<tr class=\"group\"><th colspan=\"6\" scope=\"colgroup\">" (service) "</th></tr>");
        }
        let name = match of.as_str() {
            "" => "any other path",
            _ => method,
        };
        let cells = vec![
            Cell::count(calls.all),
            Cell::bad(calls.failed),
            Cell::count(calls.refused),
            Cell::text(Latency(calls.median)),
            Cell::text(Latency(calls.p95)),
        ];
        row(page, &columns, quiet(calls.all), Cell::text(name), cells);
    }
    end(page);
    if !snapshot.reasons.is_empty() {
        put!(page; "<h3>Failed before a provider was asked</h3>");
        reasons(page, &snapshot.reasons);
    }
    put!(page; "</section>");
}

/// Where answers came from, and what that has saved.
pub fn answers(page: &mut Html, snapshot: &Snapshot) {
    let columns = [
        "Provider",
        "Asked",
        "Shared",
        "Cached",
        "Recovered",
        "Expired",
        "Requests saved",
    ];
    section(page, "answers", "Answers since the start");
    put!(page; "<p>Shared, cached and recovered answers cost no request. Recovered ones were paid for by an earlier call whose \
        caller had gone; expired ones were fetched by nobody.</p>");
    begin(page, "answers", &columns);
    for account in &snapshot.accounts {
        let answers = account.answers;
        let Answers {
            asked,
            shared,
            cached,
            recovered,
            expired,
        } = answers;
        let share = Share {
            of: answers.saved(),
            all: answers.all(),
        };
        let saved =
            |cell: &mut Html| put!(cell; "<b>" (Count(answers.saved())) "</b> (" (share) ")");
        let cells = vec![
            Cell::count(asked),
            Cell::count(shared),
            Cell::count(cached),
            Cell::count(recovered),
            Cell::bad(expired),
            Cell::of(saved),
        ];
        let class = quiet(answers.all() + expired);
        row(page, &columns, class, Cell::text(&account.name), cells);
    }
    end(page);
    put!(page; "</section>");
}

/// What is left of the budgets, by rule of the policy file.
pub fn budgets(page: &mut Html, snapshot: &Snapshot) {
    let columns = [
        "Rule",
        "Budget of a caller",
        "Least left",
        "Callers",
        "With nothing left",
    ];
    section(page, "budgets", "Budgets by rule");
    if snapshot.budgets.is_empty() {
        put!(page; "<p>No rule states a budget.</p></section>");
        return;
    }
    put!(page; "<p>Each caller of a rule has its own budget. What is left is that of the caller with the least, of those that \
        have called in this minute or day since the policy file was last read, as far as this process knows.</p>");
    begin(page, "budgets", &columns);
    for Budget {
        rule,
        quota,
        limit,
        callers,
        spent,
        least,
    } in &snapshot.budgets
    {
        let unit = match quota {
            Quota::CallsPerMinute => "calls a minute",
            Quota::ChargedCallsPerDay => "charged calls a day",
        };
        let limited = |cell: &mut Html| put!(cell; (Count(*limit)) " " (unit));
        let left = |cell: &mut Html| {
            put!(cell; "<span class=\"left\">" (Count(*least)) " ");
            meter(cell, *least, *limit);
            put!(cell; "</span>");
        };
        let cells = vec![
            Cell::of(limited),
            Cell::of(left),
            Cell::count(*callers as u64),
            Cell::bad(*spent as u64),
        ];
        row(page, &columns, "", Cell::text(rule), cells);
    }
    end(page);
    if snapshot.more_budgets > 0 {
        put!(page; "<p>" (Count(snapshot.more_budgets as u64)) " more budgets have more left.</p>");
    }
    put!(page; "</section>");
}

/// How much of something is left, as a bar; the number stands beside it.
fn meter(page: &mut Html, left: u64, limit: u64) {
    let part = u128::from(left.min(limit)) * 100 / u128::from(limit.max(1));
    let class = if part < 10 { "failed" } else { "good" };
    put!(page; "<svg class=\"meter\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
        <path class=\"whole\" d=\"M0 0h100v8h-100z\"/><path class=\"" (class) "\" d=\"M0 0h" (part) "v8h-" (part) "z\"/></svg>");
}

/// What became of files that changed.
pub fn reloads(page: &mut Html, snapshot: &Snapshot) {
    let columns = ["Configuration key", "In use", "Last good", "Last rejected"];
    section(page, "reloads", "Reloads");
    if snapshot.reloads.is_empty() {
        put!(page; "<p>No file and no key set has changed since the start.</p></section>");
        return;
    }
    begin(page, "reloads", &columns);
    for Reload {
        key,
        taken,
        rejected,
        in_use,
    } in &snapshot.reloads
    {
        let name = Cell::of(|cell| put!(cell; "<code>" (key) "</code>"));
        let shown = |cell: &mut Html| match in_use {
            InUse::Newest => badge(cell, Tone::Good, "newest version"),
            InUse::Previous => badge(cell, Tone::Warn, "previous version"),
            InUse::Nothing => badge(cell, Tone::Bad, "none"),
        };
        let good = |cell: &mut Html| match taken {
            Some(ago) => put!(cell; (Span(*ago)) " ago"),
            None if *in_use == InUse::Nothing => put!(cell; "–"),
            None => put!(cell; "at the start"),
        };
        let bad = |cell: &mut Html| match rejected {
            Some((ago, why)) => put!(cell; (Span(*ago)) " ago: " (why)),
            None => put!(cell; "–"),
        };
        let cells = vec![Cell::of(shown), Cell::of(good), Cell::of(bad)];
        row(page, &columns, "", name, cells);
    }
    end(page);
    put!(page; "</section>");
}
