//! Who is at the other end of a connection.
//!
//! The listener puts a [`Peer`] into the extensions of every request. A connection without TLS has
//! tonic's own word for it instead.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Extensions;
use rustls::pki_types::CertificateDer;
use tonic::transport::server::TcpConnectInfo;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: SocketAddr,
    /// The client's certificates, its own first, once they were verified against the CA bundle.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

/// The address that the request came from; none in a test without a socket.
#[must_use]
pub fn address(extensions: &Extensions) -> Option<SocketAddr> {
    let tcp = || extensions.get::<TcpConnectInfo>()?.remote_addr();
    let peer = extensions.get::<Peer>().map(|peer| peer.address);
    peer.or_else(tcp)
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
