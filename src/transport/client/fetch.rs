//! A small document from a URL that the configuration names, such as an issuer's key set: one connection, one GET, no
//! redirects, no proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service as _;
use url::Url;

use super::{
    USER_AGENT,
    dial::{Tls, Wire},
    http1,
};
use crate::transport::tls::ClientTls;

/// Why a document cannot be fetched from a URL, now or ever.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is no URL of HTTP.
    #[error("is not a URL of HTTP")]
    Url,
    /// Nobody could be trusted there.
    #[error("no system CA certificates found; install them, or set SSL_CERT_FILE")]
    NoCas,
}

/// Why there is no document. Nothing of the URL is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection could be made.
    #[error("cannot be reached")]
    NotConnected,
    /// There was no answer, or not all of it.
    #[error("connection closed before the end of the response")]
    Broken,
    /// Another answer than 200.
    #[error("answered with HTTP {0}")]
    Status(u16),
    /// More bytes than were wanted.
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
}

/// Where a document is.
#[derive(Clone)]
pub struct Document {
    target: Uri,
    host: HeaderValue,
    tcp: HttpConnector,
    tls: Option<Tls>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// The document at a URL, whose addresses have `connect_timeout` together. The system's CAs are read if it is one of
    /// https.
    ///
    /// # Errors
    ///
    /// If nothing can be fetched from there.
    pub fn at(url: &Url, connect_timeout: Duration) -> Result<Self, SourceError> {
        let target: Uri = url.as_str().parse().map_err(|_| SourceError::Url)?;
        let mut config = match url.scheme() {
            "https" => ClientTls::default()
                .system()
                .map_err(|_| SourceError::NoCas)?,
            _ => ClientTls::none(),
        };
        // One request is no reason for HTTP/2.
        config.alpn_protocols.clear();
        let mut host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            host = format!("{host}:{port}");
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // With several addresses each has a part of it: one that is silent does not keep from the next.
        tcp.set_connect_timeout(Some(connect_timeout));
        Ok(Self {
            tls: Tls::to(&target, config).map_err(|_| SourceError::Url)?,
            host: HeaderValue::try_from(host).map_err(|_| SourceError::Url)?,
            target,
            tcp,
        })
    }

    /// Fetches it. The caller says how long that may take.
    ///
    /// # Errors
    ///
    /// If it cannot be fetched, or has more bytes than `limit`.
    pub async fn fetch(&self, limit: usize) -> Result<Vec<u8>, FetchError> {
        let stream = self.tcp.clone().call(self.target.clone()).await;
        let stream = stream.map_err(|_| FetchError::NotConnected)?;
        let mut wire: Box<dyn Wire> = Box::new(stream.into_inner());
        if let Some(tls) = &self.tls {
            (wire, _) = tls.shake(wire).await.ok_or(FetchError::NotConnected)?;
        }
        let mut sender = http1::shake(wire).await.ok_or(FetchError::Broken)?;
        let path = self
            .target
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .body(Full::new(Bytes::new()))
            .map_err(|_| FetchError::Broken)?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|_| FetchError::Broken)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let body = http_body_util::Limited::new(answer.into_body(), limit);
        match http_body_util::BodyExt::collect(body).await {
            Ok(whole) => Ok(whole.to_bytes().into()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(FetchError::TooLarge(limit))
            }
            Err(_) => Err(FetchError::Broken),
        }
    }
}
