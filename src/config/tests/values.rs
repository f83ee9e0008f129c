//! The rules of values: defaults, ranges, what the schema and the documents say of them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::super::schema::{self, Kind, leaves};
use super::*;
use crate::transport::{
    breaker, client::KeepAlive, guard::Limits, rate::Rate, retry::Errors, upstream::Trace,
};

#[test]
fn the_defaults_are_those_of_the_contract() {
    for (variable, default) in [
        ("IDGW_SERVER__LISTEN", Some("127.0.0.1:50051")),
        ("IDGW_ADMIN__LISTEN", Some("127.0.0.1:9464")),
        ("IDGW_AUTH__MODE", None),
        (
            "IDGW_PROVIDERS__VERIFIK__BASE_URL",
            Some("https://api.verifik.co"),
        ),
        ("IDGW_PROVIDERS__VERIFIK__TOKEN", None),
        ("IDGW_PROVIDERS__VERIFIK__TOKEN_FILE", None),
        (
            "IDGW_PROVIDERS__YOUVERIFY__BASE_URL",
            Some("https://api.youverify.co"),
        ),
        ("IDGW_PROVIDERS__YOUVERIFY__TOKEN", None),
        ("IDGW_PROVIDERS__YOUVERIFY__TOKEN_FILE", None),
        (
            "IDGW_PROVIDERS__ACCUAUTH__BASE_URL",
            Some("https://cloudapi.mexico.accuauth.com"),
        ),
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID", None),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", None),
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID_FILE", None),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET_FILE", None),
        ("IDGW_PROVIDERS__ACCUAUTH__TIMEOUT", Some("20s")),
        ("IDGW_PROVIDERS__ACCUAUTH__CONNECT_TIMEOUT", Some("3s")),
        ("IDGW_PROVIDERS__ACCUAUTH__MAX_IN_FLIGHT", Some("256")),
        ("IDGW_PROVIDERS__ACCUAUTH__MAX_ATTEMPTS", Some("3")),
        ("IDGW_PROVIDERS__ACCUAUTH__ENVIRONMENT", Some("live")),
        ("IDGW_PROVIDERS__ACCUAUTH__ERRORS_ARE_FREE", Some("true")),
        ("IDGW_PROVIDERS__ACCUAUTH__BODY_ENCODING", Some("json")),
        ("IDGW_PROVIDERS__VERIFIK__PERSONS_PATH", Some("/v2/persons")),
        (
            "IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__ALIEN_ID",
            Some("alien-registration"),
        ),
        (
            "IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__NATIONAL_ID",
            Some("national-id"),
        ),
        (
            "IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__PASSPORT",
            Some("passport"),
        ),
        (
            "IDGW_PROVIDERS__YOUVERIFY__ID_TYPES__SERVICE_ID",
            Some("service-id"),
        ),
        ("IDGW_LOG__FILTER", Some("info")),
        ("IDGW_LOG__FORMAT", Some("auto")),
        ("IDGW_SERVER__LAME_DUCK", Some("3s")),
        ("IDGW_SERVER__DRAIN_TIMEOUT", Some("30s")),
        ("IDGW_SERVER__MAX_REQUEST_BYTES", Some("8388608")),
        ("IDGW_SERVER__MAX_RESPONSE_BYTES", Some("16777216")),
        (
            "IDGW_PROVIDERS__VERIFIK__MAX_RESPONSE_BYTES",
            Some("16777216"),
        ),
    ] {
        let leaf = leaves().find(|leaf| leaf.variable() == variable);
        let said = leaf.expect(variable).default.as_ref();
        let said = said.map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        assert_eq!(said.as_deref(), default, "{variable}");
    }
}

#[test]
fn nothing_given_is_the_defaults_and_so_is_what_check_config_prints_of_them() {
    let shown = load(Sources::default()).expect("defaults").redacted_toml();
    assert_eq!(shown, Settings::default().redacted_toml());
    assert_eq!(from_file(&shown).expect("read").redacted_toml(), shown);
    for leaf in leaves() {
        let line = match &leaf.default {
            Some(value) => {
                let value = toml::Value::try_from(value).expect("TOML");
                format!("\n{} = {value}\n", leaf.name())
            }
            None => format!("\n# {} is not set\n", leaf.name()),
        };
        assert!(shown.contains(&line), "{line}");
    }
    assert!(shown.starts_with(
        "# The gRPC server.\n[server]\n\n# Address and port on which gRPC is served;"
    ));
    assert!(shown.lines().all(|line| line.chars().count() <= 110));
}

