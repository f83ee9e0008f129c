//! A provider over TLS or in plain text that knows credentials, answers as all three do, and keeps the heads of
//! the requests it got.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::kit::certs::Pair;

/// What is said to whoever is known.
#[derive(Clone, Copy)]
pub enum Says {
    /// Somebody was found, in the words of whoever is asked.
    Found,
    /// To ask elsewhere.
    Redirects(SocketAddr),
}

/// A running provider. It ends with the test's runtime.
pub struct TlsProvider {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    says: Says,
    tls: Option<ArcSwap<ServerConfig>>,
    /// One of these must stand in the head of a request.
    known: Mutex<Vec<String>>,
    heads: Mutex<Vec<String>>,
}

pub fn server_config(pair: &Pair) -> ServerConfig {
    crate::kit::certs::crypto();
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![pair.der()], pair.private_key())
        .unwrap()
}

impl TlsProvider {
    pub async fn start(says: Says, pair: Option<&Pair>, known: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            says,
            tls: pair.map(|pair| ArcSwap::from_pointee(server_config(pair))),
            known: Mutex::default(),
            heads: Mutex::default(),
        });
        let provider = Self {
            address,
            shared: Arc::clone(&shared),
        };
        provider.knows(known);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let acceptor = shared.tls.as_ref();
                    let acceptor = acceptor.map(|tls| TlsAcceptor::from(tls.load_full()));
                    match acceptor {
                        None => converse(stream, &shared).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => converse(stream, &shared).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        provider
    }

    /// Who is known from now on.
    pub fn knows(&self, known: &[&str]) {
        let known = known.iter().map(|text| (*text).to_owned()).collect();
        *self.shared.known.lock().unwrap() = known;
    }

    /// The certificate that is shown from now on.
    pub fn shows(&self, pair: &Pair) {
        let tls = self.shared.tls.as_ref().unwrap();
        tls.store(Arc::new(server_config(pair)));
    }

    /// The heads of the requests since this was asked last.
    pub fn heads(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.heads.lock().unwrap())
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
        };
        let mut body = bytes.split_off(end + 4);
        let head = String::from_utf8(std::mem::take(&mut bytes)).unwrap();
        let length = head.to_lowercase().split("\r\n").find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        while body.len() < length.unwrap_or_default() {
            (stream.read_buf(&mut body).await.ok()? > 0).then_some(())?;
        }
        bytes = body.split_off(length.unwrap_or_default());
        let known = shared
            .known
            .lock()
            .unwrap()
            .iter()
            .any(|text| head.contains(text));
        let (status, location, body) = match shared.says {
            _ if !known => (401, String::new(), "{}"),
            Says::Redirects(to) => (302, format!("location: http://{to}/moved\r\n"), "{}"),
            Says::Found if head.contains("/verify/id_check") => (200, String::new(), ACCUAUTH),
            Says::Found if head.contains("/id-scrub") => (200, String::new(), YOUVERIFY),
            Says::Found => (200, String::new(), VERIFIK),
        };
        shared.heads.lock().unwrap().push(head);
        let answer = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\n{location}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

const ACCUAUTH: &str = r#"{"request_id":"r-1","status":"OK","result_code":"0","result_message":"found","result":{"curp":"AAPR630321HDFLRC09","estatusCurp":"RCN"}}"#;
const YOUVERIFY: &str =
    r#"{"success":true,"statusCode":200,"message":"success","data":{"id":"y-1","status":"found"}}"#;
const VERIFIK: &str = r#"{"data":{"documentNumber":"005015372","fullName":"EJEMPLO"},"id":"v-1"}"#;
