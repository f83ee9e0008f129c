//! The way to a provider: whom the gateway believes, where it does not follow, and through what it goes.

use std::sync::{Arc, Mutex};

use h2::Reason;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    kit::{
        certs::{Ca, Mounted},
        client::Client,
        h2_provider::{Act, H2Provider, H2Settings},
        process::{Process, program},
    },
    tls::{
        CURP, curp,
        tls_provider::{Says, TlsProvider},
    },
};

/// A gateway whose AccuAuth is there.
pub fn accuauth(url: &str, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (key, value) in [
        ("API_ID", "id"),
        ("API_SECRET", "secret"),
        ("BASE_URL", url),
    ]
    .iter()
    .chain(own)
    {
        variables.push((
            format!("IDGW_PROVIDERS__ACCUAUTH__{key}"),
            (*value).to_owned(),
        ));
    }
    variables
}

async fn ask(variables: Vec<(String, String)>) -> (Result<(), Status>, Process) {
    let gateway = Process::serve(&[], variables).await;
    let client = Client::connect(gateway.grpc).await;
    (client.call(CURP, &curp()).await.map(|_| ()), gateway)
}

/// Reason and billing of a failure.
fn told(status: &Status) -> (Code, String, Option<String>) {
    let info = status.get_details_error_info().unwrap();
    (
        status.code(),
        info.reason,
        info.metadata.get("billing").cloned(),
    )
}

#[tokio::test]
async fn a_provider_is_believed_only_with_a_certificate_of_its_ca_and_its_name() {
    let (ca, other) = (Ca::new("right"), Ca::new("wrong"));
    let unavailable = (
        Code::Unavailable,
        "PROVIDER_UNAVAILABLE".to_owned(),
        Some("not_billed".to_owned()),
    );
    for (pair, expected) in [
        (ca.issue(&["127.0.0.1"]), None),
        (other.issue(&["127.0.0.1"]), Some(&unavailable)),
        (ca.issue(&["elsewhere.test"]), Some(&unavailable)),
    ] {
        let provider = TlsProvider::start(Says::Found, Some(&pair), &["secret"]).await;
        let mounted = Mounted::new(&[("ca.crt", &ca.pem())]);
        let url = format!("https://{}", provider.address);
        let own = [
            ("CA_FILE", mounted.text("ca.crt")),
            ("MAX_ATTEMPTS", "1".into()),
        ];
        let own = own.each_ref().map(|(key, value)| (*key, value.as_str()));
        let (answer, _gateway) = ask(accuauth(&url, &own)).await;
        assert_eq!(answer.as_ref().err().map(told).as_ref(), expected);
        assert_eq!(provider.heads().len(), usize::from(expected.is_none()));
    }
}

