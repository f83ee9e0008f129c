//! `mesh`: the name that a sidecar has verified and says in a header.
//!
//! The header is believed only if the connection comes from a configured address: the sidecar's. Who
//! else sends it is nobody, and whoever sends it, it goes no further ([`strip`]).

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::{
    Unidentified,
    identity::{Caller, Identity},
    settings::{AuthMode, MeshHeader},
};
use crate::domain::cause::Cause;

mod xfcc;

/// Every header by which a mesh names a caller.
const HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("l5d-client-id"),
];

/// Takes the headers of every mesh away, configured or not, and says whether there were any.
pub fn strip(headers: &mut HeaderMap) -> bool {
    let before = headers.keys_len();
    for name in HEADERS {
        headers.remove(name);
    }
    headers.keys_len() < before
}

/// Which sidecars are believed, and in which headers.
#[derive(Debug, Clone)]
pub struct Mesh {
    peers: Vec<IpNet>,
    headers: Vec<MeshHeader>,
}

impl Mesh {
    /// The sidecars at these addresses.
    ///
    /// # Errors
    ///
    /// The peer, by its position, that is no address and no network.
    pub fn new(peers: &[String], headers: Vec<MeshHeader>) -> Result<Self, usize> {
        let peers = (1_usize..).zip(peers).map(|(position, text)| {
            let address = text
                .parse::<IpAddr>()
                .map(|ip| IpNet::from(ip.to_canonical()));
            let network = || text.parse::<IpNet>().map(|network| network.trunc());
            address.or_else(|_| network()).map_err(|_| position)
        });
        Ok(Self {
            peers: peers.collect::<Result<_, _>>()?,
            headers,
        })
    }

    /// Whether a connection from there is a sidecar's.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.peers.iter().any(|net| net.contains(&peer)))
    }

    /// Who the sidecar says calls; none if the connection is no sidecar's, or it says nothing. The
    /// first configured header that is there decides.
    ///
    /// # Errors
    ///
    /// If what a sidecar says names nobody.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Option<Arc<Caller>>, Unidentified> {
        if !self.trusts(peer) {
            return Ok(None);
        }
        for header in &self.headers {
            let mut values = headers.get_all(header.as_str()).iter();
            let Some(last) = values.next_back() else {
                continue;
            };
            let text = last.to_str().map_err(|_| Cause::Malformed)?;
            let name = match header {
                MeshHeader::XForwardedClientCert => xfcc::name(text),
                // One sidecar, one name: a second value was put there by somebody else.
                MeshHeader::L5dClientId if values.next().is_some() => None,
                MeshHeader::L5dClientId => Some(text.trim().to_owned()),
            };
            let identity = name.and_then(|name| Identity::new(AuthMode::Mesh, &name));
            let identity = identity.ok_or(Cause::Identity)?;
            return Ok(Some(Arc::new(Caller::new(identity))));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const XFCC: &str = "x-forwarded-client-cert";
    const L5D: &str = "l5d-client-id";
    const NAME: &str = "api.payments.serviceaccount.identity.linkerd.cluster.local";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn mesh(peers: &[&str], headers: &[MeshHeader]) -> Mesh {
        let peers: Vec<_> = peers.iter().map(|peer| (*peer).to_owned()).collect();
        Mesh::new(&peers, headers.to_vec()).unwrap()
    }

    #[test]
    fn only_configured_peers_are_believed() {
        let mesh = mesh(
            &["127.0.0.6", "10.1.0.0/16", "fd00::/8"],
            &[MeshHeader::L5dClientId],
        );
        for (peer, believed) in [
            ("127.0.0.6", true),
            ("10.1.255.1", true),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("10.2.0.1", false),
            ("::1", false),
        ] {
            let sent = headers(&[(L5D, NAME)]);
            let caller = mesh.identify(&sent, Some(peer.parse().unwrap())).unwrap();
            let name = caller.as_ref().map(|caller| caller.identity.name());
            assert_eq!(name, believed.then_some(NAME), "{peer}");
        }
        assert_eq!(mesh.identify(&headers(&[(L5D, NAME)]), None), Ok(None));
    }

    #[test]
    fn only_configured_headers_are_read_in_their_order() {
        let both = [MeshHeader::L5dClientId, MeshHeader::XForwardedClientCert];
        let peer = Some("127.0.0.6".parse().unwrap());
        for (configured, sent, expected) in [
            (&both[..1], vec![(XFCC, "DNS=a.example")], Ok(None)),
            (
                &both,
                vec![(XFCC, "DNS=a.example"), (L5D, NAME)],
                Ok(Some(NAME)),
            ),
            (&both, vec![(XFCC, "DNS=a.example")], Ok(Some("a.example"))),
            (
                &both,
                vec![(XFCC, "DNS=a.example"), (XFCC, "DNS=b.example")],
                Ok(Some("b.example")),
            ),
            (
                &both,
                vec![(L5D, NAME), (L5D, "other")],
                Err(Cause::Identity),
            ),
            (&both, vec![(L5D, " ")], Err(Cause::Identity)),
            (&both, vec![(XFCC, "garbage"), (L5D, NAME)], Ok(Some(NAME))),
            (&both, vec![(XFCC, "garbage")], Err(Cause::Identity)),
            (&both, vec![], Ok(None)),
        ] {
            let mesh = mesh(&["127.0.0.6"], configured);
            let caller = mesh.identify(&headers(&sent), peer);
            let caller = caller.as_ref().map_err(|refused| refused.cause);
            let name = caller.map(|caller| caller.as_ref().map(|caller| caller.identity.name()));
            assert_eq!(name, expected, "{sent:?}");
        }
    }

    #[test]
    fn a_peer_that_is_none_is_named_by_its_position() {
        for (peers, position) in [(["10.0.0.1", "sidecar"], 2), (["10.0.0.0/33", "::1"], 1)] {
            let refused = Mesh::new(&peers.map(str::to_owned), Vec::new());
            assert_eq!(refused.unwrap_err(), position);
        }
    }

    #[test]
    fn both_headers_are_stripped() {
        let mut sent = headers(&[(XFCC, "a"), (XFCC, "b"), (L5D, "c"), ("x-purpose", "kyc")]);
        assert!(strip(&mut sent) && !strip(&mut sent));
        assert_eq!(sent.len(), 1);
    }
}
