//! A gateway that is not told enough does not start: exit code 64, and the key by its name.

use std::process::{Command, Output};

use tempfile::TempDir;

use crate::kit::issuer::{Signer, key_set};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
    command.args(arguments).env_clear();
    command.env("IDGW_SERVER__LISTEN", "127.0.0.1:0");
    command.env("IDGW_ADMIN__LISTEN", "127.0.0.1:0");
    command.envs(variables.iter().copied()).output().unwrap()
}

const JWT: [(&str, &str); 3] = [
    ("IDGW_AUTH__MODE", "jwt"),
    ("IDGW_AUTH__JWT__ISSUER", "https://login.bank.example"),
    ("IDGW_AUTH__JWT__AUDIENCE", "identity-gateway"),
];

#[test]
fn what_is_missing_or_wrong_is_named_with_exit_code_64() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policy = write(
        "policy.toml",
        "[[allow]]\nname='a'\nidentities=['a']\npersons='all'\nrpcs=['*']\n",
    );
    let unknown_rpc = write(
        "rpc.toml",
        "[[allow]]\nname='a'\nidentities=['a']\nrpcs=['identity.x']\n",
    );
    let unknown_key = write(
        "key.toml",
        "[[allow]]\nname='a'\nidentities=['a']\npersons='all'\nrpcs=['*']\nbudget=1\n",
    );
    let keys = write("keys", "payments not-a-hash\n");
    let jwks = write("jwks.json", &key_set(&[&Signer::es256("one")]));
    let no_jwks = write("none.json", "{\"key\":[]}");
    let url = (
        "IDGW_AUTH__JWT__JWKS_URL",
        "https://login.bank.example/jwks",
    );
    let jwt = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        let all = JWT.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let plain = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let file = ("IDGW_AUTH__POLICY_FILE", policy.as_str());
    for (variables, key) in [
        (plain(&[]), "auth.mode: is required"),
        (plain(&[("IDGW_AUTH__MODE", "")]), "auth.mode: is required"),
        (
            plain(&[("IDGW_AUTH__MODE", "none,keys")]),
            "auth.mode (from IDGW_AUTH__MODE): combines none with another mode",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "keys,keys")]),
            "auth.mode (from IDGW_AUTH__MODE): names a mode twice",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "oauth")]),
            "auth.mode (from IDGW_AUTH__MODE): expected one or several of",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "jwt")]),
            "auth.jwt.issuer: is required",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "jwt")]),
            "auth.jwt.audience: is required",
        ),
        (jwt(&[file]), "auth.jwt.jwks_url: is required"),
        (jwt(&[url]), "auth.policy_file: is required"),
        (
            jwt(&[
                file,
                ("IDGW_AUTH__JWT__JWKS_URL", "http://login.bank.example/jwks"),
            ]),
            "auth.jwt.jwks_url (from IDGW_AUTH__JWT__JWKS_URL): expected an https URL",
        ),
        (
            jwt(&[file, url, ("IDGW_AUTH__JWT__JWKS_FILE", &jwks)]),
            "auth.jwt.jwks_file (from IDGW_AUTH__JWT__JWKS_FILE): is set, and so is auth.jwt.jwks_url",
        ),
        (
            jwt(&[file, ("IDGW_AUTH__JWT__JWKS_FILE", &no_jwks)]),
            "auth.jwt.jwks_file (from IDGW_AUTH__JWT__JWKS_FILE): is not a key set",
        ),
        (
            jwt(&[file, url, ("IDGW_AUTH__JWT__ALGORITHMS", "ES256,HS256")]),
            "auth.jwt.algorithms (from IDGW_AUTH__JWT__ALGORITHMS): expected one or several of RS256",
        ),
        (
            jwt(&[file, url, ("IDGW_AUTH__JWT__ALGORITHMS", "none")]),
            "auth.jwt.algorithms (from IDGW_AUTH__JWT__ALGORITHMS): expected one or several of RS256",
        ),
        (
            jwt(&[file, url, ("IDGW_AUTH__JWT__LEEWAY", "10m")]),
            "auth.jwt.leeway (from IDGW_AUTH__JWT__LEEWAY): expected",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "mesh"), file]),
            "auth.mesh.peers: is required",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "mesh"), file]),
            "auth.mesh.headers: is required",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "mesh"),
                file,
                ("IDGW_AUTH__MESH__PEERS", "sidecar"),
            ]),
            "auth.mesh.peers (from IDGW_AUTH__MESH__PEERS): item 1: expected an address",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "mesh"),
                file,
                ("IDGW_AUTH__MESH__HEADERS", "x-user"),
            ]),
            "auth.mesh.headers (from IDGW_AUTH__MESH__HEADERS): expected one or several of",
        ),
        (
            plain(&[("IDGW_AUTH__MODE", "keys"), file]),
            "auth.keys.file: is required",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "keys"),
                file,
                ("IDGW_AUTH__KEYS__FILE", &keys),
            ]),
            "auth.keys.file (from IDGW_AUTH__KEYS__FILE): line 1: expected 64 hexadecimal digits",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "none"),
                ("IDGW_AUTH__POLICY_FILE", &unknown_rpc),
            ]),
            "auth.policy_file (from IDGW_AUTH__POLICY_FILE): rule a: rpcs: \"identity.x\" is unknown",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "none"),
                ("IDGW_AUTH__POLICY_FILE", &unknown_key),
            ]),
            "auth.policy_file (from IDGW_AUTH__POLICY_FILE): line 6: unknown field `budget`",
        ),
        (
            plain(&[
                ("IDGW_AUTH__MODE", "none"),
                ("IDGW_AUTH__POLICY_FILE", "/is/not/there"),
            ]),
            "auth.policy_file (from IDGW_AUTH__POLICY_FILE): cannot be read",
        ),
    ] {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let refused = run(&["serve"], &variables);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{variables:?}: {said}");
        assert!(
            said.lines().any(|line| line.starts_with(key)),
            "{variables:?}: {said}\nlacks {key}"
        );
        assert!(!said.contains("not-a-hash"), "{said}");
        let checked = run(&["check-config"], &variables);
        assert_eq!(
            checked.status.code(),
            Some(64),
            "check-config {variables:?}"
        );
    }
}

#[test]
fn a_word_or_a_list_names_the_modes() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let key = "0".repeat(64);
    std::fs::write(path("policy.toml"), "").unwrap();
    for mode in ["'keys'", "['keys']", "['mesh', 'keys']"] {
        let text = format!(
            "[auth]\nmode = {mode}\npolicy_file = '{}'\n[auth.keys]\nhashes = ['a {key}']\n\
             [auth.mesh]\npeers = ['127.0.0.6']\nheaders = 'l5d-client-id'\n",
            path("policy.toml")
        );
        std::fs::write(path("config.toml"), text).unwrap();
        let checked = run(&["check-config", "--config", &path("config.toml")], &[]);
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(0), "{mode}: {said}");
    }
}
