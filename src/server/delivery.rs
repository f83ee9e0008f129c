//! What was answered on a connection and may not have arrived yet.
//!
//! A reply that HTTP/2 has taken is not one that its caller has: a client that cancels in that very moment resets a
//! stream that has ended, and one that hangs up breaks the connection. Nothing above HTTP/2 hears of either. Here frames
//! are looked at on their way, so that an answer which comes back can wait for its caller before the next request on this
//! connection is read ([`Handed`]).
//!
//! A broken connection says less than a reset stream. A client may have read its reply, and close while something else is
//! under way to it: grpcio sends a PING for each reply and often closes before the answer to that. So a reply counts as
//! arrived once its client has sent one of the frames that follow upon reading (PING, WINDOW_UPDATE, GOAWAY).
//!
//! The calls of a connection begin in the order in which their HEADERS are read: so a call knows its stream. Where HTTP/2
//! itself has refused a stream in between, the next may be taken for it: then an answer may wait once more for a caller that
//! has it. What is seen of a stream is never more than that: nobody gets another caller's answer.

use std::{
    collections::{VecDeque, hash_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foldhash::HashMap;
use tokio::time::Instant;

use super::listener::frames::{
    ACK, DATA, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, WINDOW_UPDATE,
};
use crate::call::handed::Handed;

/// For how long after its last byte was written a reply may come back.
pub const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of replies are watched at once, on all connections: one beyond that counts as delivered.
const MOST: usize = 8 * 1024 * 1024;
/// How many resets are remembered for calls that have not replied yet.
const RESETS: usize = 256;
/// How many streams may have been opened whose calls have not begun: more is no order any more.
const OPENED: usize = 1 << 14;

static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// The replies of one connection.
#[derive(Default)]
pub struct Deliveries(Mutex<State>);

#[derive(Default)]
struct State {
    /// The last stream that was opened.
    last: u32,
    /// Streams whose calls have not begun.
    opened: VecDeque<u32>,
    /// Whether it is not known any more which call has which stream.
    is_lost: bool,
    /// Streams that were reset before there was a reply.
    reset: VecDeque<u32>,
    replies: HashMap<u32, Reply>,
    /// Those whose last byte was written, and until when they may come back.
    written: VecDeque<(Instant, u32)>,
    /// How many were written, and how many of them when the client was last seen to read.
    count: u64,
    read: u64,
    is_closed: bool,
}

struct Reply {
    /// Once it was written: the how manieth it was.
    written: Option<u64>,
    /// By then it is written, or was given up.
    end: Instant,
    _bytes: Watched,
    answer: Handed,
}

/// So many bytes are watched.
struct Watched(usize);

impl Watched {
    fn new(bytes: usize) -> Option<Self> {
        let more = |watched: usize| watched.checked_add(bytes).filter(|sum| *sum <= MOST);
        let watched = WATCHED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        watched.ok().map(|_before| Self(bytes))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHED.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// One stream of a connection, in the extensions of its request.
#[derive(Clone)]
pub struct Delivery {
    of: Arc<Deliveries>,
    stream: u32,
}

impl Delivery {
    /// The reply is handed to HTTP/2, which gives it up at the `end`. An answer that comes back waits for its caller.
    pub fn begins(&self, answer: Handed, end: Instant) {
        let mut state = self.of.state();
        arrived(&mut state, Instant::now());
        if state.is_closed || state.reset.contains(&self.stream) {
            drop(state);
            // Outside of the lock, here and below: it is kept elsewhere.
            drop(answer);
            return;
        }
        let Some(bytes) = Watched::new(answer.bytes()) else {
            answer.arrived();
            return;
        };
        let reply = Reply {
            written: None,
            end: end + LINGER,
            _bytes: bytes,
            answer,
        };
        if let Some(other) = state.replies.insert(self.stream, reply) {
            other.answer.arrived();
        }
    }

    /// The reply's time is over: what its client has not taken by now it does not get.
    pub fn ends(&self) {
        let back = self.of.state().take_unwritten(self.stream);
        drop(back);
    }
}

impl Deliveries {
    /// Takes note of a frame of the client.
    pub fn read(&self, frame: &Frame) {
        match frame.kind {
            HEADERS => {
                let mut state = self.state();
                // Headers after the body open nothing.
                if frame.stream > state.last && !state.is_lost {
                    state.last = frame.stream;
                    state.opened.push_back(frame.stream);
                    if state.opened.len() > OPENED {
                        state.is_lost = true;
                        state.opened = VecDeque::new();
                    }
                }
            }
            RST_STREAM => {
                let mut state = self.state();
                arrived(&mut state, Instant::now());
                let back = state.replies.remove(&frame.stream);
                if back.is_none() {
                    state.reset.push_back(frame.stream);
                    if state.reset.len() > RESETS {
                        state.reset.pop_front();
                    }
                }
                drop(state);
                drop(back);
            }
            PING if frame.has(ACK) => {}
            PING | WINDOW_UPDATE | GOAWAY => {
                let mut state = self.state();
                state.read = state.count;
            }
            _ => {}
        }
    }

    /// Takes note of a frame that the client was sent.
    pub fn wrote(&self, frame: &Frame) {
        let ends = match frame.kind {
            DATA | HEADERS if frame.has(END_STREAM) => true,
            RST_STREAM => false,
            _ => return,
        };
        let mut state = self.state();
        // HTTP/2 has refused it.
        if !state.opened.is_empty() {
            state.opened.retain(|opened| *opened != frame.stream);
        }
        let mut back = None;
        if !ends {
            // It was given up before the client took it.
            back = state.take_unwritten(frame.stream);
        } else if state.replies.contains_key(&frame.stream) {
            state.count += 1;
            let count = Some(state.count);
            if let Some(reply) = state.replies.get_mut(&frame.stream) {
                reply.written = count;
            }
            let until = Instant::now() + LINGER;
            state.written.push_back((until, frame.stream));
        }
        drop(state);
        drop(back);
    }

    /// The next call begins.
    pub fn begin(self: &Arc<Self>) -> Option<Delivery> {
        let stream = self.state().opened.pop_front()?;
        Some(Delivery {
            of: Arc::clone(self),
            stream,
        })
    }

    /// Whether anything is watched after what has arrived by now is forgotten.
    pub fn is_watched(&self) -> bool {
        let mut state = self.state();
        if state.replies.is_empty() {
            return false;
        }
        let now = Instant::now();
        arrived(&mut state, now);
        // Another call's stream was taken for its own.
        let lost = state.replies.extract_if(|_, reply| reply.end <= now);
        lost.for_each(|(_, reply)| reply.answer.arrived());
        !state.replies.is_empty()
    }

    /// The connection has ended. Those replies come back that were not written; if it is broken, also those of the last
    /// moment, unless the client has been seen to read since.
    pub fn close(&self, is_broken: bool) {
        let mut state = self.state();
        state.is_closed = true;
        arrived(&mut state, Instant::now());
        let (replies, read) = (std::mem::take(&mut state.replies), state.read);
        drop(state);
        for reply in replies.into_values() {
            let has_arrived = |count| !is_broken || count <= read;
            if reply.written.is_some_and(has_arrived) {
                reply.answer.arrived();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_unwritten(&mut self, stream: u32) -> Option<Reply> {
        match self.replies.entry(stream) {
            Entry::Occupied(reply) if reply.get().written.is_none() => Some(reply.remove()),
            _ => None,
        }
    }
}

/// Those that can come back no more have arrived.
fn arrived(state: &mut State, now: Instant) {
    while let Some((_, stream)) = state.written.pop_front_if(|(until, _)| *until <= now) {
        if let Some(reply) = state.replies.remove(&stream) {
            reply.answer.arrived();
        }
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deliveries({})", self.state().replies.len())
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({})", self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to the reply of a stream, in order.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// The client's.
        Resets,
        Replies,
        IsWritten,
        /// By the server, whose client does not take it.
        IsReset,
        IsGivenUp,
        Waits(Duration),
        Looks,
        /// The client's.
        Pings,
        Ends,
        Breaks,
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_back_waits_again_and_one_that_arrived_does_not() {
        use Step::{
            Breaks, Ends, IsGivenUp, IsReset, IsWritten, Looks, Pings, Replies, Resets, Waits,
        };
        let (short, long) = (Waits(LINGER / 2), Waits(LINGER));
        for (steps, comes_back) in [
            (&[Replies, Resets][..], true),
            (&[Resets, Replies], true),
            (&[Replies, IsWritten, Resets], true),
            (&[Replies, IsWritten, short, Resets], true),
            (&[Replies, IsReset], true),
            (&[Replies, Breaks], true),
            (&[Replies, Ends], true),
            (&[Replies, IsWritten, Breaks], true),
            // As grpcio does: it has read the reply, and closes before the answer to its PING.
            (&[Replies, IsWritten, Pings, Breaks], false),
            (&[Replies, Pings, IsWritten, Breaks], true),
            (&[Replies, IsWritten, Pings, Resets], true),
            (&[Ends, Replies], true),
            (&[Replies, long, Looks, Resets], true),
            (&[Replies, IsGivenUp], true),
            (&[Replies, long, long, long, Looks, Resets], false),
            (&[Replies, IsWritten, IsGivenUp], false),
            (&[Replies, IsWritten, Ends], false),
            // As HTTP/2 does if it has not read all of the request.
            (&[Replies, IsWritten, IsReset], false),
            (&[Replies, IsWritten, long, Looks, Resets], false),
            (&[Replies, IsWritten, long, Breaks], false),
        ] {
            let deliveries = Arc::new(Deliveries::default());
            let frame = |kind, flags, stream| Frame {
                kind,
                flags,
                stream,
                length: 0,
            };
            // The last one is another call's, and arrives.
            for stream in [1, 3] {
                deliveries.read(&frame(HEADERS, 0, stream));
            }
            let [one, other] = [(); 2].map(|()| deliveries.begin().unwrap());
            assert!(deliveries.begin().is_none());
            let (back, others) = (Arc::<AtomicUsize>::default(), Arc::default());
            let handed = |count: &Arc<AtomicUsize>| {
                let count = Arc::clone(count);
                Handed::new(100, move || {
                    count.fetch_add(1, Ordering::Relaxed);
                })
            };
            let end = Instant::now() + LINGER;
            other.begins(handed(&others), end);
            deliveries.wrote(&frame(HEADERS, END_STREAM, 3));
            for step in steps {
                match step {
                    Replies => one.begins(handed(&back), end),
                    IsGivenUp => one.ends(),
                    Resets => deliveries.read(&frame(RST_STREAM, 0, 1)),
                    IsWritten => deliveries.wrote(&frame(HEADERS, END_STREAM, 1)),
                    IsReset => deliveries.wrote(&frame(RST_STREAM, 0, 1)),
                    Waits(time) => tokio::time::advance(*time).await,
                    Looks => {
                        deliveries.is_watched();
                    }
                    Pings => {
                        deliveries.read(&frame(PING, ACK, 0));
                        deliveries.read(&frame(PING, 0, 0));
                    }
                    Ends => deliveries.close(false),
                    Breaks => deliveries.close(true),
                }
            }
            let back = back.load(Ordering::Relaxed);
            assert_eq!(back, usize::from(comes_back), "{steps:?}");
            let breaks = matches!(steps, [Replies, Breaks] | [Replies, IsWritten, Breaks]);
            let others = others.load(Ordering::Relaxed);
            assert_eq!(others, usize::from(breaks), "{steps:?}");
        }
    }

    #[test]
    fn a_stream_that_http2_refused_is_not_the_next_calls() {
        let deliveries = Arc::new(Deliveries::default());
        let frame = |kind, stream| Frame {
            kind,
            flags: 0,
            stream,
            length: 0,
        };
        deliveries.read(&frame(HEADERS, 1));
        deliveries.wrote(&frame(RST_STREAM, 1));
        deliveries.read(&frame(HEADERS, 3));
        // Trailers.
        deliveries.read(&frame(HEADERS, 3));
        assert_eq!(deliveries.begin().unwrap().stream, 3);
        assert!(deliveries.begin().is_none());
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let deliveries = Arc::new(Deliveries::default());
        deliveries.read(&Frame {
            kind: HEADERS,
            flags: 0,
            stream: 1,
            length: 0,
        });
        let one = deliveries.begin().unwrap();
        let end = Instant::now();
        one.begins(
            Handed::new(MOST + 1, || panic!("it counts as delivered")),
            end,
        );
        assert!(!deliveries.is_watched());
        // But what is known not to have arrived comes back.
        deliveries.close(false);
        let back = Arc::<AtomicUsize>::default();
        let counts = Arc::clone(&back);
        let comes_back = move || {
            counts.fetch_add(1, Ordering::Relaxed);
        };
        one.begins(Handed::new(MOST + 1, comes_back), end);
        assert_eq!(back.load(Ordering::Relaxed), 1);
        let many = Arc::new(Deliveries::default());
        for stream in 0..=u32::try_from(OPENED).unwrap() {
            many.read(&Frame {
                kind: HEADERS,
                flags: 0,
                stream: 2 * stream + 1,
                length: 0,
            });
        }
        assert!(many.begin().is_none());
    }
}
