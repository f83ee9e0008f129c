//! What the providers would have charged: `GET /_sandbox/ledger` shows it, `DELETE` resets it.
//!
//! A request counts as soon as it has arrived in full, before any delay or fault: a caller that
//! gives up waiting is charged all the same. `received` is always the sum of the other three.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::reply::{Billing, Reply};
use crate::domain::verification::Provider;

pub(super) const PATH: &str = "/_sandbox/ledger";

#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    received: u64,
    billed: u64,
    not_billed: u64,
    unknown: u64,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<HashMap<Provider, Counts>>);

impl Ledger {
    pub fn record(&self, provider: Provider, billing: Billing) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = totals.entry(provider).or_default();
        counts.received += 1;
        match billing {
            Billing::Billed => counts.billed += 1,
            Billing::NotBilled => counts.not_billed += 1,
            Billing::Unknown => counts.unknown += 1,
        }
    }

    /// Answers a request to [`PATH`].
    pub fn answer(&self, method: &Method) -> Reply {
        if method == Method::DELETE {
            let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            totals.clear();
        } else if method != Method::GET {
            let body = json!({ "error": "GET shows the ledger, DELETE resets it" });
            return Reply::json(405, body, Billing::NotBilled);
        }
        Reply::json(200, self.show(), Billing::NotBilled)
    }

    /// Every provider, also one that was asked nothing.
    pub fn show(&self) -> Value {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = Provider::ALL.into_iter().map(|provider| {
            let counts = totals.get(&provider).copied().unwrap_or_default();
            (provider.as_str().to_owned(), json!(counts))
        });
        Value::Object(shown.collect::<Map<_, _>>())
    }
}
