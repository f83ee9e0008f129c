//! A shell in the pod can call an authenticated gateway, and gives no credential away by it.

use std::process::{Command, Output};

use crate::access::rig::{Rig, key, rule};

const CALL: [&str; 3] = ["call", "ListPersons", "{}"];

async fn run(rig: &Rig, more: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_identity-gateway"));
    command.env_clear().envs(variables.iter().copied());
    command
        .args(CALL)
        .args(["--address", &rig.gateway.grpc.to_string()])
        .args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn call_takes_its_token_from_a_file_or_the_environment() {
    let rig = Rig::start(
        &rule("one", "persons = 'all'\nrpcs = ['person.list']"),
        &["one"],
        &[],
    )
    .await;
    let file = rig.path("token");
    std::fs::write(&file, key("one") + "\n").unwrap();
    let file = file.to_str().unwrap();
    for (more, variables, code, said) in [
        (&["--token-file", file][..], &[][..], 0, ""),
        (&["--token-env", "TOKEN"], &[("TOKEN", key("one"))], 0, ""),
        (&[], &[], 80, "error: UNAUTHENTICATED"),
        (
            &["--token-env", "TOKEN"],
            &[],
            64,
            "error: the environment variable TOKEN is not set",
        ),
        (
            &["--token-file", "/is/not/there"],
            &[],
            64,
            "error: the token file /is/not/there: cannot be read",
        ),
        (
            &["-H", "authorization: Bearer canary"],
            &[],
            64,
            "error: authorization cannot be given as a header",
        ),
    ] {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let ran = run(&rig, more, &variables).await;
        let err = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{more:?}: {err}");
        assert!(err.starts_with(said), "{more:?}: {err}");
        assert!(!err.contains("canary") && !err.contains(&key("one")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_credential() {
    let rig = Rig::start(
        &rule("one", "persons = 'all'\nrpcs = ['person.list']"),
        &["one"],
        &[],
    )
    .await;
    let address = rig.gateway.grpc.to_string();
    let health = Command::new(env!("CARGO_BIN_EXE_identity-gateway"))
        .args(["health", "--address", &address])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(0));
}
