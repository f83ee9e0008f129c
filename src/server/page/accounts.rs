//! The providers' accounts: whether each can be asked, how it answers, and why not.

use super::{
    charts,
    html::{Html, put},
    parts::{Tone, badge, outcomes, reasons},
    snapshot::{Account, Circuit, Snapshot},
    words::{self, Count, Latency, Share, Span},
};
use crate::config::ProviderState;

/// Less than that before it expires, a token is marked.
const SOON: i64 = 7 * 24 * 60 * 60;

/// All of them.
pub fn write(page: &mut Html, snapshot: &Snapshot) {
    let reach = Span(snapshot.reach);
    put!(page; "<section aria-labelledby=\"providers\"><h2 id=\"providers\">Providers</h2><p>Requests and failures of the last "
        (reach) ", retries among them. A bar is 15 s, the newest on the right; what failed hangs below the line. Of latencies the \
        light bar is 95 %, the dark one half of the requests.</p><div class=\"accounts\">");
    for account in &snapshot.accounts {
        self::account(page, account);
    }
    put!(page; "</div></section>");
}

fn account(page: &mut Html, account: &Account) {
    put!(page; "<article class=\"card\"><h3>" (account.name) "</h3><p class=\"badges\">");
    match account.state {
        ProviderState::Live => badge(page, Tone::Good, "live"),
        ProviderState::Sandbox => badge(page, Tone::Off, "sandbox"),
        ProviderState::NotConfigured => badge(page, Tone::Off, "not configured"),
    }
    let Some(circuit) = account.circuit else {
        put!(page; "</p><p>It has no credential: its RPCs fail with <code>PROVIDER_NOT_CONFIGURED</code>.</p></article>");
        return;
    };
    put!(page; " ");
    match circuit {
        Circuit::Closed => badge(page, Tone::Good, "circuit closed"),
        Circuit::Open(left) => {
            let left = Span(left);
            badge(page, Tone::Bad, format_args!("circuit open for {left}"));
        }
        Circuit::Waiting => badge(page, Tone::Warn, "circuit open, next call tries"),
        Circuit::HalfOpen => badge(page, Tone::Warn, "circuit half-open"),
    }
    put!(page; "</p><dl class=\"inline\"><div><dt>Host</dt><dd>" (account.host) "</dd></div><div><dt>Price</dt><dd>");
    match account.price {
        Some(price) => put!(page; (String::from(price)) " a billed result"),
        None => put!(page; "not set"),
    }
    put!(page; "</dd></div><div><dt>Credential</dt><dd>");
    match account.expires {
        None => put!(page; "does not say when it expires"),
        Some(left) if left < 0 => badge(page, Tone::Bad, words::expiry(left)),
        Some(left) if left < SOON => badge(page, Tone::Warn, words::expiry(left)),
        Some(left) => page.text(words::expiry(left)),
    }
    put!(page; "</dd></div><div><dt>Now</dt><dd>" (Count(account.in_flight)) " in flight, " (Count(account.queued))
        " waiting</dd></div></dl>");
    requests(page, account);
    if account.reasons.is_empty() {
        put!(page; "<p class=\"none\">No call failed because of it.</p>");
    } else {
        put!(page; "<h4>Why calls failed</h4>");
        reasons(page, &account.reasons);
    }
    put!(page; "</article>");
}

fn requests(page: &mut Html, account: &Account) {
    let Account { name, requests, .. } = account;
    let share = Share {
        of: requests.failed,
        all: requests.all,
    };
    put!(page; "<div class=\"charts\"><div><h4>Requests <b>" (Count(requests.all)) "</b> <span class=\"" 
        (if requests.failed > 0 { "bad" } else { "" }) "\">failed <b>" (Count(requests.failed)) "</b> (" (share) ")</span></h4>");
    charts::outcomes(
        page,
        format_args!("Requests to {name} by time: {}", outcomes(requests)),
        &requests.slots,
    );
    put!(page; "</div><div><h4>Latency half <b>" (Latency(requests.median)) "</b> 95 % <b>" (Latency(requests.p95)) "</b></h4>");
    let (median, p95) = (Latency(requests.median), Latency(requests.p95));
    charts::latencies(
        page,
        format_args!("Latency of {name} by time: half within {median}, 95 % within {p95}"),
        &requests.slots,
    );
    put!(page; "</div></div>");
    if !account.errors.is_empty() {
        put!(page; "<p>HTTP errors and broken requests:");
        for (error, count) in &account.errors {
            put!(page; " <span class=\"error\"><code>" (error) "</code> " (Count(*count)) "</span>");
        }
        put!(page; "</p>");
    }
}
