//! Lists of tables: in the file, by number in the environment, in what `check-config` prints.

use super::*;

const KEYS: &str = "[auth]\nmode = 'jwt'\npolicy_file = 'POLICY'\n\
    [[auth.jwt.issuers]]\nissuer = 'https://one.example'\naudience = 'a'\njwks_url = 'https://one.example/k?p=1'\n\
    [[auth.jwt.issuers]]\nissuer = 'https://two.example'\naudience = ['b', 'c']\nidentity_prefix = 'two:'\n\
    discovery_url = 'https://two.example/.well-known/openid-configuration'\nproxy_file = 'PROXY'\n";

#[test]
fn a_list_of_tables_comes_from_file_and_environment_and_is_printed_without_its_secrets() {
    let (policy, proxy) = (file(""), file("http://user:canary@proxy.internal:3128\n"));
    let text = KEYS
        .replace("POLICY", &policy.path().display().to_string())
        .replace("PROXY", &proxy.path().display().to_string());
    let configured = file(&text);
    let settings = load(Sources {
        file: Some(configured.path().to_owned()),
        env: owned(&[
            ("IDGW_AUTH__JWT__ISSUERS__0__LEEWAY", "1s"),
            ("IDGW_AUTH__JWT__ISSUERS__1__SCOPE_CLAIMS", "roles, scp"),
            (
                "IDGW_AUTH__JWT__ISSUERS__2__ISSUER",
                "https://three.example",
            ),
            ("IDGW_AUTH__JWT__ISSUERS__2__AUDIENCE", "d"),
            ("IDGW_AUTH__JWT__ISSUERS__2__IDENTITY_PREFIX", "three:"),
            (
                "IDGW_AUTH__JWT__ISSUERS__2__JWKS_URL",
                "https://three.example/k",
            ),
            (
                "IDGW_AUTH__JWT__ISSUERS__2__PROXY",
                "http://x:canary@proxy.internal",
            ),
        ]),
        ..Sources::default()
    })
    .expect("right");
    let issuers = &settings.auth.jwt.issuers;
    assert_eq!(issuers.len(), 3);
    assert_eq!(issuers[0].leeway, Span::seconds(1));
    assert_eq!(
        issuers[0].jwks_url.as_ref().unwrap().to_string(),
        "https://one.example/k?p=1"
    );
    assert_eq!(issuers[1].audience, ["b", "c"]);
    assert_eq!(issuers[1].scope_claims, ["roles", "scp"]);
    assert!(issuers[1].proxy.is_some() && issuers[2].proxy.is_some());
    let shown = settings.redacted_toml();
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(shown.matches("\n[[auth.jwt.issuers]]\n").count(), 3);
    // It can be read again, but for the secret that stands in the environment.
    let again = from_file(&shown.replace("proxy = \"[redacted]\"\n", ""));
    let again = again.expect("read").redacted_toml();
    assert_eq!(
        again,
        shown.replace("proxy = \"[redacted]\"\n", "# proxy is not set\n")
    );
}

#[test]
fn what_is_wrong_in_a_list_of_tables_names_the_table_by_its_number() {
    for (text, expected) in [
        (
            "[[auth.jwt.issuers]]\nissuer = 'a'\n[[auth.jwt.issuers]]\nisuer = 'canary'\n",
            "auth.jwt.issuers.1.isuer (in FILE): unknown key",
        ),
        (
            "[[auth.jwt.issuers]]\nleeway = 'canary'\n",
            "auth.jwt.issuers.0.leeway (in FILE): expected",
        ),
        (
            "[[auth.jwt.issuers]]\njwks_url = 'http://canary.example'\n",
            "auth.jwt.issuers.0.jwks_url (in FILE): expected an https URL",
        ),
        (
            "[auth.jwt]\nissuers = ['canary']\n",
            "auth.jwt.issuers.0 (in FILE): expected a table",
        ),
        (
            "[auth.jwt]\nissuers = 'canary'\n",
            "auth.jwt.issuers (in FILE): expected a table",
        ),
        (
            &"[[auth.jwt.issuers]]\nissuer = 'canary'\n".repeat(17),
            "auth.jwt.issuers.16 (in FILE): there are more than 16",
        ),
    ] {
        let problems = problems(from_file(text));
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{problems:#?}"
        );
        assert!(!problems.join("").contains("canary"), "{problems:#?}");
    }
    for (variable, expected) in [
        (
            "IDGW_AUTH__JWT__ISSUERS__1__ISSUER",
            "auth.jwt.issuers: number 0 is missing: tables are numbered from 0",
        ),
        (
            "IDGW_AUTH__JWT__ISSUERS__16__ISSUER",
            "IDGW_AUTH__JWT__ISSUERS__16__ISSUER: unknown environment variable",
        ),
        (
            "IDGW_AUTH__JWT__ISSUERS__01__ISSUER",
            "IDGW_AUTH__JWT__ISSUERS__01__ISSUER: unknown environment variable",
        ),
        (
            "IDGW_AUTH__JWT__ISSUERS",
            "IDGW_AUTH__JWT__ISSUERS: unknown environment variable",
        ),
    ] {
        let problems = problems(from_env(&[(variable, "canary")]));
        assert!(
            problems.iter().any(|problem| problem.starts_with(expected)),
            "{problems:#?}"
        );
    }
}
