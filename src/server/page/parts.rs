//! The sections of the page. Each has a heading, and each figure its words: a picture or a colour says nothing alone.

use super::{
    charts,
    html::{Html, put},
    runbook,
    snapshot::{Answers, Calls, Program, Reason, Snapshot, Warning},
    watched::Level,
    words::{Bytes, Count, Latency, Share, Span, Things},
};
use crate::server::lifecycle::Phase;

/// What a badge says beside its word, by its colour and by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Warn,
    /// Somebody has to act.
    Bad,
    /// Neither.
    Off,
}

impl From<Level> for Tone {
    fn from(level: Level) -> Self {
        match level {
            Level::Alarm => Self::Bad,
            Level::Warning => Self::Warn,
        }
    }
}

/// A word with a shape before it.
pub fn badge(page: &mut Html, tone: Tone, word: impl std::fmt::Display) {
    let (class, shape) = match tone {
        Tone::Good => ("good", "●"),
        Tone::Warn => ("warn", "▲"),
        Tone::Bad => ("bad", "■"),
        Tone::Off => ("off", "○"),
    };
    put!(page; "<span class=\"badge " (class) "\"><span aria-hidden=\"true\">" (shape) "</span> " (word) "</span>");
}

/// What runs, for how long, and whether all is well.
pub fn head(page: &mut Html, snapshot: &Snapshot) {
    let Program {
        version,
        commit,
        up,
        at,
        phase,
        ..
    } = &snapshot.program;
    let (tone, word) = match phase {
        Phase::Serving => (Tone::Good, "Serving"),
        Phase::LameDuck => (Tone::Warn, "Leaving: calls are still taken"),
        Phase::Draining => (Tone::Warn, "Leaving: new calls are refused"),
    };
    put!(page; "<p class=\"about\">");
    badge(page, tone, word);
    put!(page; " <span>version <b>" (version) "</b></span> <span>commit <code title=\"" (commit) "\">" (short(commit))
        "</code></span> <span>up <b>" (Span(*up)) "</b></span> <span>at <time datetime=\"" (at) "\">" (at.strftime("%H:%M:%S"))
        " UTC</time></span></p>");
    put!(page; "<section aria-labelledby=\"attention\"><div role=\"status\"><h2 id=\"attention\">" (attention(snapshot)) "</h2></div>");
    if !snapshot.notices.is_empty() {
        put!(page; "<ul class=\"notices\">");
        for notice in &snapshot.notices {
            let word = match notice.level {
                Level::Alarm => "Alarm",
                Level::Warning => "Warning",
            };
            put!(page; "<li>");
            badge(page, notice.level.into(), word);
            put!(page; " <span>" (notice.words) "</span>");
            if let Some(section) = notice.section {
                put!(page; " <a href=\"runbook#" (runbook::anchor(section)) "\">What to do<span class=\"unseen\">: " (section)
                    "</span></a>");
            }
            put!(page; "</li>");
        }
        put!(page; "</ul>");
    }
    put!(page; "</section>");
}

/// The one sentence that sums it up.
#[must_use]
pub fn attention(snapshot: &Snapshot) -> String {
    match snapshot.notices.len() {
        0 => "Nothing needs attention".to_owned(),
        1 => "1 thing needs attention".to_owned(),
        more => format!("{more} things need attention"),
    }
}

/// A commit as people write it.
fn short(commit: &str) -> &str {
    let is_hash = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    commit.get(..12).filter(|_| is_hash).unwrap_or(commit)
}

