//! HTTP/2: one connection carries what its peer takes at a time, and not one request more.
//!
//! A connection is ready once the peer's SETTINGS have come: until then nobody knows how many streams it takes,
//! nor that anybody is there. It retires when the peer says that it closes (GOAWAY), when it breaks, or when it
//! is silent: then it gets no further request, and those that are out keep their time. Nothing waits inside the
//! protocol: h2 would queue what is over the limit, and send it at the very moment that its caller gives up.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Lost,
    dial::Wire,
    keep_alive::{self, KeepAlive, Timed},
    streams::{Place, Streams},
};
use crate::domain::verification::Provider;
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    client::{Builder, Connection, SendRequest},
};
use http::{Request, Response, Version};

/// What a peer may send on a stream before it is read: not less than HTTP/2 begins with, and not more than a long
/// way carries at a time.
const LEAST_WINDOW: usize = 64 * 1024;
const MOST_WINDOW: usize = 2 * 1024 * 1024;
/// The largest window of HTTP/2.
const ALL_WINDOWS: usize = (1 << 31) - 1;
/// Headers of an answer.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// How long a connection without streams may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection.
pub struct Http2 {
    /// None once it is retired.
    sender: Mutex<Option<SendRequest<Bytes>>>,
    streams: Streams,
}

/// A stream that one request may open.
pub struct Stream {
    sender: SendRequest<Bytes>,
    place: Place,
}

/// The body of an answer.
pub struct Body {
    incoming: RecvStream,
    _place: Place,
}

/// The windows of a stream and of its connection, if so many bytes may lie unread in all.
///
/// An answer may wait for memory while others on its connection are read. What lies unread of those that wait must
/// not take the connection's whole window, or who is read would wait for those who wait for it: the connection
/// takes what all streams take.
fn windows(max_in_flight: usize, unread: usize) -> Option<(u32, u32)> {
    let stream = (unread / max_in_flight.max(1)).clamp(LEAST_WINDOW, MOST_WINDOW);
    let connection = stream.saturating_mul(max_in_flight.max(1)).min(ALL_WINDOWS);
    Some((stream.try_into().ok()?, connection.try_into().ok()?))
}

/// Begins HTTP/2 on a wire; none if the peer does not.
pub async fn shake(
    wire: Box<dyn Wire>,
    provider: Provider,
    keep_alive: KeepAlive,
    max_in_flight: usize,
    unread: usize,
) -> Option<Arc<Http2>> {
    let (stream_window, connection_window) = windows(max_in_flight, unread)?;
    let (wire, last_read) = keep_alive::note_reads(wire);
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .max_header_list_size(MAX_HEADER_BYTES)
        // No stream is opened before the peer has said how many it takes.
        .initial_max_send_streams(0);
    let (sender, mut connection) = builder.handshake(wire).await.ok()?;
    let allowed = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => match connection.max_concurrent_send_streams() {
            0 => Poll::Pending,
            allowed => Poll::Ready(Some(allowed)),
        },
    });
    let allowed = allowed.await?;
    let ping = connection.ping_pong()?;
    let streams = Streams::new(max_in_flight, allowed);
    let http2 = Arc::new(Http2 {
        sender: Mutex::new(Some(sender)),
        streams: streams.clone(),
    });
    let silent = keep_alive::end(ping, last_read, keep_alive);
    let driven = drive(connection, Arc::downgrade(&http2), provider, silent);
    tokio::spawn(async move {
        let mut driven = pin!(driven);
        tokio::select! {
            () = &mut driven => {}
            () = streams.unused() => {
                // A peer that does not read would hold it for ever.
                let _closed = tokio::time::timeout(GOODBYE, driven).await;
            }
        }
    });
    Some(http2)
}

