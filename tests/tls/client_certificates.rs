//! A client certificate that was good in the handshake and is no more: expired, revoked, or of a CA that was taken away.
//! No call of it is answered, on connections that are open, new, or resumed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, HandshakeKind, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME, Pair, client, client_of},
        client::Client,
        process::{Process, program},
    },
    tls::{
        CURP, curp,
        load::{Load, connect},
        rotation::until,
        server::{mutual, tls},
    },
};

/// What a gateway reads.
struct Files {
    servers: Ca,
    clients: Ca,
    pair: Pair,
    mounted: Mounted,
}

impl Files {
    fn new(crl: impl Fn(&Ca) -> String) -> Self {
        let (servers, clients) = (Ca::new("servers'"), Ca::new("clients'"));
        let pair = servers.issue(&[NAME]);
        let mounted = Mounted::new(&[
            ("tls.crt", &pair.certificate),
            ("tls.key", &pair.key),
            ("ca.crt", &clients.pem()),
            ("ca.crl", &crl(&clients)),
        ]);
        Self {
            servers,
            clients,
            pair,
            mounted,
        }
    }

    fn swap(&self, ca: &str, crl: &str) {
        self.mounted.swap(&[
            ("tls.crt", &self.pair.certificate),
            ("tls.key", &self.pair.key),
            ("ca.crt", ca),
            ("ca.crl", crl),
        ]);
    }

    fn settings(&self, auth: &str) -> Vec<(String, String)> {
        let mut variables = mutual(&self.mounted, auth);
        variables.push((
            "IDGW_SERVER__TLS__CRL_FILE".to_owned(),
            self.mounted.text("ca.crl"),
        ));
        variables
    }

    fn client(&self, own: &Pair) -> ClientConfig {
        client(&[&self.servers], Some(own))
    }
}

