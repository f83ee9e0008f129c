//! YouVerify: the Kenyan identity number. Errors have the documented envelope.

mod kenya;

use serde_json::json;

use super::company::{Company, Memory};
use super::reply::{Billing, Received, Reply};
use super::table::Rows;

/// The token that the sandbox takes as YouVerify's.
pub const TOKEN: &str = "sandbox-youverify-token";

pub(super) const COMPANY: Company = Company {
    title: "YouVerify",
    prefixes: &["/v2/api/"],
    credentials: || format!("token: {TOKEN}"),
    lookups: &[kenya::LOOKUP],
    answer,
    rows,
};

fn answer(received: &Received, memory: &Memory) -> Reply {
    match received.path.as_str() {
        kenya::PATH => kenya::answer(received, &memory.fixtures),
        _ => wrong_route(),
    }
}

fn rows(rows: &mut Rows) {
    kenya::rows(rows);
}

/// The refusal of a request without the sandbox's token.
fn credential(received: &Received) -> Option<Reply> {
    match received.header("token") {
        Some(TOKEN) => None,
        Some(_) => Some(error(403, "Invalid API token.", "UnauthorizedError")),
        None => Some(error(401, "API token is missing.", "UnauthorizedError")),
    }
}

/// The documented error: a route or a resource of theirs that does not exist, not a person.
fn wrong_route() -> Reply {
    let message = "You have attempted to get a resource that does not exist.";
    error(404, message, "ResourceNotFoundError")
}

fn error(status: u16, message: &str, name: &str) -> Reply {
    let body = json!({
        "success": false,
        "statusCode": status,
        "message": message,
        "name": name,
        "data": {}
    });
    Reply::json(status, body, Billing::NotBilled)
}
