//! Where key sets are, and in which words it is said that one cannot be had.

use std::net::SocketAddr;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::auth::jwt::place::Place;
use settings::Issuer as Other;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// What comes of a fetch with these settings.
async fn fetched(change: impl FnOnce(&mut Other)) -> Result<String, String> {
    let mut issuer = Other {
        issuer: Some(ISSUER.to_owned()),
        jwks_timeout: "2s".parse().unwrap(),
        ..Other::default()
    };
    change(&mut issuer);
    let all = Settings {
        issuers: vec![issuer],
        ..Settings::default()
    };
    let (section, issuer) = all.all().remove(0);
    let place = Place::of(&section, &issuer, &mut Vec::new()).unwrap();
    place.fetch().await
}

fn url(text: &str) -> Option<crate::setting::DocumentUrl> {
    Some(text.parse().unwrap())
}

/// TLS in front of a port, under a certificate of its own for this name, in PEM.
async fn tls_before(to: SocketAddr, name: &str) -> (SocketAddr, String) {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut behind = TcpStream::connect(to).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            }
        }
    });
    (address, certificate.pem())
}

#[tokio::test]
async fn a_fetch_that_fails_says_why() {
    let jwks = Jwks::start(key_set(&[&Signer::es256("one")])).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (tls, pem) = tls_before(jwks.address, "127.0.0.1").await;
    let (misnamed, other_pem) = tls_before(jwks.address, "elsewhere.example").await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let (ca, other_ca) = (file("ca.pem", &pem), file("other.pem", &other_pem));
    let silent = silent.local_addr().unwrap();
    for (address, ca_file, expected) in [
        (
            "https://127.0.0.1:1/jwks".to_owned(),
            &ca,
            "connection refused",
        ),
        (
            "https://issuer.invalid/jwks".to_owned(),
            &ca,
            "host name not found (DNS)",
        ),
        (
            format!("https://{tls}/jwks"),
            &other_ca,
            "certificate not trusted: unknown CA",
        ),
        (
            format!("https://{misnamed}/jwks"),
            &other_ca,
            "certificate not trusted: issued for another host name",
        ),
        (
            format!("https://{}/jwks", jwks.address),
            &ca,
            "TLS handshake failed: the peer does not speak TLS",
        ),
        (format!("http://{silent}/jwks"), &ca, "timeout"),
    ] {
        let fetched = fetched(|issuer| {
            issuer.jwks_url = url(&address);
            issuer.ca_file = ca_file.clone();
        });
        assert_eq!(fetched.await.unwrap_err(), expected, "{address}");
    }
    jwks.answers(503, "");
    let unavailable = fetched(|issuer| issuer.jwks_url = url(&jwks.url())).await;
    assert_eq!(unavailable.unwrap_err(), "HTTP status 503");
    jwks.answers(200, "{}");
    let by_ca_file = fetched(|issuer| {
        issuer.jwks_url = url(&format!("https://{tls}/jwks"));
        issuer.ca_file = ca.clone();
    });
    assert_eq!(by_ca_file.await.as_deref(), Ok("{}"));
}

#[tokio::test]
async fn a_query_is_sent_and_a_token_is_shown_as_it_is_at_each_fetch() {
    let jwks = Jwks::start("{}".to_owned()).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    for text in ["first", "second\n"] {
        std::fs::write(&token, text).unwrap();
        let fetched = fetched(|issuer| {
            issuer.jwks_url = url(&format!("http://{}/keys?p=policy&x=1", jwks.address));
            issuer.token_file = Some(token.clone());
        });
        assert!(fetched.await.is_ok());
        let (asked, shown) = jwks.requests().pop().unwrap();
        assert_eq!(asked, "/keys?p=policy&x=1");
        assert_eq!(shown, Some(format!("Bearer {}", text.trim())));
    }
    std::fs::remove_file(&token).unwrap();
    let fetched = fetched(|issuer| {
        issuer.jwks_url = url(&jwks.url());
        issuer.token_file = Some(token);
    });
    let why = fetched.await.unwrap_err();
    assert!(
        why.starts_with("auth.jwt.issuers.0.token_file: cannot be read"),
        "{why}"
    );
}

#[tokio::test]
async fn discovery_names_the_key_set_of_the_configured_issuer_only() {
    let jwks = Jwks::start("{\"keys\": []}".to_owned()).await;
    let elsewhere = Jwks::start("elsewhere".to_owned()).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "shown").unwrap();
    let named = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri}).to_string();
    for (document, expected) in [
        (named(ISSUER, &jwks.url()), Ok("{\"keys\": []}")),
        (named(ISSUER, &elsewhere.url()), Ok("elsewhere")),
        (
            named("https://evil.example", &jwks.url()),
            Err("is another issuer's discovery document: its issuer is not the one configured"),
        ),
        (
            key_set(&[]),
            Err("is a key set (JWKS) and not a discovery document: name it in jwks_url instead"),
        ),
        (
            "<html>".to_owned(),
            Err("is not a discovery document: expected JSON with issuer and jwks_uri"),
        ),
        (
            named(ISSUER, "http://169.254.169.254/keys"),
            Err(
                "jwks_uri of the discovery document: must be https; plain http is for loopback hosts only",
            ),
        ),
        (
            named(ISSUER, "http://127.0.0.1:1/keys"),
            Err("jwks_uri of the discovery document: connection refused"),
        ),
    ] {
        let issuer = Jwks::start(String::new()).await;
        issuer.has(DISCOVERY, &document);
        let fetched = fetched(|settings| {
            settings.discovery_url = url(&format!("http://{}{DISCOVERY}", issuer.address));
            settings.token_file = Some(token.clone());
        });
        let fetched = fetched.await;
        assert_eq!(fetched.as_deref().map_err(String::as_str), expected);
        assert_eq!(
            issuer.requests(),
            [(DISCOVERY.to_owned(), Some("Bearer shown".to_owned()))]
        );
    }
    // The token is for the host that is configured.
    for other in [&jwks, &elsewhere] {
        assert_eq!(other.requests(), [("/jwks.json".to_owned(), None)]);
    }
    let own = Jwks::start("{}".to_owned()).await;
    own.has(DISCOVERY, &named(ISSUER, &own.url()));
    let fetched = fetched(|settings| {
        settings.discovery_url = url(&format!("http://{}{DISCOVERY}", own.address));
        settings.token_file = Some(token);
    });
    assert!(fetched.await.is_ok());
    let shown = own.requests().into_iter().map(|(_, shown)| shown);
    assert!(shown.clone().count() == 2 && shown.flatten().count() == 2);
}

#[test]
fn a_discovery_document_in_the_place_of_a_key_set_is_told_so() {
    let document = json!({"issuer": ISSUER, "jwks_uri": "https://login.bank.example/jwks"});
    let why = key_set::KeySet::parse(&document.to_string()).unwrap_err();
    assert_eq!(
        why,
        "is a discovery document and not a key set (JWKS): name it in discovery_url instead"
    );
    let why = key_set::KeySet::parse("{\"key\": []}").unwrap_err();
    assert_eq!(why, "is not a key set (JWKS): line 1");
}
