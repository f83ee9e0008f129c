//! AccuAuth: the Mexican CURP. Error answers are those of section 4.

mod curp;

use serde_json::json;
use uuid::Uuid;

use super::company::{Company, Memory};
use super::reply::{Billing, Received, Reply};
use super::table::Rows;

/// The API id that the sandbox takes as AccuAuth's.
pub const API_ID: &str = "sandbox-api-id";
/// The API secret that the sandbox takes as AccuAuth's.
pub const API_SECRET: &str = "sandbox-api-secret";

pub(super) const COMPANY: Company = Company {
    title: "AccuAuth",
    prefixes: &["/verify/"],
    credentials: || format!("x-df-api-id: {API_ID}  x-df-api-secret: {API_SECRET}"),
    lookups: &[curp::LOOKUP],
    answer,
    rows,
};

fn answer(received: &Received, memory: &Memory) -> Reply {
    match received.path.as_str() {
        curp::PATH => curp::answer(received, &memory.fixtures),
        _ => wrong_route(),
    }
}

fn rows(rows: &mut Rows) {
    curp::rows(rows);
}

/// The refusal of a request without the sandbox's id and secret.
fn credential(received: &Received) -> Option<Reply> {
    let given = ["x-df-api-id", "x-df-api-secret"].map(|name| received.header(name));
    (given != [Some(API_ID), Some(API_SECRET)])
        .then(|| error(401, "UNAUTHORIZED", "invalid API ID or API secret"))
}

fn wrong_route() -> Reply {
    error(404, "NOT_FOUND", "requested API cannot be found")
}

fn error(http_status: u16, status: &str, reason: &str) -> Reply {
    let body = json!({ "status": status, "reason": reason, "request_id": request_id() });
    Reply::json(http_status, body, Billing::NotBilled)
}

fn request_id() -> String {
    format!("TID{}", Uuid::new_v4().simple())
}
