//! Small documents from URLs that the configuration names, such as an issuer's key set: one connection, one GET, no
//! redirects; through a proxy only if one is configured.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use tower_service::Service as _;
use url::Url;

use super::{
    AddressError, USER_AGENT,
    dial::{Tls, Wire},
    fetch_error::FetchError,
    http1,
    proxy::Proxy,
};
use crate::domain::redaction::Secret;

/// The way to documents.
#[derive(Clone)]
pub struct Documents {
    tcp: HttpConnector,
    tls: ClientConfig,
    proxy: Option<Arc<Proxy>>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl Documents {
    /// The way over this TLS and perhaps a proxy. The addresses of a host have `connect_timeout` together.
    ///
    /// # Errors
    ///
    /// If the proxy is none.
    pub fn over(
        mut tls: ClientConfig,
        proxy: Option<&Secret>,
        connect_timeout: Duration,
    ) -> Result<Self, AddressError> {
        // One request is no reason for HTTP/2.
        tls.alpn_protocols.clear();
        let proxy = proxy.map(|url| Proxy::new(url, tls.clone()).map(Arc::new));
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // With several addresses each has a part of it: one that is silent does not keep from the next.
        tcp.set_connect_timeout(Some(connect_timeout));
        Ok(Self {
            tcp,
            tls,
            proxy: proxy.transpose()?,
        })
    }

    /// Fetches a document, with this bearer token if there is one. The caller says how long that may take.
    ///
    /// # Errors
    ///
    /// If it cannot be fetched, or has more bytes than `limit`.
    pub async fn fetch(
        &self,
        url: &Url,
        bearer: Option<&Secret>,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let target: Uri = url.as_str().parse().map_err(|_| FetchError::NoAddress)?;
        let wire = self.wire(&target).await?;
        let mut sender = http1::shake(wire).await.ok_or(FetchError::Broken)?;
        let request = request(url, &target, bearer).ok_or(FetchError::Broken)?;
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

    async fn wire(&self, target: &Uri) -> Result<Box<dyn Wire>, FetchError> {
        let to = self.proxy.as_ref().map_or(target, |proxy| proxy.uri());
        let stream = self.tcp.clone().call(to.clone()).await;
        let stream = stream.map_err(|error| {
            let why = FetchError::connecting(&error);
            match self.proxy {
                Some(_) => FetchError::Proxy(Box::new(why)),
                None => why,
            }
        })?;
        let mut wire: Box<dyn Wire> = Box::new(stream.into_inner());
        if let Some(proxy) = &self.proxy {
            wire = proxy.tunnel(wire, target).await?;
        }
        let tls = Tls::to(target, self.tls.clone()).map_err(|_| FetchError::NoAddress)?;
        if let Some(tls) = &tls {
            let shaken = tls.shake(wire).await;
            (wire, _) = shaken.map_err(|error| FetchError::shaking(&error))?;
        }
        Ok(wire)
    }
}

fn request(url: &Url, target: &Uri, bearer: Option<&Secret>) -> Option<Request<Full<Bytes>>> {
    let mut host = url.host_str()?.to_owned();
    if let Some(port) = url.port() {
        host = format!("{host}:{port}");
    }
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*");
    if let Some(bearer) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", bearer.expose())).ok()?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    request.body(Full::new(Bytes::new())).ok()
}
