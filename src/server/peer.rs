//! Who is at the other end of a connection.
//!
//! Every request carries it in its extensions: the listener's connections say it to tonic, over TLS and in
//! plain text.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::CertificateDer;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it came from: the caller, or the proxy before it.
    pub address: SocketAddr,
    /// The certificates that it proved to hold the key of, its own first. They were verified against
    /// `server.tls.client_ca_file`; none over plain text, or if it showed none.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}
