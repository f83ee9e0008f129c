//! How a connection is made: TCP, the proxy if there is one, TLS, and the handshake of HTTP.

use std::{io, sync::Arc, time::Duration};

use http::{Uri, uri::Scheme};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use super::{
    AddressError, KeepAlive, NotConnected, Settings, http1, http2, http2::Http2, proxy::Proxy,
};
use crate::domain::verification::Provider;

/// A kernel that hears nothing asks after so long, so often, and gives up bytes that nobody acknowledges.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(15);
const TCP_KEEP_ALIVE_RETRIES: u32 = 3;
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// What bytes go over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that takes a request.
pub enum Dialed {
    /// The provider speaks HTTP/1.
    Http1(SendRequest<Full<bytes::Bytes>>),
    /// The provider speaks HTTP/2.
    Http2(Arc<Http2>),
}

/// What dials one provider.
pub struct Dialer {
    provider: Provider,
    tcp: HttpConnector,
    target: Uri,
    proxy: Option<Proxy>,
    tls: Option<Tls>,
    timeout: Duration,
    keep_alive: KeepAlive,
    max_in_flight: usize,
    unread: usize,
}

/// TLS to one name.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// To the host of a URI; none if it is not one of https.
    ///
    /// # Errors
    ///
    /// If the host has no name that a certificate could have.
    pub fn to(uri: &Uri, config: ClientConfig) -> Result<Option<Self>, InvalidDnsNameError> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(None);
        }
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Some(Self {
            name: ServerName::try_from(host.to_owned())?,
            connector: TlsConnector::from(Arc::new(config)),
        }))
    }

    /// The handshake; whether HTTP/2 was agreed on.
    ///
    /// # Errors
    ///
    /// Why it failed; within is what TLS says of it.
    pub async fn shake(&self, wire: Box<dyn Wire>) -> io::Result<(Box<dyn Wire>, bool)> {
        let shaken = self.connector.connect(self.name.clone(), wire).await?;
        let is_http2 = shaken.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(shaken), is_http2))
    }
}

impl Dialer {
    /// What dials a provider.
    ///
    /// # Errors
    ///
    /// If it cannot be.
    pub fn new(settings: &Settings<'_>, config: ClientConfig) -> Result<Self, AddressError> {
        let base = settings.base_url.as_str();
        let target: Uri = base.parse().map_err(|_| AddressError::Base)?;
        let tls = Tls::to(&target, config.clone()).map_err(|_| AddressError::Base)?;
        let proxy = settings.proxy.map(|url| Proxy::new(url, config));
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_keepalive(Some(TCP_KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEP_ALIVE));
        tcp.set_keepalive_retries(Some(TCP_KEEP_ALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
        Ok(Self {
            provider: settings.provider,
            tcp,
            tls,
            target,
            proxy: proxy.transpose()?,
            timeout: settings.connect_timeout,
            keep_alive: settings.keep_alive,
            max_in_flight: settings.max_in_flight,
            unread: settings.unread,
        })
    }

    /// Whether the provider is reached over TLS, in which HTTP/2 may be agreed on.
    pub const fn is_over_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Makes a connection that is ready for a request.
    ///
    /// # Errors
    ///
    /// If there is none in time.
    pub async fn dial(&self) -> Result<Dialed, NotConnected> {
        let dialed = tokio::time::timeout(self.timeout, self.connect()).await;
        dialed.ok().flatten().ok_or(NotConnected)
    }

    async fn connect(&self) -> Option<Dialed> {
        let mut wire = self.tcp().await?;
        let mut is_http2 = false;
        if let Some(proxy) = &self.proxy {
            wire = proxy.tunnel(wire, &self.target).await.ok()?;
        }
        if let Some(tls) = &self.tls {
            (wire, is_http2) = tls.shake(wire).await.ok()?;
        }
        if is_http2 {
            let (max_in_flight, unread) = (self.max_in_flight, self.unread);
            let http2 = http2::shake(wire, self.provider, self.keep_alive, max_in_flight, unread);
            http2.await.map(Dialed::Http2)
        } else {
            http1::shake(wire).await.map(Dialed::Http1)
        }
    }

    async fn tcp(&self) -> Option<Box<dyn Wire>> {
        let to = self.proxy.as_ref().map_or(&self.target, Proxy::uri);
        let stream = self.tcp.clone().call(to.clone()).await.ok()?;
        Some(Box::new(stream.into_inner()))
    }
}
