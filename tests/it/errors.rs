//! What every error of the gateway must look like, and what a row expects of it besides.

use identity_gateway::proto::descriptors;
use prost::Message as _;
use serde_json::Value;
use tonic::Status;
use tonic_types::{ErrorDetail, StatusExt as _, pb};

use crate::it::{
    cases::{Case, Cost},
    table::Fails,
};

const KEYS: [&str; 6] = [
    "recoverable_until",
    "provider",
    "provider_code",
    "http_status",
    "verification_id",
    "billing",
];

/// An error, taken apart.
#[derive(Default)]
struct Parts {
    infos: Vec<tonic_types::ErrorInfo>,
    retry: Option<std::time::Duration>,
    quota: bool,
    precondition: bool,
    fields: Vec<String>,
    strange: bool,
}

impl Parts {
    fn of(status: &Status) -> Self {
        let mut parts = Self::default();
        for detail in status.get_error_details_vec() {
            match detail {
                ErrorDetail::ErrorInfo(info) => parts.infos.push(info),
                ErrorDetail::RetryInfo(info) => parts.retry = info.retry_delay,
                ErrorDetail::QuotaFailure(failure) => parts.quota = !failure.violations.is_empty(),
                ErrorDetail::PreconditionFailure(failure) => {
                    parts.precondition = !failure.violations.is_empty();
                }
                ErrorDetail::BadRequest(bad) => {
                    let fields = bad.field_violations.into_iter();
                    parts.fields.extend(fields.map(|violation| violation.field));
                }
                _ => parts.strange = true,
            }
        }
        parts
    }
}

/// Everything that is wrong with an error. `verification` says whether it is one of a verification
/// whose request passed its checks.
pub fn problems(status: &Status, expected: &Fails, provider: &str, lookup: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut same = |what: &str, found: String, wanted: String| {
        if found != wanted {
            problems.push(format!("{what}: {found} instead of {wanted}"));
        }
    };
    let parts = Parts::of(status);
    let case: &Case = expected.case;
    same(
        "code",
        format!("{:?}", status.code()),
        format!("{:?}", case.code),
    );
    same(
        "number of ErrorInfo",
        parts.infos.len().to_string(),
        "1".into(),
    );
    let info = parts.infos.into_iter().next();
    let info = info.unwrap_or_else(|| tonic_types::ErrorInfo::new("", "", []));
    same("domain", info.domain.clone(), "identity-gateway".into());
    same("reason", info.reason.clone(), case.reason.into());

    // An error that says nothing of the cost is about no provider.
    let about_provider = expected.billing.is_some();
    let get = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
    let wanted = |value: Option<String>| value.unwrap_or_default();
    for (key, value) in [
        ("provider", about_provider.then(|| provider.to_owned())),
        ("provider_code", expected.provider_code.map(str::to_owned)),
        (
            "http_status",
            expected.http_status.map(|status| status.to_string()),
        ),
        ("billing", expected.billing.map(str::to_owned)),
    ] {
        same(key, get(key), wanted(value));
    }
    let unknown: Vec<_> = info
        .metadata
        .keys()
        .filter(|key| !KEYS.contains(&key.as_str()))
        .collect();
    let until = info.metadata.get("recoverable_until");
    let until = until.map(|until| until.parse::<jiff::Timestamp>().is_ok());
    let expected_until = expected.recoverable.then_some(true);
    same(
        "recoverable_until",
        format!("{until:?}"),
        format!("{expected_until:?}"),
    );
    same("other metadata", format!("{unknown:?}"), "[]".into());
    let id = get("verification_id");
    let version = uuid::Uuid::try_parse(&id)
        .ok()
        .map(|id| id.get_version_num());
    let minted = (about_provider && lookup).then_some(7);
    same(
        "version of verification_id",
        format!("{version:?}"),
        format!("{minted:?}"),
    );

    let retry = parts.retry.map(|wait| wait.as_secs());
    // A wait until an HTTP date shrinks on its way, and never grows.
    let close = matches!((retry, expected.retry), (Some(a), Some(b)) if b > 60 && (b - 30..=b).contains(&a));
    if !close {
        same(
            "RetryInfo",
            format!("{retry:?}"),
            format!("{:?}", expected.retry),
        );
    }
    let trailer = status.metadata().get("grpc-retry-pushback-ms");
    let trailer = trailer.and_then(|millis| millis.to_str().ok()?.parse::<u128>().ok());
    let millis = parts.retry.map(|wait| wait.as_nanos().div_ceil(1_000_000));
    same(
        "grpc-retry-pushback-ms",
        format!("{trailer:?}"),
        format!("{millis:?}"),
    );
    let has = |detail| case.details.contains(&detail);
    same(
        "QuotaFailure",
        parts.quota.to_string(),
        has(crate::it::cases::Detail::Quota).to_string(),
    );
    same(
        "PreconditionFailure",
        parts.precondition.to_string(),
        has(crate::it::cases::Detail::Precondition).to_string(),
    );
    same(
        "BadRequest",
        format!("{:?}", parts.fields),
        format!("{:?}", expected.fields),
    );
    same("other details", parts.strange.to_string(), "false".into());

    let size = status.details().len();
    same("under 4 KiB", (size < 4096).to_string(), "true".into());
    let inner = pb::Status::decode(status.details()).unwrap_or_default();
    same(
        "code in the details",
        inner.code.to_string(),
        (status.code() as i32).to_string(),
    );
    same(
        "message in the details",
        inner.message,
        status.message().to_owned(),
    );
    same(
        "silent on a case that costs",
        (case.cost != Cost::None && !about_provider && case.reason != "OVERLOADED").to_string(),
        "false".into(),
    );
    problems
}