async fn handshake(gateway: &Process, config: &ClientConfig) -> HandshakeKind {
    let socket = TcpStream::connect(gateway.grpc).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let name = ServerName::try_from(NAME).unwrap();
    let stream = connector.connect(name, socket).await.unwrap();
    stream.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn no_session_is_resumed_where_clients_are_asked_for_certificates() {
    let files = Files::new(|ca| ca.crl(&[], 2100));
    let own = files.clients.issue(&["client.test"]);
    for (auth, resumes) in [
        (None, true),
        (Some("required"), false),
        (Some("optional"), false),
    ] {
        let variables = match auth {
            None => tls(&files.mounted),
            Some(auth) => mutual(&files.mounted, auth),
        };
        let gateway = Process::serve(&["--sandbox"], variables).await;
        let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
        for version in versions {
            let config = client_of(&[&files.servers], Some(&own), &[version], &[b"h2"]);
            // The session is in the configuration, and with it in its copy. The gateway's is made anew at its first
            // look at the files, and with it its sessions.
            let mut resumed = false;
            for _ in 0..5 {
                let (client, _) = connect(gateway.grpc, config.clone()).await.unwrap();
                client.call(CURP, &curp()).await.unwrap();
                resumed |= handshake(&gateway, &config).await == HandshakeKind::Resumed;
            }
            assert_eq!(resumed, resumes, "{auth:?} {version:?}");
        }
    }
}

/// Whether a call is answered.
async fn answers(client: &Client) -> bool {
    client.call(CURP, &curp()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_good_for_no_call_on_an_open_connection() {
    for auth in ["required", "optional"] {
        let files = Files::new(|ca| ca.crl(&[], 2100));
        let gateway = Process::serve(&["--sandbox"], files.settings(auth)).await;
        let lasting = files.clients.issue(&["lasting.test"]);
        let (lasting, _) = connect(gateway.grpc, files.client(&lasting)).await.unwrap();
        let staying = Load::over(vec![lasting], &[(CURP, curp())]);
        let (brief, ends) = files.clients.brief("brief.test", Duration::from_secs(4));
        let config = files.client(&brief);
        let (open, _) = connect(gateway.grpc, config.clone()).await.unwrap();
        assert!(answers(&open).await, "{auth}");
        let left = ends.duration_since(SystemTime::now()).unwrap();
        tokio::time::sleep(left + Duration::from_millis(20)).await;
        for _ in 0..5 {
            assert!(open.call(CURP, &curp()).await.is_err(), "{auth}");
        }
        let again = connect(gateway.grpc, config).await;
        if let Ok((client, _)) = again {
            assert!(client.call(CURP, &curp()).await.is_err(), "{auth}");
        }
        staying.more(5).await;
        staying.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_a_new_certificate_in_time_loses_no_call() {
    let files = Files::new(|ca| ca.crl(&[], 2100));
    let gateway = Process::serve(&["--sandbox"], files.settings("required")).await;
    let (brief, ends) = files.clients.brief("brief.test", Duration::from_secs(5));
    let (mut open, _) = connect(gateway.grpc, files.client(&brief)).await.unwrap();
    let renewed = files.clients.issue(&["brief.test"]);
    let (mut moved, mut calls) = (0, 0);
    while SystemTime::now() < ends + Duration::from_secs(1) {
        match open.call(CURP, &curp()).await {
            Ok(_) => calls += 1,
            // As a channel does that hears GOAWAY: what was not taken goes out on a new connection.
            Err(status) => {
                assert_ne!(status.code(), Code::Unauthenticated, "{status:?}");
                moved += 1;
                open = connect(gateway.grpc, files.client(&renewed))
                    .await
                    .unwrap()
                    .0;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(moved, 1);
    assert!(calls > 20, "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_from_the_next_look_on_and_no_other() {
    let files = Files::new(|ca| ca.crl(&[], 2100));
    let gateway = Process::serve(&["--sandbox"], files.settings("required")).await;
    let (good, bad) = (
        files.clients.issue(&["good.test"]),
        files.clients.issue(&["bad.test"]),
    );
    let (open, _) = connect(gateway.grpc, files.client(&bad)).await.unwrap();
    assert!(answers(&open).await);
    let (other, _) = connect(gateway.grpc, files.client(&good)).await.unwrap();
    let staying = Load::over(vec![other], &[(CURP, curp())]);
    files.swap(&files.clients.pem(), &files.clients.crl(&[&bad], 2100));
    until("the revocation", || async {
        open.call(CURP, &curp()).await.is_err()
    })
    .await;
    let again = connect(gateway.grpc, files.client(&bad)).await;
    if let Ok((client, _)) = again {
        assert!(client.call(CURP, &curp()).await.is_err());
    }
    let (fresh, _) = connect(gateway.grpc, files.client(&good)).await.unwrap();
    assert!(answers(&fresh).await);
    // One that has expired, or is another CA's, is not taken: the revocation stays.
    for (crl, kept) in [
        (files.clients.crl(&[], 2025), 1.0),
        (Ca::new("another").crl(&[], 2100), 2.0),
        ("canary".to_owned(), 3.0),
    ] {
        files.swap(&files.clients.pem(), &crl);
        until("the refusal", || async {
            gateway.metric("idgw_reloads_total", "kept").await == kept
        })
        .await;
        if let Ok((client, _)) = connect(gateway.grpc, files.client(&bad)).await {
            assert!(client.call(CURP, &curp()).await.is_err());
        }
    }
    assert!(gateway.metric("idgw_tls_crl_expires_seconds", "").await > 1e9);
    staying.more(5).await;
    staying.end().await;
}

#[tokio::test]
async fn a_revocation_list_that_cannot_be_used_keeps_the_server_from_starting() {
    type Of = fn(&Ca) -> String;
    let lists: [(Of, &str); 4] = [
        (
            |ca| ca.crl(&[], 2025),
            "server.tls.crl_file: the revocation list has expired",
        ),
        (
            |_| "canary".to_owned(),
            "server.tls.crl_file: contains no revocation list",
        ),
        (Ca::pem, "server.tls.crl_file: contains no revocation list"),
        (
            |_| Ca::new("another").crl(&[], 2100),
            "server.tls.crl_file: contains no revocation list for a CA",
        ),
    ];
    for (list, problem) in lists {
        let files = Files::new(list);
        let mut command = program(
            &["serve", "--sandbox", "--listen", "127.0.0.1:0"],
            files.settings("required"),
        );
        command.env("IDGW_ADMIN__LISTEN", "127.0.0.1:0");
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(
            !ended.status.success() && said.starts_with(problem),
            "{said}"
        );
        assert!(!said.contains("canary"));
    }
}
