//! Who speaks, in everything that is exported.

use std::{env, sync::LazyLock};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};
use percent_encoding::percent_decode_str;

/// Who speaks. What the operator says wins: `OTEL_RESOURCE_ATTRIBUTES`, and over that `OTEL_SERVICE_NAME`.
pub fn resource() -> Resource {
    static RESOURCE: LazyLock<Resource> = LazyLock::new(|| {
        let named = env::var("OTEL_SERVICE_NAME").ok();
        let attributes = read(&env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
        let named = named.filter(|name| !name.trim().is_empty());
        Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "identity-gateway"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
            ])
            .with_detectors(&[Box::new(TelemetryResourceDetector)])
            .with_attributes(attributes.unwrap_or_default())
            .with_attributes(named.map(|name| KeyValue::new("service.name", name)))
            .build()
    });
    RESOURCE.clone()
}

/// What `OTEL_RESOURCE_ATTRIBUTES` says; none if any of it cannot be read, as the specification wants it.
pub(super) fn read(text: &str) -> Option<Vec<KeyValue>> {
    let decoded = |part: &str| {
        let decoded = percent_decode_str(part.trim()).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let read = pairs.map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = decoded(key).filter(|key| !key.is_empty())?;
        Some(KeyValue::new(key, decoded(value)?))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_percent_decoded_and_a_list_that_cannot_be_read_is_none() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("a=b", Some(vec![("a", "b")])),
            (" a = b , c=d,", Some(vec![("a", "b"), ("c", "d")])),
            (
                "team=KYC%20%26%20AML,path=a%3Db%2Cc",
                Some(vec![("team", "KYC & AML"), ("path", "a=b,c")]),
            ),
            ("empty=", Some(vec![("empty", "")])),
            ("a=b=c", Some(vec![("a", "b=c")])),
            ("no value", None),
            ("=value", None),
            ("a=%ff", None),
        ] {
            let expected = expected.map(|pairs| {
                let pairs = pairs.into_iter();
                pairs
                    .map(|(key, value)| KeyValue::new(key, value))
                    .collect::<Vec<_>>()
            });
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
