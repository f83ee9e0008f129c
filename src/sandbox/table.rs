//! The published table: which request gets which answer, and what the gateway makes of it.
//!
//! It is built from the same cases that the sandbox answers by, so that it cannot say anything else.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::company::company;
use crate::domain::verification::Provider;

/// One request that the sandbox knows.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `verifik`, `youverify` or `accuauth`.
    pub provider: &'static str,
    /// The RPC, such as `idgw.identity.v1.IdentityService/CheckCurp`.
    pub method: &'static str,
    /// The request of that RPC as proto JSON, with the names of the proto files.
    pub request: &'static str,
    /// What the sandbox answers, in a few words: `403 OUT_OF_QUOTA`.
    pub answer: &'static str,
    /// What the gateway makes of it: code and outcome, or code and reason.
    pub gives: &'static str,
}

impl Row {
    fn service(&self) -> &'static str {
        self.method.split('/').next().unwrap_or_default()
    }
}

/// The rows of one provider, as they are added.
pub(super) struct Rows {
    provider: Provider,
    rows: Vec<Row>,
}

impl Rows {
    fn of(provider: Provider) -> Vec<Row> {
        let mut rows = Self {
            provider,
            rows: Vec::new(),
        };
        (company(provider).rows)(&mut rows);
        rows.rows
    }

    pub fn add(
        &mut self,
        method: &'static str,
        request: String,
        answer: &'static str,
        gives: &'static str,
    ) {
        self.rows.push(Row {
            provider: self.provider.as_str(),
            method,
            // Once in the life of the process: the table is a static.
            request: request.leak(),
            answer,
            gives,
        });
    }
}

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<_> = Provider::ALL.into_iter().flat_map(Rows::of).collect();
    // The services one after the other, in each the companies.
    rows.sort_by_key(Row::service);
    rows
});

/// Every request that the sandbox knows. Rows do not depend on each other and may be repeated.
#[must_use]
pub fn table() -> &'static [Row] {
    &TABLE
}

/// [`table`] as a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| Provider | Method | Request | The sandbox answers | The gateway gives |\n\
         |---|---|---|---|---|\n",
    );
    for row in table() {
        let method = row.method.rsplit('/').next().unwrap_or(row.method);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | `{method}` | `{}` | {} | `{}` |",
            row.provider, row.request, row.answer, row.gives
        );
    }
    text
}
