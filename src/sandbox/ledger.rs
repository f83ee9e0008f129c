//! What the providers would have charged: `GET /_sandbox/ledger` shows it, `DELETE` resets it.
//!
//! A request counts as soon as it has arrived in full, before any delay or fault: a caller that
//! gives up waiting is charged all the same. `received` is always the sum of the other three.

use std::sync::{Mutex, PoisonError};

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::reply::{Billing, Reply};

pub(super) const PATH: &str = "/_sandbox/ledger";

/// The provider that a request was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Verifik,
    Youverify,
    Accuauth,
}

impl Provider {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verifik => "verifik",
            Self::Youverify => "youverify",
            Self::Accuauth => "accuauth",
        }
    }
}

#[derive(Default, Serialize)]
struct Counts {
    received: u64,
    billed: u64,
    not_billed: u64,
    unknown: u64,
}

#[derive(Default, Serialize)]
struct Totals {
    verifik: Counts,
    youverify: Counts,
    accuauth: Counts,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<Totals>);

impl Ledger {
    pub fn record(&self, provider: Provider, billing: Billing) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = match provider {
            Provider::Verifik => &mut totals.verifik,
            Provider::Youverify => &mut totals.youverify,
            Provider::Accuauth => &mut totals.accuauth,
        };
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
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Totals::default();
        } else if method != Method::GET {
            let body = json!({ "error": "GET shows the ledger, DELETE resets it" });
            return Reply::json(405, body, Billing::NotBilled);
        }
        Reply::json(200, self.show(), Billing::NotBilled)
    }

    fn show(&self) -> Value {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_value(&*totals).unwrap_or(Value::Null)
    }
}
