//! The last requests, for whoever wonders what a test has sent: `GET /_sandbox/requests` as JSON, `GET /_sandbox` as a
//! page with the ledger beside them. No identifier and no body is kept: people may send what is real.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::company::company;
use super::ledger::Ledger;
use super::reply::{Billing, Received, Reply};
use crate::domain::verification::Provider;

pub(super) const PATH: &str = "/_sandbox/requests";
pub(super) const PAGE: &str = "/_sandbox";
/// So many are kept.
const KEPT: usize = 100;

#[derive(Serialize)]
struct Seen {
    at: String,
    provider: &'static str,
    method: &'static str,
    path: &'static str,
    status: u16,
    billing: &'static str,
    /// What became of the answer on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    delay_ms: u128,
}

#[derive(Default)]
pub(super) struct Requests(Mutex<VecDeque<Seen>>);

impl Requests {
    pub fn record(&self, provider: Provider, received: &Received, reply: &Reply) {
        let seen = Seen {
            at: Timestamp::now().to_string(),
            provider: provider.as_str(),
            method: word(&received.method),
            path: documented(&received.path),
            status: reply.status,
            billing: match reply.billing {
                Billing::Billed => "billed",
                Billing::NotBilled => "not_billed",
                Billing::Unknown => "unknown",
            },
            fault: reply.fault.map(|fault| fault.answer()),
            delay_ms: reply.delay.as_millis(),
        };
        let mut kept = self.lock();
        kept.truncate(KEPT - 1);
        kept.push_front(seen);
    }

    /// The newest first.
    pub fn answer(&self) -> Reply {
        Reply::json(200, json!(*self.lock()), Billing::NotBilled)
    }

    pub fn page(&self, ledger: &Ledger) -> Reply {
        let mut page = String::from(HEAD);
        page.push_str(
            "<h2>Ledger</h2><table><tr><th>Provider<th>received<th>billed<th>not billed<th>unknown",
        );
        for (provider, counts) in ledger.show().as_object().into_iter().flatten() {
            let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
            let [received, billed, free, unknown] =
                ["received", "billed", "not_billed", "unknown"].map(count);
            // Writing to a String cannot fail.
            let _ = write!(
                page,
                "<tr><td>{provider}<td>{received}<td>{billed}<td>{free}<td>{unknown}"
            );
        }
        page.push_str("</table><h2>Last requests</h2><table><tr><th>Time<th>Provider<th>Request<th>Status<th>Billing<th>Fault, delay");
        for seen in &*self.lock() {
            let Seen {
                at,
                provider,
                method,
                path,
                status,
                billing,
                fault,
                delay_ms,
            } = seen;
            let fault = fault.unwrap_or_default();
            let _ = write!(
                page,
                "<tr><td>{at}<td>{provider}<td>{method} {path}<td>{status}<td>{billing}<td>{fault}"
            );
            if *delay_ms > 0 {
                let _ = write!(page, " {delay_ms} ms");
            }
        }
        page.push_str("</table>");
        Reply::html(200, page)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Provider sandbox</title>\
    <meta name=viewport content=\"width=device-width\"><style>:root{color-scheme:light dark;font:14px system-ui}\
    body{margin:2em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}\
    th,td{padding:.2em .8em;text-align:left;border-bottom:1px solid #8884}</style><h1>Provider sandbox</h1>\
    <p>Fictional people only. <code>DELETE /_sandbox/ledger</code> resets the ledger; <a href=/_sandbox/ledger>ledger</a> and \
    <a href=/_sandbox/requests>requests</a> as JSON.";

/// The path as its provider documents it. An id in it is `{id}`, and what nobody documents is not repeated.
fn documented(path: &str) -> &'static str {
    let lookups = Provider::ALL
        .into_iter()
        .flat_map(|one| company(one).lookups);
    if let Some(lookup) = lookups.into_iter().find(|lookup| lookup.path == path) {
        return lookup.path;
    }
    match path.strip_prefix("/v2/persons") {
        Some("" | "/") => "/v2/persons",
        Some("/liveness") => "/v2/persons/liveness",
        Some(rest) if rest.starts_with('/') => "/v2/persons/{id}",
        _ => "a path that the provider does not have",
    }
}

fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "another method",
    }
}
