//! The rules of secrets: where they come from, and that they never show.

use super::super::schema::{self, leaves};
use super::*;
use crate::domain::verification::Provider;

#[test]
fn a_secret_that_looks_like_a_number_stays_text() {
    for token in ["00123", "1e5", "true", "1979-05-27", "[1]", "\"q\""] {
        let settings = from_env(&[("IDGW_PROVIDERS__VERIFIK__TOKEN", token)]);
        let held = settings.expect("right").providers.verifik.token;
        assert_eq!(held.expect("a token").expose(), token);
    }
}

#[test]
fn a_secret_is_refused_on_the_command_line() {
    let found = problems(from_flags(&[("providers.verifik.token", "canary")]));
    assert!(found[0].contains("providers.verifik.token (from a flag): is a secret"));
    assert!(!found[0].contains("canary"));
}

#[test]
fn a_secret_comes_from_its_file_without_the_line_break_at_the_end() {
    let (id, secret) = (file("id-1\n"), file("  \n"));
    std::fs::write(secret.path(), "s 2 \r\n\n").expect("written");
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    let settings = from_env(&[
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID_FILE", &path(&id)),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET_FILE", &path(&secret)),
    ])
    .expect("right");
    let accuauth = &settings.providers.accuauth;
    let held = [&accuauth.api_id, &accuauth.api_secret]
        .map(|secret| secret.as_ref().expect("a secret").expose());
    assert_eq!(held, ["id-1", "s 2"]);

    let shown = settings.redacted_toml();
    assert!(shown.contains("# api_id is read from api_id_file\n"));
    assert!(!shown.contains("id-1"));
    assert_eq!(from_file(&shown).expect("read").redacted_toml(), shown);
}

#[test]
fn a_secret_that_could_not_be_sent_is_refused() {
    let (empty, large) = (file(" \n"), file(&"x".repeat(65 * 1024)));
    let good = file("t");
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    const TOKEN: &str = "IDGW_PROVIDERS__VERIFIK__TOKEN";
    const FILE: &str = "IDGW_PROVIDERS__VERIFIK__TOKEN_FILE";
    let from_token = "providers.verifik.token (from IDGW_PROVIDERS__VERIFIK__TOKEN): ";
    let from_token_file =
        "providers.verifik.token_file (from IDGW_PROVIDERS__VERIFIK__TOKEN_FILE): ";
    let unsendable = "contains a character that is not allowed in an HTTP header, or leading or trailing white space";
    for (env, key, problem) in [
        (vec![(TOKEN, "")], from_token, "is empty; leave it out"),
        (vec![(TOKEN, "canary\n")], from_token, unsendable),
        (vec![(TOKEN, "can\u{e1}ry")], from_token, unsendable),
        (
            vec![(TOKEN, "[redacted]")],
            from_token,
            "is the placeholder",
        ),
        (
            vec![(FILE, "/nowhere/canary")],
            from_token_file,
            "cannot be read: ",
        ),
        (vec![(FILE, "/")], from_token_file, "cannot be read: "),
        (vec![(FILE, "")], from_token_file, "cannot be read: "),
        (
            vec![(FILE, &path(&empty))],
            from_token_file,
            "is empty; leave it out",
        ),
        (
            vec![(FILE, &path(&large))],
            from_token_file,
            "is larger than 65536 bytes",
        ),
        (
            vec![(TOKEN, "canary"), (FILE, &path(&good))],
            from_token_file,
            "is set, and so is providers.verifik.token; set only one of them",
        ),
    ] {
        let found = problems(from_env(&env));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("{key}{problem}")),
            "{found:?}"
        );
        assert!(!found[0].contains("canary"), "{found:?}");
    }
}

#[test]
fn half_of_accuauths_credential_is_refused() {
    assert_eq!(
        problems(from_env(&[("IDGW_PROVIDERS__ACCUAUTH__API_ID", "canary")])),
        ["providers.accuauth.api_secret: is required: api_id is set, and AccuAuth needs both"]
    );
    assert_eq!(
        problems(from_file("providers.accuauth.api_secret = 'canary'")),
        ["providers.accuauth.api_id: is required: api_secret is set, and AccuAuth needs both"]
    );
    let found = problems(from_env(&[
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID", ""),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", "canary"),
    ]));
    assert_eq!(
        found.len(),
        1,
        "an empty id is not missing besides: {found:?}"
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let sources = Sources {
        env: owned(&[
            ("IDGW_PROVIDERS__VERIFIK__TOKEN", "canary"),
            ("IDGW_PROVIDERS__YOUVERIFY__TOKEN", "canary"),
            ("IDGW_PROVIDERS__ACCUAUTH__API_ID", "canary"),
            ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", "canary"),
            ("IDGW_PROVIDERS__VERIFIK__PROXY", "http://u:canary@proxy"),
            ("IDGW_CACHE__URL", "redis://canary.internal/0"),
            ("IDGW_CACHE__MODE", "sentinel"),
            ("IDGW_CACHE__SENTINEL_MASTER", "mymaster"),
            ("IDGW_CACHE__USERNAME", "canary"),
            ("IDGW_CACHE__PASSWORD", "canary"),
            ("IDGW_CACHE__SENTINEL_PASSWORD", "canary"),
            ("IDGW_CACHE__KEY", "canary-of-thirty-two-bytes-or-more"),
            (
                "IDGW_AUDIT__CHAIN_KEY",
                "canary-of-thirty-two-bytes-or-more",
            ),
        ]),
        ..Sources::default()
    };
    let debug = format!("{sources:?}");
    let settings = load(sources).expect("right");
    let toml = settings.redacted_toml();
    assert_eq!(toml.matches(" = \"[redacted]\"\n").count(), 11);
    for shown in [debug, toml, format!("{settings:?} {settings:#?}")] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    let secrets: Vec<_> = leaves()
        .filter(|leaf| leaf.secret)
        .map(schema::Leaf::key)
        .collect();
    assert_eq!(
        secrets,
        [
            "auth.jwt.proxy",
            "auth.jwt.issuers.*.proxy",
            "providers.verifik.token",
            "providers.verifik.proxy",
            "providers.youverify.token",
            "providers.youverify.proxy",
            "providers.accuauth.api_id",
            "providers.accuauth.api_secret",
            "providers.accuauth.proxy",
            "persons.handle_key",
            "persons.old_handle_keys",
            "audit.key",
            "audit.chain_key",
            "cache.url",
            "cache.username",
            "cache.password",
            "cache.sentinel_password",
            "cache.key",
        ]
    );
}

#[test]
fn a_provider_is_known_by_its_credential() {
    let settings = from_env(&[
        ("IDGW_PROVIDERS__VERIFIK__TOKEN", "t"),
        ("IDGW_PROVIDERS__ACCUAUTH__API_ID", "i"),
        ("IDGW_PROVIDERS__ACCUAUTH__API_SECRET", "s"),
        ("IDGW_PROVIDERS__ACCUAUTH__ENVIRONMENT", "sandbox"),
    ]);
    assert_eq!(
        settings.expect("right").providers.states(),
        [
            (Provider::Verifik, ProviderState::Live),
            (Provider::Youverify, ProviderState::NotConfigured),
            (Provider::Accuauth, ProviderState::Sandbox),
        ]
    );
}
