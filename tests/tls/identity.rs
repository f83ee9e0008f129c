//! `auth.mode = "mtls"`: the certificate of the handshake names the caller, and the policy file says what
//! that name may do.

use identity_gateway::config::Sources;
use tonic::Code;

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME, Pair, client},
        process::Process,
    },
    tls::{CURP, curp, load::connect, server::mutual},
};

const API: &str = "spiffe://bank.example/ns/payments/sa/api";
const OTHER: &str = "spiffe://bank.example/ns/other/sa/api";
const POLICY: &str = "[[allow]]\nname = 'payments'\nmodes = ['mtls']\nrpcs = ['identity.curp.check']\n\
                      identities = ['spiffe://bank.example/ns/payments/*', 'batch.bank.example']\n";

async fn code(gateway: &Process, ca: &Ca, own: Option<&Pair>) -> Code {
    let connected = connect(gateway.grpc, client(&[ca], own)).await;
    let (client, _) = connected.unwrap();
    client
        .call(CURP, &curp())
        .await
        .map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn a_verified_certificate_names_the_caller() {
    let (ca, clients, strangers) = (
        Ca::new("server's"),
        Ca::new("clients'"),
        Ca::new("strangers'"),
    );
    let server = ca.issue(&[NAME]);
    let mounted = Mounted::new(&[
        ("tls.crt", &server.certificate),
        ("tls.key", &server.key),
        ("ca.crt", &clients.pem()),
        ("policy.toml", POLICY),
    ]);
    let policy = format!("auth.policy_file={}", mounted.text("policy.toml"));
    let arguments = ["--sandbox", "--set", "auth.mode=mtls", "--set", &policy];
    let gateway = Process::serve(&arguments, mutual(&mounted, "optional")).await;
    for (what, own, expected) in [
        ("its SPIFFE id", Some(clients.workload(API)), Code::Ok),
        (
            "its DNS name",
            Some(clients.issue(&["batch.bank.example"])),
            Code::Ok,
        ),
        (
            "another SPIFFE id",
            Some(clients.workload(OTHER)),
            Code::PermissionDenied,
        ),
        (
            "another DNS name",
            Some(clients.issue(&["web.bank.example"])),
            Code::PermissionDenied,
        ),
        ("no certificate", None, Code::Unauthenticated),
    ] {
        assert_eq!(code(&gateway, &ca, own.as_ref()).await, expected, "{what}");
    }
    // The same name from another CA does not get as far as having one.
    let stranger = strangers.workload(API);
    let connected = connect(gateway.grpc, client(&[&ca], Some(&stranger))).await;
    if let Ok((client, _)) = connected {
        assert!(client.call(CURP, &curp()).await.is_err());
    }
}

#[test]
fn a_server_that_asks_for_no_certificates_knows_nobody_by_them() {
    let sources = Sources {
        env: vec![("IDGW_AUTH__MODE".to_owned(), "mtls".to_owned())],
        ..Sources::default()
    };
    let refused = identity_gateway::config::load(sources).unwrap_err();
    let named = |problem: &String| problem.starts_with("server.tls.client_auth: is off");
    assert!(refused.problems.iter().any(named), "{refused}");
}