/// The figures that are looked at first.
pub fn figures(page: &mut Html, snapshot: &Snapshot) {
    let Snapshot {
        program,
        calls,
        reach,
        ..
    } = snapshot;
    let answers = snapshot.accounts.iter().map(|account| account.answers);
    let answers = answers.fold(Answers::default(), |sum, one| sum.with(one));
    let reach = Span(*reach);
    put!(page; "<section aria-labelledby=\"figures\"><h2 id=\"figures\">The last " (reach) "</h2><div class=\"figures\">");
    figure(page, "Calls", Count(calls.all), |page| {
        charts::outcomes(
            page,
            format_args!("Calls by time: {}", outcomes(calls)),
            &calls.slots,
        );
    });
    figure(page, "Server errors", Count(calls.failed), |page| {
        let share = Share {
            of: calls.failed,
            all: calls.all,
        };
        put!(page; (share) " of the calls; " (Things(calls.refused, "other error")) );
    });
    figure(page, "Latency, 95 %", Latency(calls.p95), |page| {
        put!(page; "half of the calls: " (Latency(calls.median)));
    });
    figure(page, "In flight now", Count(program.in_flight), |page| {
        page.text(Things(program.connections, "connection"));
    });
    figure(page, "Requests saved", Count(answers.saved()), |page| {
        let share = Share {
            of: answers.saved(),
            all: answers.all(),
        };
        put!(page; (share) " of the answers since the start");
    });
    figure(
        page,
        "Memory",
        Bytes(program.memory),
        |page| match program.max_memory {
            Some(limit) => put!(page; "calls are refused above " (Bytes(limit))),
            None => put!(page; "no limit is set"),
        },
    );
    put!(page; "</div></section>");
}

fn figure(
    page: &mut Html,
    name: &'static str,
    value: impl std::fmt::Display,
    note: impl FnOnce(&mut Html),
) {
    put!(page; "<div class=\"figure\"><h3>" (name) "</h3><p class=\"value\">" (value) "</p><div class=\"note\">");
    note(page);
    put!(page; "</div></div>");
}

/// What a chart of outcomes shows, in words.
pub fn outcomes(calls: &Calls) -> String {
    let (all, failed) = (Count(calls.all), Count(calls.failed));
    format!("{all}, of which {failed} failed")
}

/// Why calls failed, and when.
pub fn reasons(page: &mut Html, reasons: &[Reason]) {
    put!(page; "<ul class=\"reasons\">");
    for Reason {
        name,
        count,
        slots,
        last,
    } in reasons
    {
        put!(page; "<li><code>" (name) "</code><span class=\"count\">" (Count(*count)) "</span>");
        charts::counts(page, format_args!("{name} by time: {count}"), slots);
        match last.as_secs() {
            0 => put!(page; "<span class=\"ago\">just now</span></li>"),
            _ => put!(page; "<span class=\"ago\">" (Span(*last)) " ago</span></li>"),
        }
    }
    put!(page; "</ul>");
}

/// How the gateway is set up, and what of it answers health checks.
pub fn set_up(page: &mut Html, snapshot: &Snapshot) {
    section(page, "set-up", "Set-up");
    put!(page; "<div class=\"halves\"><dl class=\"facts\">");
    for fact in &snapshot.facts {
        put!(page; "<div><dt>" (fact.name) "</dt><dd>" (fact.value) "</dd></div>");
    }
    put!(page; "</dl><div><h3>Health services</h3><ul class=\"plain\">");
    for (service, serving) in &snapshot.health {
        let (tone, word) = match serving {
            true => (Tone::Good, "SERVING"),
            false => (Tone::Bad, "NOT_SERVING"),
        };
        put!(page; "<li>");
        badge(page, tone, word);
        match service.as_str() {
            "" => put!(page; " <span>the process (<code>\"\"</code>)</span></li>"),
            named => put!(page; " <code>" (named) "</code></li>"),
        }
    }
    put!(page; "</ul></div></div>");
    if !snapshot.warnings.is_empty() {
        put!(page; "<h3>Warned of at the start</h3><ul class=\"plain\">");
        for Warning { name, key, problem } in &snapshot.warnings {
            put!(page; "<li>");
            badge(page, Tone::Warn, name);
            put!(page; " <code>" (key) "</code> <span>" (problem) "</span></li>");
        }
        put!(page; "</ul>");
    }
    put!(page; "</section>");
}

/// Begins a section.
pub fn section(page: &mut Html, id: &'static str, title: &'static str) {
    put!(page; "<section class=\"card\" aria-labelledby=\"" (id) "\"><h2 id=\"" (id) "\">" (title) "</h2>");
}