#[tokio::test]
async fn the_systems_cas_are_believed_where_no_others_are_named_and_must_be_there() {
    let ca = Ca::new("the system's");
    let provider =
        TlsProvider::start(Says::Found, Some(&ca.issue(&["127.0.0.1"])), &["secret"]).await;
    let url = format!("https://{}", provider.address);
    let system = Mounted::new(&[("cas.pem", &ca.pem()), ("none.pem", "")]);
    let mut variables = accuauth(&url, &[]);
    variables.push(("SSL_CERT_FILE".to_owned(), system.text("cas.pem")));
    ask(variables).await.0.unwrap();

    let mut variables = accuauth(&url, &[]);
    variables.push(("SSL_CERT_FILE".to_owned(), system.text("none.pem")));
    let mut command = program(&["serve", "--listen", "127.0.0.1:0"], variables);
    command
        .env("IDGW_ADMIN__LISTEN", "127.0.0.1:0")
        .env("IDGW_AUTH__MODE", "none");
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(
        said.starts_with("no system CA certificates found"),
        "{said}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = TlsProvider::start(Says::Found, None, &["secret"]).await;
    let provider = TlsProvider::start(Says::Redirects(elsewhere.address), None, &["secret"]).await;
    let (answer, _gateway) = ask(accuauth(&format!("http://{}", provider.address), &[])).await;
    answer.unwrap_err();
    assert_eq!(provider.heads().len(), 1);
    assert!(elsewhere.heads().is_empty());
}

#[tokio::test]
async fn a_refused_stream_of_http_2_is_not_repeated_behind_the_gateways_back() {
    let ca = Ca::new("right");
    let pair = ca.issue(&["127.0.0.1"]);
    let provider = H2Provider::start(&pair, H2Settings::default()).await;
    provider.always(Act::Resets(Reason::REFUSED_STREAM));
    let mounted = Mounted::new(&[("ca.crt", &ca.pem())]);
    let own = [
        ("CA_FILE", mounted.text("ca.crt")),
        ("MAX_ATTEMPTS", "1".into()),
    ];
    let own = own.each_ref().map(|(key, value)| (*key, value.as_str()));
    let (answer, _gateway) = ask(accuauth(&provider.url(), &own)).await;
    // The provider says by it that it has done nothing (RFC 9113, 8.7).
    let (_, _, billing) = told(&answer.unwrap_err());
    assert_eq!(billing.as_deref(), Some("not_billed"));
    assert_eq!(provider.received().len(), 1);
}

/// A proxy that keeps the heads of its requests and connects wherever it is told.
pub async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:canary@{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut bytes).await.unwrap() == 0 {
                        return;
                    }
                }
                let head = String::from_utf8(bytes).unwrap();
                let to = head.split(' ').nth(1).unwrap().to_owned();
                kept.lock().unwrap().push(head);
                let mut there = TcpStream::connect(to).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                    .await
                    .unwrap();
                let _either_closed = copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    (url, heads)
}

#[tokio::test]
async fn a_proxy_is_used_if_it_is_configured_and_only_then_and_sees_nothing_but_the_name() {
    let ca = Ca::new("right");
    let provider =
        TlsProvider::start(Says::Found, Some(&ca.issue(&["127.0.0.1"])), &["secret"]).await;
    let mounted = Mounted::new(&[("ca.crt", &ca.pem())]);
    let url = format!("https://{}", provider.address);
    let (proxy, heads) = proxy().await;

    let mut variables = accuauth(&url, &[("CA_FILE", &mounted.text("ca.crt"))]);
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        variables.push((name.to_owned(), proxy.clone()));
    }
    ask(variables).await.0.unwrap();
    assert!(heads.lock().unwrap().is_empty());

    let variables = accuauth(
        &url,
        &[("CA_FILE", &mounted.text("ca.crt")), ("PROXY", &proxy)],
    );
    let (answer, gateway) = ask(variables).await;
    answer.unwrap();
    let heads = heads.lock().unwrap().clone();
    let [head] = heads.as_slice() else {
        panic!("{heads:?}");
    };
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", provider.address)));
    assert!(head.to_lowercase().contains("proxy-authorization: basic "));
    assert!(!head.contains("secret") && !head.contains("AAPR630321HDFLRC09"));
    let log = serde_json::Value::from(gateway.log.since(0)).to_string();
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_request_that_never_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 1024];
            let _head = stream.read(&mut bytes).await;
            let _gone = stream
                .write_all(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
                )
                .await;
        }
    });
    let proxy = format!("http://user:canary@{address}");
    let ca = Ca::new("right");
    let mounted = Mounted::new(&[("ca.crt", &ca.pem())]);
    let own = [
        ("CA_FILE", mounted.text("ca.crt")),
        ("PROXY", proxy),
        ("MAX_ATTEMPTS", "1".into()),
    ];
    let own = own.each_ref().map(|(key, value)| (*key, value.as_str()));
    let (answer, gateway) = ask(accuauth("https://127.0.0.1:1", &own)).await;
    assert_eq!(
        told(&answer.unwrap_err()),
        (
            Code::Unavailable,
            "PROVIDER_UNAVAILABLE".to_owned(),
            Some("not_billed".to_owned())
        )
    );
    let log = serde_json::Value::from(gateway.log.since(0)).to_string();
    assert!(!log.contains("canary"), "{log}");
}