/// Where a text that must stay inside stands in what went out.
pub fn leaks(out: &str, texts: &[String]) -> Vec<String> {
    let told = texts.iter().filter(|text| out.contains(text.as_str()));
    told.map(|text| format!("{text:?} was told in {out}"))
        .collect()
}

/// An error as a text to search in.
pub fn shown(status: &Status) -> String {
    format!(
        "{} {}",
        status.message(),
        String::from_utf8_lossy(status.details())
    )
}

/// The values of a request: personal data, whatever field they stand in.
pub fn values_of_request(request: &Value) -> Vec<String> {
    let enum_names: Vec<String> = descriptors()
        .all_enums()
        .flat_map(|names| {
            names
                .values()
                .map(|value| value.name().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let long_enough = |text: &String| text.len() >= 5 && !enum_names.contains(text);
    let mut request = request.clone();
    // Masks name fields, which are no secret.
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|name, _| !name.ends_with("_mask"));
    }
    leaves(&request).into_iter().filter(long_enough).collect()
}

/// The values of a provider's answer that could be about a person: sentences, numbers, dates.
pub fn values_of_answer(body: &[u8]) -> Vec<String> {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let code = |text: &str| text.chars().all(plain) && digits(text) <= 4;
    let telling = |text: &String| text.len() >= 6 && !code(text);
    let texts = leaves(&json).into_iter().map(|text| text.trim().to_owned());
    texts.filter(telling).collect()
}

fn leaves(json: &Value) -> Vec<String> {
    match json {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_value_that_was_told_is_found() {
    let request = serde_json::json!({
        "id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "read_mask": "record.name",
        "person": {"email": "john.doe@example.com"},
    });
    let values = values_of_request(&request);
    assert_eq!(values, ["1234567", "john.doe@example.com"]);
    let status = Status::invalid_argument("john.doe@example.com is no address");
    assert_eq!(leaks(&shown(&status), &values).len(), 1);
    let body = br#"{"code": "NotFound", "message": "1234567 was not found\n"}"#;
    assert_eq!(values_of_answer(body), ["1234567 was not found"]);
}