/// Moves the connection's frames, and retires it when its time has come.
async fn drive(
    mut connection: Connection<Timed<Box<dyn Wire>>, Bytes>,
    http2: Weak<Http2>,
    provider: Provider,
    silent: impl Future<Output = ()>,
) {
    let mut silent = pin!(silent);
    let mut was_silent = false;
    poll_fn(|context| {
        let ended = Pin::new(&mut connection).poll(context).is_ready();
        if let Some(http2) = http2.upgrade() {
            http2
                .streams
                .allow(connection.max_concurrent_send_streams());
            if ended || http2.closes(context) {
                http2.retire();
            } else if !was_silent && silent.as_mut().poll(context).is_ready() {
                was_silent = true;
                http2.retire();
                tracing::warn!(
                    provider = provider.as_str(),
                    "HTTP/2 keep-alive timed out, dialing a new connection"
                );
            }
        }
        if ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

impl Http2 {
    fn sender(&self) -> MutexGuard<'_, Option<SendRequest<Bytes>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it takes no further request.
    pub fn is_retired(&self) -> bool {
        self.sender().is_none()
    }

    /// Whether the peer has said that it takes no further request.
    fn closes(&self, context: &mut Context<'_>) -> bool {
        let mut sender = self.sender();
        let ready = sender.as_mut().map(|sender| sender.poll_ready(context));
        matches!(ready, Some(Poll::Ready(Err(_))))
    }

    fn retire(&self) {
        if self.sender().take().is_some() {
            self.streams.close();
        }
    }

    /// A stream, if one is free.
    pub fn try_open(&self) -> Option<Stream> {
        self.with(self.streams.try_take()?)
    }

    /// A stream, as soon as one is free; none once the connection is retired.
    pub async fn open(&self) -> Option<Stream> {
        self.with(self.streams.take().await?)
    }

    fn with(&self, place: Place) -> Option<Stream> {
        let sender = self.sender().clone()?;
        Some(Stream { sender, place })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Stream {
    /// Sends the request. `leaves` is called once the connection has taken it.
    pub async fn send(
        mut self,
        mut request: Request<()>,
        body: Bytes,
        leaves: impl FnOnce(),
    ) -> Result<Response<Body>, Lost> {
        *request.version_mut() = Version::HTTP_2;
        let sent = self.sender.send_request(request, body.is_empty());
        let (answer, mut upload) = sent.map_err(|_| Lost::NotSent)?;
        leaves();
        if !body.is_empty() {
            // It is whole and in memory: h2 sends it as the peer takes it. If that fails, the answer says so.
            let _sent = upload.send_data(body, true);
        }
        drop((upload, self.sender));
        match answer.await {
            Ok(answer) => Ok(answer.map(|incoming| Body {
                incoming,
                _place: self.place,
            })),
            Err(error) if is_not_processed(&error) => Err(Lost::NotProcessed),
            Err(_) => Err(Lost::Unknown),
        }
    }
}

/// Whether the peer says that it has done nothing with the request: by REFUSED_STREAM, or by a GOAWAY that
/// names an earlier stream as its last.
fn is_not_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // h2 gives a stream the error of a GOAWAY of the peer only if it is one after the last.
    error.is_remote() && (refused || error.is_go_away())
}

impl Body {
    /// The next piece; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Lost> {
        while let Some(chunk) = self.incoming.data().await {
            let chunk = chunk.map_err(|_| Lost::Unknown)?;
            // It fails only if the stream is over, which the next piece says.
            let _released = self.incoming.flow_control().release_capacity(chunk.len());
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_streams_leave_unread_does_not_fill_the_connections_window() {
        for (max_in_flight, unread) in [(1, 0), (20, 1 << 20), (256, 48 << 20), (256, 1 << 30)] {
            let (stream, connection) = windows(max_in_flight, unread).unwrap();
            assert_eq!(
                u64::from(connection),
                u64::from(stream) * max_in_flight as u64
            );
        }
        assert_eq!(windows(256, 64 << 20), Some((256 << 10, 64 << 20)));
        let (_, largest) = windows(100_000, 0).unwrap();
        assert_eq!(largest, (1 << 31) - 1);
    }
}
