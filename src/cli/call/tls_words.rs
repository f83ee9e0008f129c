//! What went wrong between client and port, in words that say what to do: TLS spoken to a port without, plain text to one
//! with, a certificate that is not trusted, of another name, out of date, and a client certificate that is wanted.
//!
//! A library's text is known by the names that rustls gives its alerts and errors; which language a port speaks is asked
//! of the port itself, with a greeting that begins no call.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    connect::dial,
    security::{Security, Tls, Trust},
};

/// How long a port may take to show which language it speaks.
const GREETING: Duration = Duration::from_secs(2);
/// HTTP/2's preface with an empty SETTINGS frame; a server answers with its own, frame type 4.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// What the names in an error's text mean, the first that fits.
const MEANINGS: [(&[&str], &str); 9] = [
    (
        &["UnknownIssuer"],
        "the server's certificate is of a CA that is not trusted here; --tls-ca FILE names the CA to trust",
    ),
    (
        &["NotValidForName", "not valid for name"],
        "the server's certificate is for another name than the address; --tls-name NAME says which one it must have",
    ),
    (
        &["certificate expired", "peer certificate: Expired"],
        "the server's certificate has expired",
    ),
    (
        &["certificate not valid yet", "peer certificate: NotValidYet"],
        "the server's certificate is not valid yet: compare the clocks",
    ),
    (
        &["CertificateRequired"],
        "the server wants a client certificate; show one with --tls-cert FILE --tls-key FILE",
    ),
    (
        &["UnknownCA", "DecryptError", "AccessDenied"],
        "the server does not accept the client certificate: it is of another CA than the server trusts",
    ),
    (
        &[
            "CertificateExpired",
            "CertificateRevoked",
            "BadCertificate",
            "CertificateUnknown",
        ],
        "the server does not accept the client certificate: it has expired, is revoked, or of a CA that the server does not trust",
    ),
    (
        &[
            "NoApplicationProtocol",
            "peer doesn't support any known protocol",
        ],
        "the server speaks TLS, but not HTTP/2 over it: this is no gRPC port",
    ),
    (
        &["HandshakeFailure"],
        "the server accepts no TLS handshake with this client; if it wants a client certificate: --tls-cert FILE --tls-key FILE",
    ),
];

/// The reason with its meaning, if it has one.
pub(crate) async fn explained(address: &str, security: &Security, reason: &str) -> String {
    let mut meaning = known(reason);
    if meaning.is_none() {
        meaning = speaks_the_other(address, security).await;
    }
    if meaning.is_none() {
        meaning = refusal(address, security).await;
    }
    match meaning {
        Some(meaning) => format!("{meaning} ({reason})"),
        None => reason.to_owned(),
    }
}

fn known(reason: &str) -> Option<&'static str> {
    let fits = |names: &[&str]| names.iter().any(|name| reason.contains(name));
    let mut meanings = MEANINGS.iter();
    meanings
        .find(|(names, _)| fits(names))
        .map(|(_, meaning)| *meaning)
}

/// Of TLS 1.3 a server refuses a client certificate after the client's handshake has ended; what is written meanwhile
/// may break the connection before the alert is read. So nothing is written.
async fn refusal(address: &str, security: &Security) -> Option<&'static str> {
    if matches!(security, Security::Plain) {
        return None;
    }
    let heard = async {
        let mut stream = dial(address, security).await?;
        stream.read_u8().await
    };
    match tokio::time::timeout(GREETING, heard).await {
        Ok(Err(error)) => known(&error.to_string()),
        Ok(Ok(_)) | Err(_) => None,
    }
}

/// Whether the port speaks what was not tried.
pub(crate) async fn speaks_the_other(address: &str, security: &Security) -> Option<&'static str> {
    let greeted = async {
        match security {
            Security::Plain => speaks_tls(address).await.then_some(
                "the port speaks TLS, and the call was made in plain text: use --tls or --tls-ca FILE",
            ),
            Security::Tls { .. } => speaks_http2(address).await.then_some(
                "the port speaks no TLS: leave --tls, --tls-ca and their like out",
            ),
        }
    };
    tokio::time::timeout(GREETING, greeted).await.ok().flatten()
}

async fn speaks_http2(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return false;
    };
    let mut frame = [0; 9];
    stream.write_all(HTTP2).await.is_ok()
        && stream.read_exact(&mut frame).await.is_ok()
        && frame.get(3) == Some(&4)
}

/// A handshake that trusts anybody and sends nothing.
async fn speaks_tls(address: &str) -> bool {
    let tls = Tls {
        trust: Trust::Anybody,
        name: None,
        own: None,
    };
    let Ok(Security::Tls { connector, .. }) = tls.load() else {
        return false;
    };
    let Ok(stream) = TcpStream::connect(address).await else {
        return false;
    };
    let name = rustls::pki_types::ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    match connector.connect(name, stream).await {
        Ok(_) => true,
        // An alert is TLS too.
        Err(error) => error.to_string().contains("alert"),
    }
}
