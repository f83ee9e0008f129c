//! The gRPC port over TLS: versions, ALPN, client certificates, and files that cannot be used.

use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME, client, client_of},
        process::{Process, program},
    },
    tls::{CURP, curp, load::connect},
};

/// The variables of a server with this directory.
pub fn tls(mounted: &Mounted) -> Vec<(String, String)> {
    [
        ("CERT_FILE", mounted.text("tls.crt")),
        ("KEY_FILE", mounted.text("tls.key")),
    ]
    .map(|(key, value)| (format!("IDGW_SERVER__TLS__{key}"), value))
    .into()
}

/// The same, and clients need a certificate of the directory's `ca.crt`.
pub fn mutual(mounted: &Mounted, auth: &str) -> Vec<(String, String)> {
    let mut variables = tls(mounted);
    let mut add =
        |key: &str, value: String| variables.push((format!("IDGW_SERVER__TLS__{key}"), value));
    add("CLIENT_CA_FILE", mounted.text("ca.crt"));
    add("CLIENT_AUTH", auth.to_owned());
    variables
}

#[tokio::test]
async fn tls_1_2_and_1_3_with_h2_are_served_and_nothing_else() {
    let ca = Ca::new("server's");
    let pair = ca.issue(&[NAME]);
    let mounted = Mounted::new(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)]);
    let gateway = Process::serve(&["--sandbox"], tls(&mounted)).await;
    for version in [&TLS12, &TLS13] {
        for alpn in [&[&b"h2"[..]][..], &[b"http/1.1", b"h2"], &[]] {
            let config = client_of(&[&ca], None, &[version], alpn);
            let (client, shown) = connect(gateway.grpc, config).await.unwrap();
            assert_eq!(shown, pair.der());
            client.call(CURP, &curp()).await.unwrap();
        }
    }
    let http_1 = client_of(&[&ca], None, rustls::ALL_VERSIONS, &[b"http/1.1"]);
    let refused = connect(gateway.grpc, http_1).await.map(|_| ()).unwrap_err();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");

    // In plain text nothing is answered but the alert that this is not TLS.
    let mut plain = TcpStream::connect(gateway.grpc).await.unwrap();
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer).await;
    assert!(answer.len() <= 7, "{answer:?}");

    gateway
        .metric_becomes("idgw_connections_refused_total", "tls", |value| {
            value >= 2.0
        })
        .await;
    // rcgen's certificates end in the year 4096.
    gateway
        .metric_becomes("idgw_tls_certificate_expires_seconds", "", |value| {
            value > 1e9
        })
        .await;
}

#[tokio::test]
async fn a_client_certificate_is_needed_where_it_is_required_and_checked_wherever_it_is_shown() {
    let (servers, clients, others) = (Ca::new("servers'"), Ca::new("clients'"), Ca::new("others'"));
    let pair = servers.issue(&[NAME]);
    let (good, bad) = (
        clients.issue(&["client.test"]),
        others.issue(&["client.test"]),
    );
    let mounted = Mounted::new(&[
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &clients.pem()),
    ]);
    for (auth, own, answered) in [
        ("required", Some(&good), true),
        ("required", Some(&bad), false),
        ("required", None, false),
        ("optional", Some(&good), true),
        ("optional", Some(&bad), false),
        ("optional", None, true),
    ] {
        let gateway = Process::serve(&["--sandbox"], mutual(&mounted, auth)).await;
        // With TLS 1.3 the client hears of a refusal only after its own handshake is done.
        let called = match connect(gateway.grpc, client(&[&servers], own)).await {
            Err(error) => Err(error),
            Ok((client, _)) => {
                let answer = client.call(CURP, &curp()).await;
                answer.map(|_| ()).map_err(|status| format!("{status:?}"))
            }
        };
        let shown = own.is_some();
        assert_eq!(
            called.is_ok(),
            answered,
            "{auth}, a certificate: {shown}: {called:?}"
        );
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_keep_the_server_from_starting_and_are_named() {
    let ca = Ca::new("server's");
    let (pair, other) = (ca.issue(&[NAME]), ca.issue(&[NAME]));
    for (certificate, key, problem) in [
        (
            "canary",
            pair.key.as_str(),
            "server.tls.cert_file: contains no certificate",
        ),
        (
            &pair.certificate,
            "canary",
            "server.tls.key_file: contains no private key",
        ),
        (
            &pair.certificate,
            &other.key,
            "server.tls: certificate and key cannot be used",
        ),
    ] {
        let mounted = Mounted::new(&[("tls.crt", certificate), ("tls.key", key)]);
        let mut command = program(
            &["serve", "--sandbox", "--listen", "127.0.0.1:0"],
            tls(&mounted),
        );
        command.env("IDGW_ADMIN__LISTEN", "127.0.0.1:0");
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.starts_with(problem), "{said}");
        assert!(!said.contains("canary") && !said.contains("BEGIN"));
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_is_ended_and_keeps_nobody_waiting() {
    let ca = Ca::new("server's");
    let pair = ca.issue(&[NAME]);
    let mounted = Mounted::new(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)]);
    let mut variables = tls(&mounted);
    variables.push(("IDGW_SERVER__HANDSHAKE_TIMEOUT".into(), "5s".into()));
    variables.push(("IDGW_SERVER__MAX_HANDSHAKES".into(), "50".into()));
    let gateway = Process::serve(&["--sandbox"], variables).await;
    let mut silent = Vec::new();
    for byte in 0..200_u8 {
        let mut stream = TcpStream::connect(gateway.grpc).await.unwrap();
        // Half of them begin a handshake.
        if byte.is_multiple_of(2) {
            stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        }
        silent.push(stream);
    }
    let began = std::time::Instant::now();
    let (client, _) = connect(gateway.grpc, client(&[&ca], None)).await.unwrap();
    client.call(CURP, &curp()).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for mut stream in silent {
        let mut byte = [0];
        let closed = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut byte));
        assert!(!matches!(closed.await.unwrap(), Ok(1..)));
    }
    gateway
        .metric_becomes("idgw_connections_refused_total", "displaced", |value| {
            value >= 149.0
        })
        .await;
    gateway
        .metric_becomes("idgw_connections_refused_total", "timeout", |value| {
            value >= 1.0
        })
        .await;
}
