//! Why a document cannot be fetched, in words for the log: a closed list, in which nothing of the URL and of the answer
//! is repeated. For the same cause they are those that docs/observability.md has for a collector.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

use super::proxy::NoTunnel;

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host's name has no address.
    #[error("host name not found (DNS)")]
    NoAddress,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No connection, or no whole answer, in time.
    #[error("timeout")]
    Timeout,
    /// No connection for another reason.
    #[error("no connection: host or network unreachable")]
    NotConnected,
    /// TLS failed.
    #[error("{0}")]
    Tls(&'static str),
    /// The proxy on the way.
    #[error("proxy: {0}")]
    Proxy(Box<Self>),
    /// There was no answer, or not all of it.
    #[error("connection closed before the end of the response")]
    Broken,
    /// Another answer than was wanted.
    #[error("HTTP status {0}")]
    Status(u16),
    /// More bytes than were wanted.
    #[error("response larger than {0} bytes")]
    TooLarge(usize),
}

impl FetchError {
    /// Why there is no connection.
    pub(super) fn connecting(error: &(dyn Error + 'static)) -> Self {
        // The connector has no other way to say so.
        if error.to_string().starts_with("dns error") {
            return Self::NoAddress;
        }
        let (mut source, mut kind) = (Some(error), None);
        while let Some(error) = source {
            let io = error.downcast_ref::<io::Error>();
            kind = io.map(io::Error::kind).or(kind);
            source = error.source();
        }
        match kind {
            Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            Some(io::ErrorKind::TimedOut) => Self::Timeout,
            _ => Self::NotConnected,
        }
    }

    /// Why there is no TLS.
    pub(super) fn shaking(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|within| within.downcast_ref::<rustls::Error>());
        let Some(tls) = tls else {
            return Self::Tls("TLS handshake failed: connection closed");
        };
        Self::Tls(match tls {
            rustls::Error::InvalidCertificate(why) => match why {
                // The second is one of a CA of the same name and another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "certificate not trusted: unknown CA"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "certificate not trusted: expired"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "certificate not trusted: not valid yet"
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "certificate not trusted: issued for another host name"
                }
                _ => "certificate not trusted",
            },
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                "TLS handshake failed: client certificate required"
            }
            rustls::Error::InvalidMessage(_) => "TLS handshake failed: the peer does not speak TLS",
            _ => "TLS handshake failed",
        })
    }
}

impl From<NoTunnel> for FetchError {
    fn from(why: NoTunnel) -> Self {
        Self::Proxy(Box::new(match why {
            NoTunnel::Tls(error) => Self::shaking(&error),
            NoTunnel::Status(status) => Self::Status(status),
            NoTunnel::Broken => Self::Broken,
        }))
    }
}
