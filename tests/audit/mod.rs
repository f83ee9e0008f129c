//! The audit of the program itself, over real sockets, files and signals: what is recorded, what is
//! refused, and what `audit verify` says of it.

mod bill;
mod commands;
mod keyed;
mod program;
mod records;
mod required;

use identity_gateway::proto::identity::v1::CheckCurpRequest;
use serde_json::Value;
use tonic::Request;

/// A CURP that the sandbox knows, and the answer is charged.
const FOUND: &str = "RAZR811011HVZXPB01";
/// One whose answer takes two seconds.
const SLOW: &str = "LENT900101HDFSND07";

fn curp(curp: &str) -> CheckCurpRequest {
    CheckCurpRequest {
        curp: curp.to_owned(),
        ..CheckCurpRequest::default()
    }
}

fn with_purpose<T>(message: T, purpose: &str) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("x-purpose", purpose.parse().unwrap());
    request
}

/// The records of one event.
fn of_event<'a>(records: &'a [Value], event: &str) -> Vec<&'a Value> {
    let is_it = |record: &&Value| record["event"] == event;
    records.iter().filter(is_it).collect()
}
