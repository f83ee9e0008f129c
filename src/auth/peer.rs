//! Who is at the other end of a connection.
//!
//! Every request carries it in its extensions: every connection says it, over TLS and in
//! plain text. Only in a test without a socket there is none.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use http::Extensions;
use rustls::pki_types::CertificateDer;

use super::{Unidentified, mtls};

/// A wait for the end of a certificate.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A client's certificate, for as long as the connection lasts.
pub trait ClientCertificate: fmt::Debug + Send + Sync {
    /// The certificates, the client's own first.
    fn chain(&self) -> &[CertificateDer<'static>];

    /// Whether it is good now: a connection may outlive it.
    fn is_good(&self) -> bool;

    /// Waits until it is about to end, or is refused.
    fn about_to_end(&self) -> Waiting<'_>;

    /// Waits until it is good no more.
    fn ended(&self) -> Waiting<'_>;
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    /// The same in text, as every record of the audit has it.
    shown: Arc<str>,
    /// The certificate that it proved to hold the key of; none over plain text, or if it showed none.
    pub certificate: Option<Arc<dyn ClientCertificate>>,
}

impl Peer {
    /// Whoever came from this address: the caller, or the proxy before it.
    #[must_use]
    pub fn new(address: SocketAddr, certificate: Option<Arc<dyn ClientCertificate>>) -> Self {
        Self {
            address,
            shown: address.to_string().into(),
            certificate,
        }
    }
}

/// The address that the request came from, in text; none in a test without a socket.
#[must_use]
pub fn shown(extensions: &Extensions) -> Option<Arc<str>> {
    extensions.get::<Peer>().map(|peer| Arc::clone(&peer.shown))
}

/// The address that the request came from; none in a test without a socket.
#[must_use]
pub fn address(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Peer>().map(|peer| peer.address)
}

/// The IP address that the request came from, an IPv4 address as such also where the socket is IPv6.
#[must_use]
pub fn ip(extensions: &Extensions) -> Option<IpAddr> {
    address(extensions).map(|address| address.ip().to_canonical())
}

/// The certificate of the client.
#[must_use]
pub fn certificate(extensions: &Extensions) -> Option<&dyn ClientCertificate> {
    extensions.get::<Peer>()?.certificate.as_deref()
}

/// Whether the client shows a certificate that was revoked, has expired, or is of a CA that is taken no more: since
/// its handshake, in which it was good.
#[must_use]
pub fn refused(extensions: &Extensions) -> Option<Unidentified> {
    let certificate = certificate(extensions)?;
    (!certificate.is_good()).then(|| mtls::refused(certificate.chain()))
}
