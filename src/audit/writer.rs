//! The one writer: takes records from a bounded queue, makes them lines, and tells of each whether it
//! arrived.
//!
//! What waits in the queue, and what comes in the next millisecond unless somebody waits, is written in one go
//! and, under `audit.fsync = each`, brought to disk by one fsync. The chain moves on only with lines that arrived; lines that did not leave no gap in it,
//! but are counted in the next line that does. Lines that arrived are copied to a collector, if there is one.

use std::{io, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

use super::{
    chain::{Chain, Digest, Place},
    copies::Copies,
    losses::{Losses, Why},
    record::Record,
    sink::Sink,
};

/// How many records are taken from the queue at once.
const BATCH: usize = 256;
/// How long a record that nobody waits for may wait for others. A write of its own for each would take a twelfth
/// of the CPU time of a call, and of a lone call's latency what the thread takes that writes it.
const GATHERING: Duration = Duration::from_millis(1);
/// How often what was written is brought to disk under `audit.fsync = interval`.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the writer is told to do.
#[derive(Debug)]
pub enum Message {
    /// Writes a record.
    Write(Entry),
    /// Writes the last line and brings everything to disk.
    Close(oneshot::Sender<()>),
}

/// A record on its way.
#[derive(Debug)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// Who waits for it. Dropped unheard if the record did not arrive.
    pub arrived: Option<oneshot::Sender<()>>,
}

/// The writer.
pub struct Writer {
    chain: Chain,
    sink: Box<dyn Sink>,
    copies: Option<Copies>,
    losses: Arc<Losses>,
    is_dirty: bool,
    is_closed: bool,
}

/// Lines that are written together.
struct Chunk {
    chain: Chain,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// How many lost records its first line tells of.
    lost: u64,
    /// How many refusals that were left out.
    left_out: u64,
}

/// A line that is not taken yet, and the chain after it.
struct Next {
    chain: Chain,
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer that has written the start of its process to its chain.
    ///
    /// # Errors
    ///
    /// If the sink takes no line.
    pub fn start(
        (mut sink, copies): (Box<dyn Sink>, Option<Copies>),
        mut chain: Chain,
        start: Record,
        losses: Arc<Losses>,
    ) -> io::Result<Self> {
        sink.ready()?;
        let mut line = chain.line(&start, sink.place());
        line.push(b'\n');
        sink.write(&line)?;
        sink.settle()?;
        let writer = Self {
            chain,
            sink,
            copies,
            losses,
            is_dirty: false,
            is_closed: false,
        };
        writer.copy(&line, [start.time]);
        Ok(writer)
    }

