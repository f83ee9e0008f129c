//! A gRPC error for human eyes: code and reason, message, then each `google.rpc` detail in the
//! order in which it came.
//!
//! The details are decoded one by one, so that one that is unknown or broken hides none of the
//! others. Every text of the server has its control characters escaped: it stays on its line and
//! cannot steer a terminal.

use std::{collections::BTreeMap, io};

use prost::Message;
use tonic::Status;
use tonic_types::pb;

use crate::{cli::printable::line, status::code_name};

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
        Some(reason) if !reason.is_empty() => writeln!(err, "error: {code} {}", line(&reason))?,
        _ => writeln!(err, "error: {code}")?,
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
