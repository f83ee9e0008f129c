//! What settings are made of: the types that several rooms' `settings.rs` have in common. Each knows how it is
//! written, says so in the schema, and never repeats in an error what was written.

pub mod address;
pub mod base_url;
pub mod document_url;
pub mod secret;
pub mod span;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use base_url::BaseUrl;
pub use document_url::DocumentUrl;
pub use secret::redacted;
pub use span::Span;

/// A port of the loopback address: the default of what listens.
pub(crate) const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
