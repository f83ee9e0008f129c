//! How many connections there are, in all and by peer.
//!
//! A peer is an address; of IPv6 the first half, because whoever has one address there has 2⁶⁴ of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::telemetry::labels::Refusal;

/// The places.
#[derive(Debug)]
pub struct Places {
    most: usize,
    per_peer: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Only peers that have a connection.
    peers: HashMap<IpAddr, usize>,
}

/// The place of one connection. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    peer: IpAddr,
}

impl Place {
    /// Whose it is.
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }
}

fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

impl Places {
    /// So many in all, and for each peer.
    pub fn new(most: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            per_peer,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection from this address.
    ///
    /// # Errors
    ///
    /// Which limit is reached.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        let peer = peer_of(address);
        let mut taken = self.lock();
        if taken.all >= self.most {
            return Err(Refusal::Connections);
        }
        let of_peer = taken.peers.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.per_peer {
            return Err(Refusal::Peer);
        }
        taken.peers.insert(peer, of_peer + 1);
        taken.all += 1;
        Ok(Place {
            places: Arc::clone(self),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics under the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        let left = taken.peers.get_mut(&self.peer).map(|of_peer| {
            *of_peer = of_peer.saturating_sub(1);
            *of_peer
        });
        if left == Some(0) {
            taken.peers.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_is_reached_in_all_or_by_a_peer_and_free_again() {
        let places = Places::new(3, 2);
        let first = places.take(address("10.0.0.1")).unwrap();
        let _second = places.take(address("::ffff:10.0.0.1")).unwrap();
        let refused = places.take(address("10.0.0.1")).unwrap_err();
        assert_eq!(refused, Refusal::Peer);
        let _third = places.take(address("10.0.0.2")).unwrap();
        let refused = places.take(address("10.0.0.3")).unwrap_err();
        assert_eq!(refused, Refusal::Connections);
        drop(first);
        let _fourth = places.take(address("10.0.0.1")).unwrap();
        drop((_second, _third, _fourth));
        assert!(places.lock().peers.is_empty());
    }

    #[test]
    fn a_peer_of_ipv6_is_its_network() {
        let places = Places::new(9, 1);
        let _held = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::2:3:4:5")).is_err());
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }
}