    /// Writes what comes out of the queue, until its other end is gone.
    pub async fn run(self, mut queue: mpsc::Receiver<Message>) {
        let mut writer = self;
        let mut batch = Vec::new();
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                taken = queue.recv_many(&mut batch, BATCH) => match taken {
                    0 => return,
                    _ => gather(&mut queue, &mut batch).await,
                },
                _ = tick.tick(), if writer.is_dirty => {}
            }
            let work = std::mem::take(&mut batch);
            let worked = tokio::task::spawn_blocking(move || {
                writer.work(work);
                writer
            });
            match worked.await {
                Ok(back) => writer = back,
                // The runtime ends.
                Err(_) => return,
            }
        }
    }

    /// Does what it is told; with nothing to do, brings to disk what was written.
    pub fn work(&mut self, messages: Vec<Message>) {
        if messages.is_empty() {
            self.settle();
        }
        let mut entries = Vec::new();
        for message in messages {
            match message {
                Message::Write(entry) => entries.push(entry),
                Message::Close(closed) => {
                    let record = Record::stop();
                    entries.push(Entry {
                        record,
                        arrived: None,
                    });
                    self.write(std::mem::take(&mut entries));
                    self.settle();
                    if let Some(copies) = &self.copies {
                        copies.end();
                    }
                    self.is_closed = true;
                    // Whoever waited may have gone.
                    let _told = closed.send(());
                }
            }
        }
        self.write(entries);
    }

    /// The last line.
    pub const fn head(&self) -> Option<Digest> {
        self.chain.head()
    }

    fn settle(&mut self) {
        if !std::mem::take(&mut self.is_dirty) {
            return;
        }
        if let Err(error) = self.sink.settle() {
            tracing::error!(%error, "audit file sync failed: records may not be on disk");
        }
    }

    fn write(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        if self.is_closed {
            return self.give_up(entries, Why::Closed);
        }
        if let Err(error) = self.sink.ready() {
            return self.give_up(entries, Why::Failed(error));
        }
        let mut chunk = self.chunk();
        for entry in entries {
            let mut next = chunk.line(&entry.record, self.sink.place());
            if !self.sink.has_room(chunk.bytes.len() + next.bytes.len()) {
                self.flush(chunk);
                let rotated = self.sink.rotate();
                chunk = self.chunk();
                if let Err(error) = rotated {
                    self.give_up(vec![entry], Why::Failed(error));
                    continue;
                }
                next = chunk.line(&entry.record, self.sink.place());
            }
            chunk.take(entry, next);
        }
        self.flush(chunk);
    }

    fn chunk(&self) -> Chunk {
        Chunk {
            chain: self.chain.clone(),
            bytes: Vec::new(),
            entries: Vec::new(),
            lost: self.losses.untold(),
            left_out: self.losses.left_out(),
        }
    }

    fn flush(&mut self, chunk: Chunk) {
        if chunk.entries.is_empty() {
            return;
        }
        match self.sink.write(&chunk.bytes) {
            Ok(()) => {
                self.chain = chunk.chain;
                self.is_dirty = true;
                self.losses.told(chunk.lost);
                self.losses.told_of_left_out(chunk.left_out);
                self.copy(
                    &chunk.bytes,
                    chunk.entries.iter().map(|one| one.record.time),
                );
                for entry in chunk.entries {
                    self.losses.written();
                    if let Some(arrived) = entry.arrived {
                        // Whoever waited may have gone.
                        let _told = arrived.send(());
                    }
                }
            }
            Err(error) => self.give_up(chunk.entries, Why::Failed(error)),
        }
    }

    /// Sends copies of lines, each of which has a time.
    fn copy(&self, lines: &[u8], times: impl IntoIterator<Item = Timestamp>) {
        if let Some(copies) = &self.copies {
            let lines = lines.split(|byte| *byte == b'\n');
            for (line, time) in lines.zip(times) {
                copies.send(line, time);
            }
        }
    }

    fn give_up(&self, entries: Vec<Entry>, why: Why) {
        for entry in entries {
            // A record that somebody waits for is refused, not lost.
            if entry.arrived.is_none() {
                self.losses.lost(&entry.record, &why);
            }
        }
    }
}

/// Takes what comes in the next moment, until somebody waits.
async fn gather(queue: &mut mpsc::Receiver<Message>, batch: &mut Vec<Message>) {
    let moment = tokio::time::sleep(GATHERING);
    tokio::pin!(moment);
    let mut seen = 0;
    while batch.len() < BATCH && !batch.iter().skip(seen).any(Message::is_awaited) {
        seen = batch.len();
        let room = BATCH - seen;
        tokio::select! {
            () = &mut moment => return,
            taken = queue.recv_many(batch, room) => if taken == 0 { return },
        }
    }
}

impl Message {
    /// Whether somebody waits for it.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Write(entry) => entry.arrived.is_some(),
            Self::Close(_) => true,
        }
    }
}

impl Chunk {
    /// The line that the record would have.
    fn line(&self, record: &Record, place: Place) -> Next {
        // Where the lines will stand concerns the first of them only.
        let place = match self.bytes.is_empty() {
            true => Place {
                lost: (self.lost > 0).then_some(self.lost),
                left_out: (self.left_out > 0).then_some(self.left_out),
                ..place
            },
            false => Place::default(),
        };
        let mut chain = self.chain.clone();
        let mut bytes = chain.line(record, place);
        bytes.push(b'\n');
        Next { chain, bytes }
    }

    fn take(&mut self, entry: Entry, next: Next) {
        self.chain = next.chain;
        self.bytes.extend_from_slice(&next.bytes);
        self.entries.push(entry);
    }
}
