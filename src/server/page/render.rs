//! A snapshot as an HTML page: a pure function. Style and script stand in the page, and are the only ones that its
//! policy allows, by their hashes.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    accounts,
    html::{Html, put},
    parts, runbook,
    snapshot::Snapshot,
    tables,
};
use crate::sha256::Sha256;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The mark in the browser's tab.
const ICON: &str = "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'\
    %3E%3Crect width='16' height='16' rx='3' fill='%230b5cad'/%3E%3Cpath d='M3 8.5 6.5 12 13 5' fill='none' stroke='white' \
    stroke-width='2'/%3E%3C/svg%3E\">";

/// What a browser may load and run: the style and the script of the page, and the page again.
pub fn policy() -> HeaderValue {
    static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        let (style, script) = (hash(STYLE), hash(SCRIPT));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).ok()
    });
    // It is ASCII: there always is one. Without it nothing would be allowed.
    let nothing = || HeaderValue::from_static("default-src 'none'");
    POLICY.clone().unwrap_or_else(nothing)
}

/// The status page.
#[must_use]
pub fn status(snapshot: &Snapshot) -> String {
    let mut page = Html::default();
    put!(page; "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" (parts::attention(snapshot))
        " · identity-gateway</title><noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>");
    head(&mut page);
    put!(page; "<header><h1>identity-gateway</h1><p id=\"state\" role=\"status\">Refreshed every 30 s</p>\
        <button id=\"pause\" type=\"button\" hidden>Pause</button></header><main id=\"main\"><div id=\"live\">");
    body(&mut page, snapshot);
    put!(page; "</div></main><footer><nav aria-label=\"Other pages\"><ul><li><a href=\"metrics\">Metrics</a></li>\
        <li><a href=\"readyz\">Readiness</a></li><li><a href=\"livez\">Liveness</a></li>\
        <li><a href=\"log\">Log filter</a></li><li><a href=\"runbook\">Runbook</a></li></ul></nav>\
        <p>Figures are those of this process alone. No personal data.</p></footer><script>");
    page.markup(SCRIPT);
    put!(page; "</script></body></html>");
    page.into_string()
}

/// What is refreshed.
fn body(page: &mut Html, snapshot: &Snapshot) {
    parts::head(page, snapshot);
    parts::figures(page, snapshot);
    accounts::write(page, snapshot);
    tables::rpcs(page, snapshot);
    tables::answers(page, snapshot);
    // Money by rule, of today and of this month, has its place here.
    tables::budgets(page, snapshot);
    tables::reloads(page, snapshot);
    parts::set_up(page, snapshot);
}

/// The runbook.
#[must_use]
pub fn runbook() -> String {
    let mut page = Html::default();
    put!(page; "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Runbook · identity-gateway</title>");
    head(&mut page);
    put!(page; "<header><h1>Runbook of identity-gateway</h1></header><main id=\"main\"><p><a href=\"./\">Status</a></p>");
    runbook::write(&mut page);
    put!(page; "</main></body></html>");
    page.into_string()
}

/// The rest of the head, and the way past what every page has.
fn head(page: &mut Html) {
    put!(page; "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.markup(ICON);
    put!(page; "<style>");
    page.markup(STYLE);
    put!(page; "</style></head><body><a class=\"skip\" href=\"#main\">Skip to the figures</a>");
}

#[cfg(test)]
mod tests;
