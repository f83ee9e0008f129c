//! The HTTP proxy on the way to a provider: it connects, and sees nothing but the name.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use url::Url;

use super::{
    AddressError, USER_AGENT,
    dial::{Tls, Wire},
};
use crate::domain::redaction::Secret;

/// A proxy, and what makes the gateway known to it.
pub struct Proxy {
    uri: Uri,
    tls: Option<Tls>,
    authorization: Option<HeaderValue>,
}

/// Why a proxy does not connect.
#[derive(Debug)]
pub enum NoTunnel {
    /// TLS to the proxy itself.
    Tls(std::io::Error),
    /// It answers with another HTTP status than success.
    Status(u16),
    /// It ends the connection.
    Broken,
}

impl Proxy {
    /// The proxy of a URL, with user and password if it has them.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn new(url: &Secret, mut tls: ClientConfig) -> Result<Self, AddressError> {
        let mut url: Url = url.expose().parse().map_err(|_| AddressError::Proxy)?;
        let authorization = authorization(&url)?;
        url.set_username("").map_err(|()| AddressError::Proxy)?;
        url.set_password(None).map_err(|()| AddressError::Proxy)?;
        let uri: Uri = url.as_str().parse().map_err(|_| AddressError::Proxy)?;
        // CONNECT is HTTP/1's.
        tls.alpn_protocols.clear();
        Ok(Self {
            tls: Tls::to(&uri, tls).map_err(|_| AddressError::Proxy)?,
            uri,
            authorization,
        })
    }

    /// Where it is.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Has it connect to a target.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn tunnel(
        &self,
        wire: Box<dyn Wire>,
        target: &Uri,
    ) -> Result<Box<dyn Wire>, NoTunnel> {
        let wire = match &self.tls {
            None => wire,
            Some(tls) => tls.shake(wire).await.map_err(NoTunnel::Tls)?.0,
        };
        let request = self.connect(target).ok_or(NoTunnel::Broken)?;
        let shaken = http1::handshake(TokioIo::new(wire)).await;
        let (mut sender, connection) = shaken.map_err(|_| NoTunnel::Broken)?;
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|_| NoTunnel::Broken)?;
        if !answer.status().is_success() {
            return Err(NoTunnel::Status(answer.status().as_u16()));
        }
        let tunnel = hyper::upgrade::on(answer).await;
        Ok(Box::new(TokioIo::new(
            tunnel.map_err(|_| NoTunnel::Broken)?,
        )))
    }

    fn connect(&self, target: &Uri) -> Option<Request<Empty<Bytes>>> {
        let usual = if target.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let port = target.port_u16().unwrap_or(usual);
        let authority = format!("{}:{port}", target.host()?);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority.parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::try_from(authority).ok()?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        Some(request)
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, AddressError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(basic).map_err(|_| AddressError::Proxy)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tls::ClientTls;

    #[test]
    fn user_and_password_are_a_header_and_in_no_address() {
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        for (url, header, uri) in [
            (
                "http://proxy.internal:3128",
                None,
                "http://proxy.internal:3128/",
            ),
            (
                "http://us%40er:p%3Ass@proxy.internal:3128",
                Some("Basic dXNAZXI6cDpzcw=="),
                "http://proxy.internal:3128/",
            ),
            (
                "https://user@proxy.internal",
                Some("Basic dXNlcjo="),
                "https://proxy.internal/",
            ),
        ] {
            let proxy = Proxy::new(&Secret::new(url.to_owned()), ClientTls::none()).unwrap();
            let sent = proxy
                .authorization
                .as_ref()
                .map(|value| value.to_str().unwrap());
            assert_eq!(sent, header, "{url}");
            assert!(proxy.authorization.is_none_or(|value| value.is_sensitive()));
            assert_eq!(proxy.uri, uri);
            assert_eq!(proxy.tls.is_some(), url.starts_with("https"));
        }
    }
}
