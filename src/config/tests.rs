//! The rules of the layers, each by name; values and secrets have files of their own.

use std::path::PathBuf;

use super::*;

mod cache;
mod lists;
mod secrets;
mod values;

/// A configuration file that lives as long as the test.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

/// Problems name the file as `FILE`.
fn from_file(text: &str) -> Result<Settings, ConfigError> {
    let file = file(text);
    let path = file.path().display().to_string();
    let sources = Sources {
        file: Some(file.path().to_owned()),
        ..Sources::default()
    };
    load(sources).map_err(|error| ConfigError {
        problems: error
            .problems
            .iter()
            .map(|problem| problem.replace(&path, "FILE"))
            .collect(),
    })
}

fn from_env(env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    load(Sources {
        env: owned(env),
        ..Sources::default()
    })
}

fn from_flags(overrides: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    load(Sources {
        overrides: owned(overrides),
        ..Sources::default()
    })
}

fn problems(result: Result<Settings, ConfigError>) -> Vec<String> {
    result.expect_err("refused").problems
}

#[test]
fn a_later_layer_wins() {
    let text = "[server]\nlisten = '127.0.0.1:1'\nlame_duck = '1s'\ndrain_timeout = '1s'\n";
    let file = file(text);
    let settings = load(Sources {
        file: Some(file.path().to_owned()),
        env: owned(&[
            ("IDGW_CONFIG", "/read/by/from_process"),
            ("IDGW_SERVER__LAME_DUCK", "2s"),
            ("IDGW_SERVER__DRAIN_TIMEOUT", "2s"),
        ]),
        overrides: owned(&[
            ("server.drain_timeout", "3s"),
            ("server.drain_timeout", "4s"),
        ]),
    })
    .expect("right");
    assert_eq!(settings.server.listen.port(), 1);
    assert_eq!(settings.server.lame_duck, Span::seconds(2));
    assert_eq!(settings.server.drain_timeout, Span::seconds(4));
    assert_eq!(settings.server.default_deadline, Span::seconds(30));
}

#[test]
fn rust_log_counts_where_the_own_variable_is_absent() {
    let file = file("log.filter = 'warn'");
    let filter = |env: &[(&str, &str)]| {
        load(Sources {
            file: Some(file.path().to_owned()),
            env: owned(env),
            ..Sources::default()
        })
        .expect("right")
        .log
        .filter
    };
    let own = ("IDGW_LOG__FILTER", "trace");
    assert_eq!(filter(&[]), "warn");
    assert_eq!(filter(&[("RUST_LOG", "")]), "warn");
    assert_eq!(filter(&[("RUST_LOG", "debug")]), "debug");
    assert_eq!(filter(&[own, ("RUST_LOG", "debug")]), "trace");
}

#[test]
fn an_unknown_key_is_named_in_full_in_every_layer() {
    let text = "sever.listen = 'x'\n[providers.verifik]\ntokn = 'canary'\n\
                [providers.nobody.deep]\nkey = 1\n[nothing]\n['a b']\nc = 1\n";
    assert_eq!(
        problems(from_file(text)),
        [
            "\"a b\".c (in FILE): unknown key",
            "nothing (in FILE): unknown key",
            "providers.nobody.deep.key (in FILE): unknown key",
            "providers.verifik.tokn (in FILE): unknown key; did you mean providers.verifik.token?",
            "sever.listen (in FILE): unknown key; did you mean server.listen?",
        ]
    );
    assert_eq!(
        problems(from_env(&[
            ("IDGW_PROVIDERS__VERIFIK__TOKN", "canary"),
            ("IDGW_SERVER_LISTEN", "canary"),
            ("IDGW_SERVER", "canary"),
            ("IDGW_server__listen", "canary"),
            ("IDGW_\u{fffd}\n", "canary"),
        ])),
        [
            "IDGW_PROVIDERS__VERIFIK__TOKN: unknown environment variable; did you mean \
             IDGW_PROVIDERS__VERIFIK__TOKEN?",
            "IDGW_SERVER_LISTEN: unknown environment variable; did you mean IDGW_SERVER__LISTEN?",
            "IDGW_SERVER: unknown environment variable",
            "IDGW_server__listen: unknown environment variable; did you mean IDGW_SERVER__LISTEN?",
            "\"IDGW_\u{fffd}\\n\": unknown environment variable",
        ]
    );
    assert_eq!(
        problems(from_flags(&[
            ("providers.verifik.tokn", "canary"),
            ("", "canary")
        ])),
        [
            "providers.verifik.tokn (from a flag): unknown key; did you mean \
             providers.verifik.token?",
            "\"\" (from a flag): unknown key",
        ]
    );
}

