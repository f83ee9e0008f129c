//! The issuer's key set over TLS: from who has a certificate of the system's CAs, or of the configured ones, and from
//! nobody else; through a proxy.

use std::{net::SocketAddr, sync::Arc};

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::{
    access::rig::rule,
    kit::{
        certs::{Ca, Mounted, Pair},
        gateway::Gateway,
        issuer::{AUDIENCE, ISSUER, Jwks, Signer, key_set},
    },
    tls::{tls_provider::server_config, upstream::proxy},
};

const LIST: &str = "idgw.person.v1.PersonService/ListPersons";

/// TLS in front of a port.
async fn tls_before(to: SocketAddr, pair: &Pair) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(pair)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut behind = TcpStream::connect(to).await.unwrap();
                    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_is_believed_only_from_a_certificate_of_the_systems_cas() {
    let (ca, other) = (Ca::new("the issuer's"), Ca::new("another"));
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let address = tls_before(jwks.address, &ca.issue(&["127.0.0.1"])).await;
    let files = Mounted::new(&[
        ("ca.pem", &ca.pem()),
        ("other.pem", &other.pem()),
        (
            "policy.toml",
            &rule("alice", "persons = 'all'\nrpcs = ['person.list']"),
        ),
    ]);
    for (cas, expected) in [("ca.pem", None), ("other.pem", Some(Code::Unavailable))] {
        let gateway = Gateway::sandbox([
            ("SSL_CERT_FILE", files.text(cas)),
            ("IDGW_AUTH__MODE", "jwt".to_owned()),
            ("IDGW_AUTH__JWT__ISSUER", ISSUER.to_owned()),
            ("IDGW_AUTH__JWT__AUDIENCE", AUDIENCE.to_owned()),
            ("IDGW_AUTH__POLICY_FILE", files.text("policy.toml")),
            (
                "IDGW_AUTH__JWT__JWKS_URL",
                format!("https://{address}/jwks.json"),
            ),
        ])
        .await;
        let bearer = format!("Bearer {}", signer.token("alice", "person.list"));
        let metadata = [("authorization", bearer.as_str())];
        let answered = gateway.client.call_as(LIST, &json!({}), &metadata).await;
        assert_eq!(
            answered.as_ref().err().map(tonic::Status::code),
            expected,
            "{cas}: {answered:?}"
        );
    }
    assert!(jwks.asked() > 0);
}

/// A gateway that fetches its key set like this, and what a good token gets there.
async fn with_key_set(own: Vec<(&'static str, String)>, token: String) -> (Gateway, Option<Code>) {
    let files = Mounted::new(&[(
        "policy.toml",
        &rule("alice", "persons = 'all'\nrpcs = ['person.list']"),
    )]);
    let mut variables = vec![
        ("IDGW_AUTH__MODE", "jwt".to_owned()),
        ("IDGW_AUTH__JWT__ISSUERS__0__ISSUER", ISSUER.to_owned()),
        ("IDGW_AUTH__JWT__ISSUERS__0__AUDIENCE", AUDIENCE.to_owned()),
        ("IDGW_AUTH__POLICY_FILE", files.text("policy.toml")),
    ];
    variables.extend(own);
    let gateway = Gateway::sandbox(variables).await;
    let bearer = format!("Bearer {token}");
    let metadata = [("authorization", bearer.as_str())];
    let answered = gateway.client.call_as(LIST, &json!({}), &metadata).await;
    (gateway, answered.err().map(|status| status.code()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_comes_through_a_proxy_under_a_ca_of_its_own_and_a_refusal_is_said() {
    let ca = Ca::new("the issuer's");
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let address = tls_before(jwks.address, &ca.issue(&["127.0.0.1"])).await;
    let files = Mounted::new(&[("ca.pem", &ca.pem())]);
    let (url, heads) = proxy().await;
    let refusing = Jwks::start(String::new()).await;
    refusing.answers(407, "");
    let by = |proxy: String| {
        vec![
            (
                "IDGW_AUTH__JWT__ISSUERS__0__JWKS_URL",
                format!("https://{address}/jwks.json"),
            ),
            ("IDGW_AUTH__JWT__ISSUERS__0__CA_FILE", files.text("ca.pem")),
            ("IDGW_AUTH__JWT__ISSUERS__0__PROXY", proxy),
        ]
    };
    let (gateway, refused) = with_key_set(by(url), signer.token("alice", "")).await;
    assert_eq!(refused, None);
    let heads = heads.lock().unwrap().clone();
    assert!(
        heads[0].starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")),
        "{heads:?}"
    );
    let log = serde_json::Value::from(gateway.log.since(0)).to_string();
    assert!(!log.contains("canary"), "{log}");
    let refusing = format!("http://user:canary@{}", refusing.address);
    let (gateway, refused) = with_key_set(by(refusing), signer.token("alice", "")).await;
    assert_eq!(refused, Some(Code::Unavailable));
    let line = gateway
        .log
        .line(
            0,
            "key set unavailable: no token of this issuer can be verified",
        )
        .await
        .unwrap();
    assert_eq!(line["why"], "proxy: HTTP status 407");
    assert_eq!(line["key"], "auth.jwt.issuers.0.jwks_url");
    assert!(!line.to_string().contains("canary"));
}
