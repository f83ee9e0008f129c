//! From `HOST:PORT` to a channel: the one place of `call` and `health` that decides how a gateway is
//! dialled.
//!
//! HTTP/2 in plain text or over TLS; `security` says how the server is known.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::{security::Security, tls_words};

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The address cannot be dialled, whoever listens.
    #[error("`{0}` is not an address; it is written HOST:PORT, such as 127.0.0.1:50051")]
    Address(String),
    /// Nobody took the connection.
    #[error("no connection to {address}: {reason}")]
    Unreachable {
        /// The address that was dialled.
        address: String,
        /// The innermost cause, such as `Connection refused (os error 111)`.
        reason: String,
    },
}

/// An address that was checked, with the unspecified address replaced by loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// Reads `HOST:PORT`. The listen addresses `0.0.0.0` and `[::]` are dialled as loopback, because
    /// `call` and `health` default to what `serve` listens on.
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Address(text.to_owned());
        if let Ok(mut address) = text.parse::<SocketAddr>() {
            match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            return match address.port() {
                0 => Err(wrong()),
                _ => Ok(Self(address.to_string())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match port.parse::<u16>() {
            Ok(1..) if !host.is_empty() && host.chars().all(name) => Ok(Self(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl Address {
    /// What is dialled.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens a connection within `timeout`.
pub(crate) async fn connect(
    address: &Address,
    security: &Security,
    timeout: Duration,
) -> Result<Channel, ConnectError> {
    let wrong = |_| ConnectError::Address(address.to_string());
    let scheme = match security {
        Security::Plain => "http",
        Security::Tls { .. } => "https",
    };
    let origin = Uri::try_from(format!("{scheme}://{address}"));
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| ConnectError::Address(address.to_string()))?
        .origin(origin.map_err(wrong)?)
        .connect_timeout(timeout);
    let (to, over) = (address.0.clone(), security.clone());
    let dial = service_fn(move |_: Uri| {
        let (address, security) = (to.clone(), over.clone());
        async move { dial(&address, &security).await.map(TokioIo::new) }
    });
    match endpoint.connect_with_connector(dial).await {
        Ok(channel) => Ok(channel),
        Err(error) => {
            let reason = innermost(&error);
            let reason = match TcpStream::connect(&address.0).await {
                Ok(_) => tls_words::explained(&address.0, security, &reason).await,
                Err(_) => reason,
            };
            let address = address.to_string();
            Err(ConnectError::Unreachable { address, reason })
        }
    }
}

/// A connection of either kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects, over TLS if that is wanted.
pub(crate) async fn dial(address: &str, security: &Security) -> std::io::Result<Box<dyn Io>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let Security::Tls { connector, name } = security else {
        return Ok(Box::new(stream));
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(std::io::Error::other)?;
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// The text of the last error in a chain: tonic's own text is only `transport error`.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_dialled_as_loopback() {
        for (text, dialled) in [
            ("0.0.0.0:50051", "127.0.0.1:50051"),
            ("[::]:50051", "[::1]:50051"),
            ("10.1.2.3:50051", "10.1.2.3:50051"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("localhost:50051", "localhost:50051"),
            ("gateway.svc_a-b:1", "gateway.svc_a-b:1"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), dialled);
        }
    }

    #[test]
    fn what_is_not_host_and_port_is_refused() {
        for text in [
            "",
            "localhost",
            ":50051",
            "localhost:",
            "localhost:0",
            "127.0.0.1:0",
            "localhost:65536",
            "http://localhost:50051",
            "user@localhost:50051",
            "localhost/x:50051",
            "::1:50051x",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
