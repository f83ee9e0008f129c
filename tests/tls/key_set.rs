//! The issuer's key set over TLS: from who has a certificate of the system's CAs, and from nobody else.

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
    tls::tls_provider::server_config,
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
