//! HTTP/1: a connection carries one request at a time, and waits a moment for the next.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Lost, dial::Wire};

/// Idle connections are closed after this long. Node closes its side after 5 s by default, and a
/// request that meets a closing connection has an unknown outcome: better to dial anew.
const IDLE: Duration = Duration::from_secs(4);
/// Headers of an answer. Their bytes are bounded by the buffer.
const MAX_HEADERS: usize = 100;
/// What lies unread of an answer that waits for memory, and the headers of one.
const BUFFER: usize = 64 * 1024;

type Sender = SendRequest<Full<Bytes>>;

/// Connections that wait, the one that waits longest first. There are never more than were in flight.
#[derive(Default)]
pub struct Idle(Mutex<Vec<(Sender, Instant)>>);

/// A connection for one request.
pub struct Http1 {
    sender: Sender,
    idle: Arc<Idle>,
}

/// The body of an answer, and the connection, which takes the next request after it.
pub struct Body {
    incoming: Incoming,
    connection: Option<Http1>,
}

/// Begins HTTP on a wire.
pub async fn shake(wire: Box<dyn Wire>) -> Option<Sender> {
    let mut builder = Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(BUFFER);
    let (sender, connection) = builder.handshake(TokioIo::new(wire)).await.ok()?;
    // How it ends is heard by whoever waits for an answer.
    tokio::spawn(async { drop(connection.await) });
    Some(sender)
}

impl Http1 {
    /// A connection that was dialled just now.
    pub fn new(sender: Sender, idle: &Arc<Idle>) -> Self {
        Self {
            sender,
            idle: Arc::clone(idle),
        }
    }

    /// Sends the request.
    pub async fn send(mut self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Lost> {
        match self.sender.try_send_request(request).await {
            Ok(answer) => Ok(answer.map(|incoming| Body {
                incoming,
                connection: Some(self),
            })),
            Err(lost) if lost.message().is_some() => Err(Lost::NotSent),
            Err(_) => Err(Lost::Unknown),
        }
    }
}

impl Body {
    /// The next piece; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Lost> {
        while let Some(frame) = self.incoming.frame().await {
            match frame.map_err(|_| Lost::Unknown)?.into_data() {
                Ok(chunk) if !chunk.is_empty() => return Ok(Some(chunk)),
                // Trailers say nothing here.
                _ => {}
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.idle.put(connection.sender);
        }
        Ok(None)
    }
}

impl Idle {
    fn connections(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that has waited least, if it may still be used.
    pub fn take(self: &Arc<Self>) -> Option<Http1> {
        let mut connections = self.connections();
        loop {
            let (sender, since) = connections.pop()?;
            if sender.is_ready() && since.elapsed() < IDLE {
                return Some(Http1 {
                    sender,
                    idle: Arc::clone(self),
                });
            }
        }
    }

    /// Keeps a connection for the next request, once it is done with the last.
    pub fn put(self: &Arc<Self>, mut sender: Sender) {
        if sender.is_ready() {
            return self.keep(sender);
        }
        let idle = Arc::clone(self);
        tokio::spawn(async move {
            if tokio::time::timeout(IDLE, sender.ready())
                .await
                .is_ok_and(|ready| ready.is_ok())
            {
                idle.keep(sender);
            }
        });
    }

    fn keep(self: &Arc<Self>, sender: Sender) {
        let mut connections = self.connections();
        if connections.is_empty() {
            tokio::spawn(close_in_time(Arc::downgrade(self)));
        }
        connections.push((sender, Instant::now()));
    }
}

/// Closes what has waited too long, until nothing waits.
async fn close_in_time(idle: Weak<Idle>) {
    let mut next = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut connections = idle.connections();
        connections.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        match connections.first() {
            Some((_, since)) => next = *since + IDLE,
            None => return,
        }
    }
}
