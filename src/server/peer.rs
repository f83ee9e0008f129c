//! Who is at the other end of a connection.
//!
//! Every request carries it in its extensions: the listener's connections say it to tonic, over TLS and in
//! plain text. Only in a test without a socket there is none.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Extensions;
use rustls::pki_types::CertificateDer;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    /// The same in text, as every record of the audit has it.
    shown: Arc<str>,
    /// The certificates that it proved to hold the key of, its own first. They were verified against
    /// `server.tls.client_ca_file`; none over plain text, or if it showed none.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

impl Peer {
    /// Whoever came from this address: the caller, or the proxy before it.
    #[must_use]
    pub fn new(address: SocketAddr, certificates: Option<Arc<[CertificateDer<'static>]>>) -> Self {
        Self {
            address,
            shown: address.to_string().into(),
            certificates,
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

/// The verified certificates of the client, its own first.
#[must_use]
pub fn certificates(extensions: &Extensions) -> Option<&[CertificateDer<'static>]> {
    extensions.get::<Peer>()?.certificates.as_deref()
}