#[test]
fn a_wrong_type_names_its_key_in_every_layer_and_never_the_value() {
    let text = "[server]\nlisten = 'canary'\nmax_in_flight = '77'\nreflection = 'true'\n\
                lame_duck = 77\n[providers]\nverifik = 77\n[providers.accuauth]\napi_id = 77\n\
                [auth]\nmode = 'canary'\n[log]\nfilter = ['canary']";
    let found = problems(from_file(text));
    assert_eq!(
        found,
        [
            "auth.mode (in FILE): expected one or several of none, jwt, mtls, mesh, keys",
            "log.filter (in FILE): expected log directives such as info or \
             info,identity_gateway=debug, found an array",
            "providers.accuauth.api_id (in FILE): expected a string, found an integer",
            "providers.verifik (in FILE): expected a table",
            "server.lame_duck (in FILE): expected a duration such as 250ms, 5s or 1m, 0s to 10m, \
             found an integer",
            "server.max_in_flight (in FILE): expected a whole number, 1 to 1000000, found a string",
            "server.reflection (in FILE): expected true or false, found a string",
            "server.listen (in FILE): expected an IP address and port such as 127.0.0.1:50051: \
             invalid socket address syntax",
        ]
    );
    assert_eq!(
        problems(from_env(&[
            ("IDGW_SERVER__REFLECTION", "canary"),
            ("IDGW_SERVER__MAX_IN_FLIGHT", "1e5"),
            (
                "IDGW_PROVIDERS__VERIFIK__BASE_URL",
                "https://canary:canary@h"
            ),
            ("IDGW_PROVIDERS__ACCUAUTH__BASE_URL", "http://canary"),
            ("IDGW_LOG__FORMAT", "bad \u{fffd}"),
            ("IDGW_LOG__FILTER", "canary=canary"),
        ])),
        [
            "server.reflection (from IDGW_SERVER__REFLECTION): expected true or false",
            "server.max_in_flight (from IDGW_SERVER__MAX_IN_FLIGHT): expected a whole number, \
             1 to 1000000",
            "log.format (from IDGW_LOG__FORMAT): is not UTF-8",
            "providers.accuauth.base_url (from IDGW_PROVIDERS__ACCUAUTH__BASE_URL): expected a URL \
             such as https://api.example.com: must be https; plain http is for loopback hosts only",
            "providers.verifik.base_url (from IDGW_PROVIDERS__VERIFIK__BASE_URL): expected a URL \
             such as https://api.example.com: must not hold a user name or a password",
            "log.filter (from IDGW_LOG__FILTER): expected one of the levels error, warn, info, debug, \
             trace and off, or target=level",
        ]
    );
    assert_eq!(
        problems(from_flags(&[("server.lame_duck", "canary")])),
        ["server.lame_duck (from a flag): expected a duration such as 250ms, 5s or 1m, 0s to 10m"]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_shown() {
    for (text, problem) in [
        (
            "[log]\nfilter = 'info'\n[providers.verifik]\ntoken = \"canary\n",
            "configuration file FILE: line 4 is not TOML: ",
        ),
        (
            "token = canary\n",
            "configuration file FILE: line 1 is not TOML: ",
        ),
        (
            "[log]\n[log]\n",
            "configuration file FILE: line 2 is not TOML: ",
        ),
        (
            "log.filter = 'a'\nlog.filter.canary = 'b'\n",
            "configuration file FILE: line 2 is not TOML: ",
        ),
    ] {
        let found = problems(from_file(text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(problem), "{found:?}");
        assert!(!found[0].contains("canary"), "{found:?}");
    }
    let absent = load(Sources {
        file: Some(PathBuf::from("/nowhere/idgw.toml")),
        ..Sources::default()
    });
    let found = problems(absent);
    assert!(found[0].starts_with("configuration file /nowhere/idgw.toml: cannot be read: "));
}

#[cfg(unix)]
#[test]
fn the_process_gives_its_variables_and_the_name_of_the_file() {
    use std::os::unix::ffi::OsStringExt;

    let odd = || OsString::from_vec(vec![b'9', 0xff]);
    let variables = || {
        vec![
            ("PATH".into(), "/bin".into()),
            ("IDGW_CONFIG".into(), OsString::from("/etc/idgw.toml")),
            ("IDGW_LOG__FORMAT".into(), odd()),
            ("RUST_LOG".into(), odd()),
        ]
    };
    let named = Sources::from_environment(None, Vec::new(), variables());
    assert_eq!(named.file, Some(PathBuf::from("/etc/idgw.toml")));
    let flag = Some(PathBuf::from("flag.toml"));
    let mut sources = Sources::from_environment(flag.clone(), Vec::new(), variables());
    assert_eq!(sources.file, flag);
    sources.file = None;
    assert_eq!(
        problems(load(sources)),
        [
            "log.filter (from RUST_LOG): is not UTF-8",
            "log.format (from IDGW_LOG__FORMAT): is not UTF-8",
        ]
    );
    let empty = vec![("IDGW_CONFIG".into(), OsString::new())];
    let unset = Sources::from_environment(None, Vec::new(), empty);
    assert_eq!(unset.file, None);
}