#[test]
fn the_default_file_is_the_defaults_as_it_is_and_with_every_setting_uncommented() {
    let file = default_file();
    let setting = |line: &str| {
        let setting = line.strip_prefix('#').filter(|rest| !rest.is_empty());
        setting
            .filter(|rest| !rest.starts_with(' '))
            .map(str::to_owned)
    };
    let lines = file.lines();
    let all: String = lines
        .map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect();
    let defaults = Settings::default().redacted_toml();
    for text in [&file, &all] {
        assert_eq!(from_file(text).expect("read").redacted_toml(), defaults);
    }

    let table: toml::Table = all.parse().expect("TOML");
    for leaf in leaves().filter(|leaf| !leaf.path.contains(&schema::ITEM.to_owned())) {
        let (name, tables) = leaf.path.split_last().expect("a name");
        let inner = tables.iter().fold(&table, |table, name| {
            table[name].as_table().expect("a table of the file")
        });
        assert_eq!(
            inner.contains_key(name),
            leaf.default.is_some(),
            "{}",
            leaf.key()
        );
        let without = format!("\n# {name} = ");
        assert!(
            leaf.default.is_some() || file.contains(&without),
            "{without}"
        );
    }
    assert!(file.contains("\n# [[auth.jwt.issuers]]\n"));

    let misspelt = all.replace("\nlame_duck = ", "\nlame_duk = ");
    let problems = problems(from_file(&misspelt));
    assert!(
        problems[0].starts_with("server.lame_duk (in FILE): unknown key"),
        "{problems:?}"
    );
    assert!(file.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn a_value_out_of_range_is_refused() {
    for (key, value) in [
        ("server.drain_timeout", "0s"),
        ("server.default_deadline", "0ms"),
        ("server.default_deadline", "2h"),
        ("server.lame_duck", "11m"),
        ("server.max_in_flight", "0"),
        ("server.max_in_flight", "-1"),
        ("server.max_in_flight", "99999999999999999999"),
        ("server.max_request_bytes", "0"),
        ("server.max_response_bytes", "1073741825"),
        ("providers.verifik.timeout", "0s"),
        ("providers.verifik.connect_timeout", "0s"),
        ("providers.verifik.max_attempts", "0"),
        ("providers.verifik.max_attempts", "11"),
        ("providers.verifik.queue_timeout", "0s"),
        ("providers.verifik.breaker_failure_rate", "0"),
        ("providers.verifik.breaker_failure_rate", "101"),
        ("providers.verifik.breaker_minimum_calls", "0"),
        ("providers.verifik.breaker_window", "0s"),
        // Beyond it a provider that is back could wait longer than the contract allows.
        ("providers.verifik.breaker_max_open", "26s"),
        ("server.max_memory", "-1"),
        ("providers.youverify.max_in_flight", "0"),
        ("providers.accuauth.max_response_bytes", "0"),
        ("providers.youverify.id_types.passport", ""),
        ("providers.verifik.persons_path", "v2/persons"),
        ("providers.verifik.persons_path", "/v2/persons/"),
        ("providers.verifik.persons_path", "/"),
        ("providers.verifik.persons_path", "/v2/../persons"),
        ("providers.verifik.persons_path", "/v2/persons?a=b"),
        (
            "providers.verifik.persons_path",
            "/v2/face-recognition/persons",
        ),
        (
            "providers.verifik.persons_path",
            "/prefix/v2/Face-Recognition/persons",
        ),
        ("persons.handle_key", "too short"),
        (
            "persons.old_handle_keys",
            "a-key-of-thirty-two-bytes-or-more short",
        ),
        ("persons.request_id_ttl", "0s"),
        ("persons.request_id_ttl", "77s"),
        ("persons.request_id_capacity", "0"),
        ("sandbox.delay", "-1s"),
        ("log.filter", ""),
        ("server.listen", "localhost:50051"),
        ("admin.listen", "127.0.0.1:50051"),
    ] {
        let found = problems(from_flags(&[(key, value)]));
        assert_eq!(found.len(), 1, "{key}={value}: {found:?}");
        let named = format!("{key} (from a flag): ");
        assert!(found[0].starts_with(&named), "{key}={value}: {found:?}");
    }
    for (key, value) in [
        ("server.lame_duck", "0s"),
        ("sandbox.delay", "0s"),
        ("providers.verifik.max_attempts", "1"),
        ("providers.verifik.max_attempts", "10"),
        ("persons.request_id_ttl", "78s"),
        ("providers.verifik.queue", "0"),
        ("providers.verifik.breaker_consecutive_failures", "0"),
        ("providers.verifik.persons_path", "/persons"),
        ("admin.listen", "127.0.0.1:0"),
    ] {
        from_flags(&[(key, value)]).expect(key);
    }
}

/// The dotted names of all leaves of the published schema, by a walk of their own.
fn walk(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match schema.get("properties").and_then(Value::as_object) {
        None => {
            let said = schema.get("description").and_then(Value::as_str);
            assert!(said.is_some_and(|text| text.len() > 10), "{path}");
            assert!(
                schema.get("type").is_some() || schema.get("oneOf").is_some(),
                "{path}"
            );
            keys.insert(path.to_owned());
        }
        Some(properties) => {
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{path}");
            for (name, inner) in properties {
                walk(
                    inner,
                    format!("{path}.{name}").trim_start_matches('.'),
                    keys,
                );
            }
        }
    }
}

#[test]
fn every_key_of_the_schema_is_described_and_stands_in_the_table() {
    let mut keys = BTreeSet::new();
    walk(&Settings::schema(), "", &mut keys);
    // A list of tables has one row for all its keys.
    let list = |leaf: &schema::Leaf| leaf.key().split_once(".*").map(|(list, _)| list.to_owned());
    let known = leaves().map(|leaf| list(leaf).unwrap_or_else(|| leaf.key()));
    let known: BTreeSet<_> = known.collect();
    assert_eq!(keys, known);
    let table = markdown();
    assert_eq!(table.lines().count(), keys.len() + 2);
    for leaf in leaves() {
        let (row, meaning) = match list(leaf) {
            Some(list) => (format!("| `{list}` | "), format!("`{}`", leaf.name())),
            None => {
                let row = format!("| `{}` | `{}` | ", leaf.key(), leaf.variable());
                (row, leaf.meaning())
            }
        };
        let row = table.lines().find(|line| line.starts_with(&row));
        assert!(
            row.is_some_and(|row| row.contains(&meaning)),
            "{}",
            leaf.key()
        );
        let bounded = match leaf.kind {
            Kind::Integer => leaf.integers.is_some(),
            _ => leaf.form.as_deref() != Some(Span::FORM) || leaf.spans.is_some(),
        };
        assert!(bounded, "{} has no range", leaf.key());
    }
}

#[test]
fn serve_wants_to_be_told_how_callers_are_known() {
    let settings = |mode: Option<&str>, listen: &str| {
        let mut overrides = vec![("server.listen", listen)];
        overrides.extend(mode.map(|mode| ("auth.mode", mode)));
        from_flags(&overrides).expect("right")
    };
    let (near, far) = ("127.0.0.1:50051", "0.0.0.0:50051");
    for (mode, listen, sandbox, served) in [
        (None, near, true, true),
        (None, "[::1]:1", true, true),
        (None, far, true, false),
        (None, near, false, false),
        (Some("none"), near, false, true),
        (Some("none"), far, false, true),
        (Some("none"), far, true, true),
    ] {
        let result = settings(mode, listen).validate_for_serve(sandbox);
        assert_eq!(result.is_ok(), served, "{mode:?} {listen} {sandbox}");
        if let Err(error) = result {
            assert!(error.to_string().starts_with("auth.mode: "));
        }
    }
}

#[test]
fn the_transport_gets_what_was_configured() {
    let text = "[providers.accuauth]\nbase_url = 'http://127.0.0.1:1/a/'\ntimeout = '5s'\n\
                connect_timeout = '1s'\nhttp2_keep_alive_interval = '14s'\n\
                http2_keep_alive_timeout = '15s'\nsend_traceparent = false\nmax_in_flight = 2\nmax_response_bytes = 3\n\
                environment = 'sandbox'\nerrors_are_free = false\nqueue = 4\n\
                queue_timeout = '5ms'\nrate_per_second = 6\nrate_burst = 7\nmax_attempts = 8\n\
                breaker_consecutive_failures = 9\nbreaker_failure_rate = 10\n\
                breaker_minimum_calls = 11\nbreaker_window = '12s'\nbreaker_max_open = '13s'\n\
                breaker_abandoned_after = '14s'\nrate_limit_hold = '15s'\nprice = '0.35 USD'\n";
    let settings = from_file(text).expect("right");
    let expected = Upstream {
        ca_file: None,
        proxy: None,
        price: Some("0.35 USD".parse().unwrap()),
        base_url: "http://127.0.0.1:1/a".parse().expect("a URL"),
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(1),
        keep_alive: KeepAlive {
            interval: Duration::from_secs(14),
            timeout: Duration::from_secs(15),
        },
        trace: Trace::Nothing,
        max_response_bytes: 3,
        environment: Environment::Sandbox,
        limits: Limits {
            max_in_flight: 2,
            queue: 4,
            queue_timeout: Duration::from_millis(5),
            rate: Some(Rate {
                per_second: NonZeroU32::new(6).expect("six"),
                burst: NonZeroU32::new(7).expect("seven"),
            }),
            max_attempts: 8,
            breaker: breaker::Settings {
                consecutive_failures: 9,
                failure_percent: 10,
                minimum_calls: 11,
                window: Duration::from_secs(12),
                max_open: Duration::from_secs(13),
                abandoned_after: Duration::from_secs(14),
            },
            rate_limit_hold: Duration::from_secs(15),
            errors: Errors::MayBeCharged,
        },
    };
    // It holds a secret, which cannot be compared; none is set here.
    let found = settings.providers.accuauth.upstream();
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    let verifik = settings.providers.verifik.upstream();
    assert_eq!(verifik.base_url.as_str(), "https://api.verifik.co/");
    assert_eq!(verifik.limits.rate, None);
    let text = "[providers.verifik]\nrate_per_second = 6\n";
    let rate = from_file(text).expect("right").providers.verifik.upstream();
    let rate = rate.limits.rate.expect("a rate");
    assert_eq!(
        rate.per_second, rate.burst,
        "no burst said is as many as the rate"
    );
}

#[test]
fn tls_is_said_whole_or_refused_by_the_key_that_is_missing() {
    const CERT: (&str, &str) = ("IDGW_SERVER__TLS__CERT_FILE", "/c");
    const KEY: (&str, &str) = ("IDGW_SERVER__TLS__KEY_FILE", "/k");
    const CA: (&str, &str) = ("IDGW_SERVER__TLS__CLIENT_CA_FILE", "/a");
    const REQUIRED: (&str, &str) = ("IDGW_SERVER__TLS__CLIENT_AUTH", "required");
    assert!(from_env(&[CERT, KEY]).is_ok());
    assert!(from_env(&[CERT, KEY, CA, REQUIRED]).is_ok());
    for (env, problem) in [
        (&[CERT][..], "server.tls.key_file: is required"),
        (&[KEY], "server.tls.cert_file: is required"),
        (
            &[CERT, KEY, REQUIRED],
            "server.tls.client_ca_file: is required",
        ),
        (&[CERT, KEY, CA], "server.tls.client_auth: is off"),
        (
            &[CA, REQUIRED],
            "server.tls.client_auth (from IDGW_SERVER__TLS__CLIENT_AUTH): requests client",
        ),
    ] {
        let found = problems(from_env(env));
        assert!(
            found[0].starts_with(problem),
            "{found:?} instead of {problem}"
        );
    }
}

#[test]
fn a_proxy_is_the_url_of_one() {
    const KEY: &str = "IDGW_PROVIDERS__ACCUAUTH__PROXY";
    for good in [
        "http://proxy.internal:3128",
        "https://user:password@proxy.internal:3128/",
    ] {
        assert!(from_env(&[(KEY, good)]).is_ok(), "{good}");
    }
    for bad in [
        "canary",
        "socks5://canary:1080",
        "http://proxy/canary",
        "http://proxy?canary",
    ] {
        let found = problems(from_env(&[(KEY, bad)]));
        assert!(found[0].starts_with(
            "providers.accuauth.proxy (from IDGW_PROVIDERS__ACCUAUTH__PROXY): expected a URL"
        ));
        assert!(!found[0].contains("canary"));
    }
}
