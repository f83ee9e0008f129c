//! From the port to connections that speak HTTP/2.
//!
//! Every connection is counted before a byte of it is read, in all and by peer. Its handshake (TLS, then
//! the first 24 bytes of HTTP/2) runs in a task of its own, within a time; so who is slow or silent delays
//! nobody. If more handshakes are under way than may be, the oldest is ended: honest ones take
//! milliseconds, and it is the others that grow old.

mod connection;
mod flood;
pub(super) mod frames;
mod held;
mod io;
mod places;
mod preface;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

pub use self::connection::Connection;
use self::{
    held::Held,
    io::Io,
    places::{Place, Places},
};
use super::{crowd::Crowd, quota::Quota, tls::Tls};
use crate::auth::peer::{ClientCertificate, Peer};
use crate::telemetry::{labels::Refusal, metrics};

/// Connections that are through and wait for the server to take them.
const QUEUE: usize = 64;
/// After an error that is the system's and not one connection's, as when descriptors are used up.
const PAUSE: Duration = Duration::from_millis(100);
/// TCP's own look after a peer that is gone without a word; HTTP/2's pings are quicker.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What a listener takes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most connections at once.
    pub connections: usize,
    /// Most connections of one peer.
    pub per_peer: usize,
    /// Most handshakes under way.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// The largest list of headers, in bytes.
    pub headers: usize,
    /// How many bytes connections may hold that no call of a known caller holds.
    pub held: usize,
}

/// Takes connections until the stream is dropped; the port is closed then.
pub fn incoming(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: &Limits,
) -> ReceiverStream<Connection> {
    let (through, incoming) = mpsc::channel(QUEUE);
    let door = Door {
        tls,
        timeout: limits.handshake_timeout,
        headers: limits.headers,
        held: Quota::new(limits.held),
        through,
    };
    let places = Places::new(limits.connections, limits.per_peer);
    let handshakes = Crowd::new(limits.handshakes);
    tokio::spawn(accept(listener, door, places, handshakes));
    ReceiverStream::new(incoming)
}

async fn accept(listener: TcpListener, door: Door, places: Arc<Places>, mut handshakes: Crowd) {
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = door.through.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "cannot accept connections");
                }
                failing = true;
                metrics::connection_refused(Refusal::System);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        failing = false;
        match places.take(address.ip()) {
            Ok(place) => {
                if handshakes.start(door.clone().shake_hands(stream, address, place)) {
                    metrics::connection_refused(Refusal::Displaced);
                }
            }
            Err(refusal) => refused(refusal, address, "connection limit reached"),
        }
    }
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::Interrupted
    )
}

/// What is told of a connection that was not taken. At the level of debugging: whoever can reach the port
/// could fill the log.
fn refused(refusal: Refusal, address: SocketAddr, why: &str) {
    metrics::connection_refused(refusal);
    tracing::debug!(%address, cause = refusal.as_str(), why, "connection refused");
}

/// What every handshake needs.
#[derive(Clone)]
struct Door {
    tls: Option<Tls>,
    timeout: Duration,
    headers: usize,
    held: Arc<Quota<IpAddr>>,
    through: mpsc::Sender<Connection>,
}

impl Door {
    async fn shake_hands(self, stream: TcpStream, address: SocketAddr, place: Place) {
        // A socket that is closed already fails here; its handshake fails too.
        let _closed_already = settle(&stream);
        let shaken = tokio::time::timeout(self.timeout, self.open(stream, address));
        match shaken.await {
            Ok(Ok((io, peer))) => {
                let held = Held::new(self.held.share(place.peer()), self.headers);
                let connection = Connection::new(io, peer, place, held);
                // The server leaves: it takes no more.
                let _leaving = self.through.send(connection).await;
            }
            Ok(Err((refusal, why))) => refused(refusal, address, &why),
            Err(_elapsed) => refused(Refusal::Timeout, address, "the handshake took too long"),
        }
    }

    async fn open(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<(Io, Peer), (Refusal, String)> {
        let mut io = match &self.tls {
            None => Io::Plain(stream),
            Some(tls) => {
                let shaken = tls.acceptor().accept(stream).await;
                Io::Tls(Box::new(
                    shaken.map_err(|error| (Refusal::Tls, error.to_string()))?,
                ))
            }
        };
        preface::read(&mut io)
            .await
            .map_err(|error| (Refusal::Protocol, error.to_string()))?;
        let certificate = match (&io, &self.tls) {
            (Io::Tls(stream), Some(tls)) => tls.client(stream.get_ref().1.peer_certificates()),
            _ => None,
        };
        Ok((
            io,
            Peer::new(
                address,
                certificate.map(|shown| -> Arc<dyn ClientCertificate> { Arc::new(shown) }),
            ),
        ))
    }
}

/// Small messages go at once, and a peer that is gone is found out.
fn settle(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 4);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
