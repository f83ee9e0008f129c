//! A connection that is through: its bytes, its place, and who is at the other end.
//!
//! The first bytes of HTTP/2 were read while the connection was opened. They are always the same, so they
//! are read out again from the constant.
//!
//! Frames are looked at on their way, for what they make the gateway hold: a client that does not take its replies is
//! not read from once some of them wait; one that sends many requests at once lets those be worked on before more are
//! read; and where there is no room left for what connections hold, reading waits, or the connection ends.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{
    super::delivery::{self, Deliveries},
    flood::Patience,
    frames::Frames,
    held::Held,
    io::Io,
    places::Place,
    preface::PREFACE,
};
use crate::{
    auth::peer::Peer,
    telemetry::{
        labels::Refusal,
        metrics::{self, UnderWay},
    },
};

#[cfg(test)]
mod tests;

/// Streams that a client may have open which does not take what it is sent.
const UNTAKEN: usize = 100;
/// Requests that are read at once before others have their turn, and how many bytes are read at once after that.
const AT_ONCE: usize = 32;
const DENSE: usize = 4096;
/// What there must be room for before more is read, and how often and long that is waited for.
const MARGIN: usize = 256 * 1024;
const PAUSES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// How many bytes are read at once after our own end, and how many of them at most: who floods is not listened to.
const LAST: usize = 1024;
const MOST_LAST: usize = 64 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    /// What the server has not yet read of HTTP/2's first bytes.
    first: &'static [u8],
    /// What came after them, and what the client was sent.
    incoming: Frames,
    outgoing: Frames,
    patience: Patience,
    held: Held,
    deliveries: Arc<Deliveries>,
    /// The next look at what has arrived by then.
    look: Option<Pin<Box<Sleep>>>,
    /// Whether the client went without having read what it was sent.
    is_broken: bool,
    /// Whether the client does not take what it is sent.
    is_stuck: bool,
    /// Who waits for it to take something before more is read.
    waiting: Option<Waker>,
    /// Whether many requests came at once, and whether others have their turn before more is read.
    is_dense: bool,
    yields: bool,
    /// How often there was no room, and the wait for it.
    pauses: u32,
    pause: Option<Pin<Box<Sleep>>>,
    /// How long the client's end is waited for, once ours is sent.
    linger: Option<Pin<Box<Sleep>>>,
    /// How many bytes have come since.
    after: usize,
    _place: Place,
    _counted: UnderWay,
}

impl Connection {
    pub(super) fn new(io: Io, peer: Peer, place: Place, held: Held) -> Self {
        Self {
            io,
            peer,
            first: PREFACE,
            incoming: Frames::default(),
            outgoing: Frames::default(),
            patience: Patience::default(),
            held,
            deliveries: Arc::default(),
            look: None,
            is_broken: false,
            is_stuck: false,
            waiting: None,
            is_dense: false,
            yields: false,
            pauses: 0,
            pause: None,
            linger: None,
            after: 0,
            _place: place,
            _counted: UnderWay::connection(),
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the client may not have got yet.
    pub fn deliveries(&self) -> Arc<Deliveries> {
        Arc::clone(&self.deliveries)
    }

    /// Forgets what has arrived, also if nothing more is read.
    fn poll_looks(&mut self, context: &mut Context<'_>) {
        loop {
            if let Some(look) = &mut self.look {
                if look.as_mut().poll(context).is_pending() {
                    return;
                }
                self.look = None;
            }
            if !self.deliveries.is_watched() {
                return;
            }
            self.look = Some(Box::pin(tokio::time::sleep(delivery::LINGER)));
        }
    }

    /// The client sends no more: whether it hung up on what it was sent. A lost end of TLS alone says nothing of that.
    fn notes_the_end(&mut self, read: &io::Result<()>) {
        self.is_broken |= match read {
            Ok(()) => self.io.is_reset(),
            // What ended in order was refused before that, perhaps.
            Err(error) => is_reset(error) || self.io.is_reset(),
        };
    }

    /// Waits until the client closes too, or its time is over, or it has sent too much.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = || Box::pin(tokio::time::sleep(delivery::LINGER));
        let is_over = self.linger.get_or_insert_with(time).as_mut().poll(context);
        if is_over.is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; LAST];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer));
            if buffer.filled().is_empty() {
                self.notes_the_end(&read);
                return Poll::Ready(());
            }
            self.after += buffer.filled().len();
            if self.read(buffer.filled()).is_err() || self.after > MOST_LAST {
                return Poll::Ready(());
            }
        }
    }

    /// Waits until more may be read.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_stuck && self.held.streams() >= UNTAKEN {
            self.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        if std::mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if self.held.has_room(MARGIN) {
                self.pauses = 0;
                return Poll::Ready(());
            }
            // What has begun may end; and who does not take its replies ends if it asks for more.
            if self.is_stuck || self.incoming.unfinished() > 0 || self.pauses >= PAUSES {
                return Poll::Ready(());
            }
            self.pauses += 1;
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
    }

    /// Takes note of what was read.
    fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let ended = |refusal| {
            metrics::connection_refused(refusal);
            io::Error::other(refusal.as_str())
        };
        let before = self.held.streams();
        while let Some(frame) = self.incoming.next(&mut bytes) {
            let patience = self.patience.read(&frame);
            patience.map_err(|_flood| ended(Refusal::Flood))?;
            self.held.read(&frame);
            self.deliveries.read(&frame);
        }
        self.is_dense = self.held.streams() > before + AT_ONCE;
        self.yields = self.is_dense;
        let settled = self.held.settle(self.incoming.unfinished());
        settled.map_err(|_full| ended(Refusal::Memory))
    }

    /// Takes note of what was written, or could not be.
    fn wrote(&mut self, written: &Poll<io::Result<usize>>, bytes: &[u8]) {
        self.is_stuck = written.is_pending();
        if let Poll::Ready(Err(error)) = written {
            self.is_broken |= is_reset(error);
        }
        if let Poll::Ready(Ok(length)) = written {
            let mut taken = bytes.get(..*length).unwrap_or_default();
            while let Some(frame) = self.outgoing.next(&mut taken) {
                self.held.wrote(&frame);
                self.deliveries.wrote(&frame);
            }
            // It is never more than before.
            let _there_is_room = self.held.settle(self.incoming.unfinished());
        }
        if let Some(waiting) = self.waiting.take_if(|_| !self.is_stuck) {
            waiting.wake();
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            this.poll_looks(context);
            ready!(this.poll_turn(context));
            let before = buffer.filled().len();
            let ended = if this.is_dense {
                let most = buffer.remaining().min(DENSE);
                let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
                let ended = ready!(Pin::new(&mut this.io).poll_read(context, &mut part));
                let length = part.filled().len();
                buffer.advance(length);
                ended
            } else {
                ready!(Pin::new(&mut this.io).poll_read(context, buffer))
            };
            let read = buffer.filled().get(before..).unwrap_or_default();
            if read.is_empty() {
                this.notes_the_end(&ended);
            }
            ended?;
            return Poll::Ready(this.read(read));
        }
        let length = this.first.len().min(buffer.remaining());
        let (now, later) = this.first.split_at(length);
        buffer.put_slice(now);
        this.first = later;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.deliveries.close(self.is_broken);
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(&written, bytes);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
        }
        this.poll_end(context).map(Ok)
    }
}
