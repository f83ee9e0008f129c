//! A connection that is through: bytes from TLS or plain text, its place, and who is at the other end.
//!
//! The first bytes of HTTP/2 were read while the connection was opened. They are always the same, so they
//! are read out again from the constant.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{frames::Frames, places::Place, preface::PREFACE};
use crate::{server::peer::Peer, telemetry::metrics::UnderWay};

#[cfg(test)]
mod tests;

/// The bytes of a connection.
#[derive(Debug)]
pub enum Io {
    /// As they come.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    /// What the server has not yet read of HTTP/2's first bytes.
    first: &'static [u8],
    /// What came after them.
    frames: Frames,
    _place: Place,
    _counted: UnderWay,
}

impl Connection {
    pub(super) fn new(io: Io, peer: Peer, place: Place) -> Self {
        Self {
            io,
            peer,
            first: PREFACE,
            frames: Frames::default(),
            _place: place,
            _counted: UnderWay::connection(),
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
            let read = buffer.filled().get(before..).unwrap_or_default();
            return Poll::Ready(this.frames.read(read).map_err(io::Error::other));
        }
        let length = this.first.len().min(buffer.remaining());
        let (now, later) = this.first.split_at(length);
        buffer.put_slice(now);
        this.first = later;
        Poll::Ready(Ok(()))
    }
}

/// Of several parts it writes one at a time. Where a connection takes many at once, h2 writes each message of 256 bytes
/// and more before it goes on, and so a reply in two pieces, its trailers by themselves. To this one it copies messages of
/// less than 1 KiB between the frames around them: one write takes whole replies, and all that are ready.
impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
