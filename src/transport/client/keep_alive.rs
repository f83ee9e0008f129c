//! Keep-alive of HTTP/2: a connection on which nothing is heard is asked by a PING, and given up if nothing is
//! heard even then.
//!
//! Everything that is read counts, not only the answer to the PING: that may be stuck behind a large body on a
//! slow line.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// When a connection counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// After so long a silence a PING is sent.
    pub interval: Duration,
    /// If it is silent for so long after it, it is dead.
    pub timeout: Duration,
}

/// When something was last read.
#[derive(Debug, Clone)]
pub struct LastRead {
    begun: Instant,
    last: Arc<AtomicU64>,
}

impl LastRead {
    fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let now = self.begun.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

/// A wire, and what is noted of what is read from it.
pub struct Timed<T> {
    wire: T,
    last_read: LastRead,
}

/// Notes when something is read from a wire.
pub fn note_reads<T>(wire: T) -> (Timed<T>, LastRead) {
    let last_read = LastRead {
        begun: Instant::now(),
        last: Arc::default(),
    };
    let timed = Timed {
        wire,
        last_read: last_read.clone(),
    };
    (timed, last_read)
}

/// Ends when the connection is dead.
pub async fn end(mut ping: PingPong, last_read: LastRead, keep_alive: KeepAlive) {
    loop {
        let last = last_read.last();
        tokio::time::sleep_until(last + keep_alive.interval).await;
        if last_read.last() != last {
            continue;
        }
        // One that is still on its way will do.
        let _sent = ping.send_ping(Ping::opaque());
        let pong = poll_fn(|context| ping.poll_pong(context));
        let _pong = tokio::time::timeout(keep_alive.timeout, pong).await;
        if last_read.last() == last {
            return;
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.wire).poll_read(context, buffer))?;
        self.last_read.note();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
