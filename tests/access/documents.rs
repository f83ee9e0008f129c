//! The example policy file can be used, stands in the document as it is, and says what the document says; every block of
//! settings in the document is a configuration that the program takes.

use std::{path::Path, sync::Arc};

use identity_gateway::{
    access::grants::Access,
    auth::identity::{Caller, Identity},
    config::{self, AuthMode, Sources},
    policy::Policies,
    proto,
};

const EXAMPLE: &str = "deploy/access/policy.toml";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_example_stands_in_the_document() {
    let block = format!("```toml\n{}```\n", read(EXAMPLE));
    assert!(
        read("docs/access.md").contains(&block),
        "docs/access.md shows another {EXAMPLE}"
    );
}

#[test]
fn the_example_grants_what_the_document_says() {
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    let access = Access::parse(&read(EXAMPLE), &policies).unwrap();
    let of = |mode, name: &str, scopes: &[&str]| {
        let mut caller = Caller::new(Identity::new(mode, name).unwrap());
        caller.token_scopes = scopes.iter().map(|scope| Box::from(*scope)).collect();
        access.of(&Arc::new(caller))
    };
    let payments = of(
        AuthMode::Mtls,
        "spiffe://bank.example/ns/payments/sa/api",
        &[],
    )
    .unwrap();
    assert_eq!((&*payments.name, payments.rpcs.len()), ("payments", 2));
    assert_eq!(payments.calls_per_minute, Some(600));
    assert_eq!(payments.charged_calls_per_day, Some(20_000));
    let credit = of(AuthMode::Jwt, "credit-desk", &["kyc.bureau"]).unwrap();
    let kenya = &credit.rpcs["/idgw.identity.v1.IdentityService/ScrubKenyaId"];
    // `record.inquiries` and `record.email`.
    assert!(kenya.has(&[2, 20]) && !kenya.has(&[2, 11]));
    assert_eq!(of(AuthMode::Jwt, "credit-desk", &[]), None);
    let archive = of(AuthMode::Keys, "archive", &[]).unwrap();
    assert!(archive.rpcs.values().all(|fields| fields.has(&[1, 9])));
    // A token cannot take the name of a key.
    assert_eq!(of(AuthMode::Jwt, "archive", &[]), None);
}

/// The TOML blocks of docs/access.md.
fn blocks() -> Vec<String> {
    let document = read("docs/access.md");
    let blocks = document.split("```toml\n").skip(1);
    let texts = blocks.map(|block| block.split_once("```").unwrap().0.to_owned());
    texts.collect()
}

#[test]
fn every_block_of_settings_in_the_document_is_a_configuration() {
    const FOLDERS: [&str; 2] = [
        "/etc/identity-gateway/",
        "/var/run/secrets/kubernetes.io/serviceaccount/",
    ];
    let directory = tempfile::tempdir().unwrap();
    let folder = format!("{}/", directory.path().display());
    for (name, text) in [
        ("policy.toml", read(EXAMPLE)),
        ("token", "a token".to_owned()),
        ("bundle.json", "{\"keys\": []}".to_owned()),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let (policies, mut of_settings) =
        (Policies::from_descriptors(proto::descriptors()).unwrap(), 0);
    for block in blocks() {
        if block.contains("[[allow]]") {
            Access::parse(&block, &policies).expect(&block);
            continue;
        }
        let file = directory.path().join("config.toml");
        let text = FOLDERS
            .iter()
            .fold(block.clone(), |text, known| text.replace(known, &folder));
        std::fs::write(&file, text).unwrap();
        let settings = config::load(Sources {
            file: Some(file),
            ..Sources::default()
        });
        // What shows the order of modes says nothing of each, and no more is wrong with it than that.
        if !block.contains("[auth.jwt") {
            let problems = settings.expect_err(&block).problems;
            let is_missing =
                |problem: &String| problem.contains("is required") || problem.contains("is off");
            assert!(problems.iter().all(is_missing), "{problems:#?}");
            continue;
        }
        let settings = settings.unwrap_or_else(|error| panic!("{block}\n{error}"));
        settings.validate_for_serve(false).expect(&block);
        of_settings += 1;
    }
    assert!(of_settings >= 7, "{of_settings}");
}
