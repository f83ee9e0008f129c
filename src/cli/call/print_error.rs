//! A gRPC error for human eyes: code and reason, message, then each `google.rpc` detail in the
//! order in which it came.
//!
//! The details are decoded one by one, so that one that is unknown or broken hides none of the
//! others. Every text of the server has its control characters escaped: it stays on its line and
//! cannot steer a terminal.

use std::{collections::BTreeMap, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::pb;

use crate::{
    cli::{
        printable::line,
        terminal::{ERROR, HEADING},
    },
    status::code_name,
};

const ERROR_INFO: &str = "google.rpc.ErrorInfo";

/// Writes `status` with its details.
pub(crate) fn print(status: &Status, err: &mut impl io::Write) -> io::Result<()> {
    let details = pb::Status::decode(status.details());
    let reason = details
        .iter()
        .flat_map(|status| &status.details)
        .find_map(|any| {
            let info = (type_name(&any.type_url) == ERROR_INFO)
                .then(|| pb::ErrorInfo::decode(any.value.as_slice()));
            Some(info?.ok()?.reason)
        });
    let code = code_name(status.code());
    match reason {
        Some(reason) if !reason.is_empty() => writeln!(
            err,
            "{ERROR}error:{ERROR:#} {HEADING}{code} {}{HEADING:#}",
            line(&reason)
        )?,
        _ => writeln!(err, "{ERROR}error:{ERROR:#} {HEADING}{code}{HEADING:#}")?,
    }
    writeln!(err, "message: {}", line(status.message()))?;
    match details {
        Ok(status) => status.details.iter().try_for_each(|any| {
            for text in detail(&any.type_url, &any.value) {
                writeln!(err, "{text}")?;
            }
            Ok(())
        }),
        Err(_) => writeln!(err, "details: not a google.rpc.Status"),
    }
}

/// `status` as JSON: code, number, reason if there is one, message, and each detail as proto JSON with its `@type`.
pub(crate) fn json(status: &Status) -> Value {
    let details = pb::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<_> = details.details.iter().map(detail_as_json).collect();
    let info = |detail: &&Value| {
        let named = detail.get("@type").and_then(Value::as_str);
        named.is_some_and(|named| type_name(named) == ERROR_INFO)
    };
    let reason = details
        .iter()
        .find(info)
        .and_then(|info| info.get("reason").cloned());
    let mut error = json!({
        "code": code_name(status.code()),
        "status": i32::from(status.code()),
        "message": status.message(),
        "details": details,
    });
    if let (Some(reason), Some(error)) = (reason, error.as_object_mut()) {
        error.insert("reason".to_owned(), reason);
    }
    json!({ "error": error })
}

/// What is unknown or broken is kept as it came, in base64.
fn detail_as_json(any: &prost_types::Any) -> Value {
    let pool = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).ok();
    let known = pool.and_then(|pool| pool.get_message_by_name(type_name(&any.type_url)));
    let message = known.and_then(|known| DynamicMessage::decode(known, any.value.as_slice()).ok());
    let options = SerializeOptions::new().use_proto_field_name(true);
    let read = message.and_then(|message| {
        let read = message.serialize_with_options(serde_json::value::Serializer, &options);
        read.ok()?.as_object().cloned()
    });
    let mut object = Map::from_iter([("@type".to_owned(), json!(any.type_url))]);
    match read {
        Some(fields) => object.extend(fields),
        None => object.extend([("value".to_owned(), json!(STANDARD.encode(&any.value)))]),
    }
    Value::Object(object)
}

/// The lines of one detail.
fn detail(type_url: &str, value: &[u8]) -> Vec<String> {
    let lines = match type_name(type_url) {
        ERROR_INFO => decoded(value, error_info),
        "google.rpc.BadRequest" => decoded(value, bad_request),
        "google.rpc.PreconditionFailure" => decoded(value, precondition_failure),
        "google.rpc.QuotaFailure" => decoded(value, quota_failure),
        "google.rpc.RetryInfo" => decoded(value, retry_info),
        "google.rpc.ResourceInfo" => decoded(value, |it: pb::ResourceInfo| {
            let it = [it.resource_type, it.resource_name, it.owner, it.description];
            vec![format!("ResourceInfo: {}", joined(&it))]
        }),
        "google.rpc.RequestInfo" => decoded(value, |it: pb::RequestInfo| {
            vec![format!(
                "RequestInfo: {}",
                joined(&[it.request_id, it.serving_data])
            )]
        }),
        "google.rpc.LocalizedMessage" => decoded(value, |it: pb::LocalizedMessage| {
            vec![format!(
                "LocalizedMessage: {}",
                joined(&[it.locale, it.message])
            )]
        }),
        "google.rpc.Help" => decoded(value, |help: pb::Help| {
            let links = help.links.into_iter();
            let links = links.map(|it| format!("Help: {}", joined(&[it.description, it.url])));
            links.collect()
        }),
        "google.rpc.DebugInfo" => decoded(value, |it: pb::DebugInfo| {
            let stack = it
                .stack_entries
                .iter()
                .map(|entry| format!("  {}", line(entry)));
            [format!("DebugInfo: {}", line(&it.detail))]
                .into_iter()
                .chain(stack)
                .collect()
        }),
        _ => Some(vec![format!("{}: {} bytes", line(type_url), value.len())]),
    };
    lines.unwrap_or_else(|| vec![format!("{}: cannot be read", line(type_url))])
}

fn decoded<T: Message + Default>(
    value: &[u8],
    lines: impl FnOnce(T) -> Vec<String>,
) -> Option<Vec<String>> {
    T::decode(value).ok().map(lines)
}

fn error_info(info: pb::ErrorInfo) -> Vec<String> {
    let (domain, reason) = (line(&info.domain), line(&info.reason));
    let mut lines = vec![format!("ErrorInfo: domain={domain} reason={reason}")];
    let sorted = BTreeMap::from_iter(info.metadata);
    lines.extend(
        sorted
            .iter()
            .map(|(key, value)| format!("  {}: {}", line(key), line(value))),
    );
    lines
}

fn bad_request(failure: pb::BadRequest) -> Vec<String> {
    let violations = failure.field_violations.into_iter();
    violations
        .map(|it| {
            format!(
                "BadRequest: {}",
                joined(&[it.field, it.reason, it.description])
            )
        })
        .collect()
}

fn precondition_failure(failure: pb::PreconditionFailure) -> Vec<String> {
    let violations = failure.violations.into_iter();
    violations
        .map(|it| {
            format!(
                "PreconditionFailure: {}",
                joined(&[it.r#type, it.subject, it.description])
            )
        })
        .collect()
}

fn quota_failure(failure: pb::QuotaFailure) -> Vec<String> {
    let violations = failure.violations.into_iter();
    violations
        .map(|it| {
            format!(
                "QuotaFailure: {}",
                joined(&[it.subject, it.quota_id, it.description])
            )
        })
        .collect()
}

fn retry_info(info: pb::RetryInfo) -> Vec<String> {
    vec![match info.retry_delay {
        Some(delay) => format!("RetryInfo: retry after {delay}"),
        None => "RetryInfo: retry".to_owned(),
    }]
}

/// `type.googleapis.com/google.rpc.Help` is `google.rpc.Help`.
fn type_name(type_url: &str) -> &str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}

/// The texts that are not empty.
fn joined(texts: &[String]) -> String {
    let texts: Vec<_> = texts
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| line(text))
        .collect();
    texts.join(": ")
}
