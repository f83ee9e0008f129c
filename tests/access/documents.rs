//! The example policy file can be used, stands in the document as it is, and says what the document says.

use std::{path::Path, sync::Arc};

use identity_gateway::{
    access::grants::Access,
    auth::identity::{Caller, Identity},
    config::AuthMode,
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
