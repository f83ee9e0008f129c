//! One connection from the gateway: how it can be made to end or to stand still, and whom that hits.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, OwnedFd},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use identity_gateway::domain::verification::Provider;
use rustix::net::sockopt::set_socket_linger;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ledger::{Ledger, Trouble},
    spoil::{Cut, FLUSH},
};

/// Which request, by identifier and place in the ledger.
type Key = (String, usize);

/// A connection.
pub struct Line {
    /// A second handle on the socket: the server owns the first.
    socket: OwnedFd,
    provider: Provider,
    ledger: Arc<Ledger>,
    frozen: Arc<AtomicBool>,
    notes: Mutex<Vec<usize>>,
    /// The requests on it that are not answered, and with the time those that just were.
    open: Mutex<HashMap<Key, Option<Instant>>>,
    /// The connection ends at once.
    pub end: CancellationToken,
    /// The gateway is asked to leave it.
    pub leave: CancellationToken,
}

impl Line {
    /// The connection, and the socket that stands still when it shall.
    pub fn over(
        socket: TcpStream,
        provider: Provider,
        ledger: Arc<Ledger>,
    ) -> io::Result<(Arc<Self>, Freezing)> {
        socket.set_nodelay(true)?;
        let frozen = Arc::<AtomicBool>::default();
        let line = Self {
            socket: socket.as_fd().try_clone_to_owned()?,
            provider,
            ledger,
            frozen: Arc::clone(&frozen),
            notes: Mutex::default(),
            open: Mutex::default(),
            end: CancellationToken::new(),
            leave: CancellationToken::new(),
        };
        Ok((Arc::new(line), Freezing { socket, frozen }))
    }

    /// A request was received on it. If the connection has just ended, the request is lost.
    pub fn carry(self: &Arc<Self>, identifier: &str, nth: usize) -> Carried {
        let key = (identifier.to_owned(), nth);
        let mut open = self.open();
        let recent = |answered: Option<Instant>| answered.is_none_or(|at| at.elapsed() < FLUSH);
        open.retain(|_, answered| recent(*answered));
        open.insert(key.clone(), None);
        drop(open);
        Carried {
            line: Arc::clone(self),
            key,
        }
    }

    /// Nothing is carried any more, in either direction, and the connection stays open.
    pub fn freeze(&self) {
        self.lose(None, Trouble::Frozen);
        self.stop(Trouble::Frozen);
    }

    /// It is not made for now, and its time begins.
    pub fn unmade(&self) {
        self.note(Trouble::Unmade);
    }

    /// It is made, or it is gone: in either case its trouble is over.
    pub fn settle(&self) {
        for note in self.notes().drain(..) {
            self.ledger.end(note);
        }
    }

    /// It is never made, as if behind it somebody threw away whatever comes.
    pub fn silent(&self) {
        self.stop(Trouble::Unmade);
    }

    fn stop(&self, trouble: Trouble) {
        self.note(trouble);
        self.frozen.store(true, Ordering::Relaxed);
    }

    fn note(&self, trouble: Trouble) {
        let note = self.ledger.begin(self.provider, trouble);
        self.notes().push(note);
    }

    fn reset(&self, but: &Key) -> Cut {
        self.lose(Some(but), Trouble::Reset);
        let note = self.ledger.begin(self.provider, Trouble::Reset);
        // Without it the end would be an orderly one, which is a fault too, if a milder one.
        let _is_rst = set_socket_linger(&self.socket, Some(Duration::ZERO));
        self.end.cancel();
        self.ledger.end(note);
        Cut::Connection
    }

    fn lose(&self, but: Option<&Key>, trouble: Trouble) {
        let open = self.open();
        let lost = open.iter().filter(|(key, answered)| {
            Some(*key) != but && answered.is_none_or(|at| at.elapsed() < FLUSH)
        });
        for ((identifier, nth), _) in lost {
            self.ledger.lose(identifier, *nth, trouble);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Option<Instant>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Vec<usize>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that a connection carries, until it is dropped with the end of the answer.
pub struct Carried {
    line: Arc<Line>,
    key: Key,
}

impl Carried {
    /// Notes that the provider has answered it with success.
    pub fn charge(&self) {
        self.line.ledger.charge(&self.key.0, self.key.1);
    }

    /// Resets the connection for this request's sake: all others on it are lost.
    pub fn reset(&self) -> Cut {
        self.line.reset(&self.key)
    }

    /// Whether the connection has just been reset; then the request is lost.
    pub fn is_lost(&self) -> bool {
        let lost = self.line.end.is_cancelled();
        if lost {
            let (identifier, nth) = &self.key;
            self.line.ledger.lose(identifier, *nth, Trouble::Reset);
        }
        lost
    }

    /// Resets the connection when the answer has arrived, and the gateway may already have taken the
    /// connection for its next request.
    pub fn hang_up(&self) {
        let (line, key) = (Arc::clone(&self.line), self.key.clone());
        tokio::spawn(async move {
            tokio::time::sleep(FLUSH).await;
            let _cut = line.reset(&key);
        });
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(answered) = self.line.open().get_mut(&self.key) {
            *answered = Some(Instant::now());
        }
    }
}

/// A socket that can be made to stand still: what comes is thrown away, as by a host that has lost its way,
/// and nothing goes out. It ends when the other side closes it.
pub struct Freezing {
    socket: TcpStream,
    frozen: Arc<AtomicBool>,
}

impl AsyncRead for Freezing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.frozen.load(Ordering::Relaxed) {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        loop {
            let mut waste = [0; 4096];
            let mut waste = ReadBuf::new(&mut waste);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut waste))?;
            if waste.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Freezing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.frozen.load(Ordering::Relaxed) {
            // A socket that took nothing would keep the server from reading, and from seeing the end.
            true => Poll::Ready(Ok(bytes.len())),
            false => Pin::new(&mut self.socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.frozen.load(Ordering::Relaxed) {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut self.socket).poll_shutdown(context),
        }
    }
}
