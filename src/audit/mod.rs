//! The audit: one record for each verification and each write of a person, in a chain that shows
//! whether a line was removed or changed. docs/audit.md says what operators and auditors need to know.
//!
//! ```text
//! record (made by a call) → writer (one, from a bounded queue) → chain → sink: file, standard output → copies: OTLP
//! ```
//!
//! A result never waits: if the queue is full it is lost, and counted. An intent, which only
//! `audit.required` asks for, is waited for, up to `audit.write_timeout`.

pub mod chain;
pub mod chain_key;
mod copies;
mod file;
pub mod find;
pub mod hash;
mod losses;
pub mod record;
mod refusals;
pub mod settings;
pub mod sink;
mod tail;
#[cfg(test)]
mod tests;
pub mod trail;
pub mod verify;
pub mod words;
mod writer;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use foldhash::HashMap;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use uuid::Uuid;

pub use self::losses::Counts;
use self::{
    chain::{Chain, Digest},
    chain_key::ChainKey,
    copies::{Copies, Unsendable},
    file::Files,
    hash::{Hasher, IdentifierHash},
    losses::{Losses, Why},
    record::Record,
    refusals::Refusals,
    settings::{AuditSink, Settings},
    sink::{Sink, Stdout},
    writer::{Entry, Message, Writer},
};
use crate::domain::identifier::Identifier;

/// How long the end of a process waits for its last lines.
const CLOSING: Duration = Duration::from_secs(5);

/// Why the audit cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sink takes no line.
    #[error("audit: cannot write to {target}: {source}")]
    Sink {
        /// What.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// There can be no copies.
    #[error("audit.otlp: records cannot be sent: {0}")]
    Copies(#[from] Unsendable),
}

/// A call whose end is not recorded yet.
pub trait OpenCall: fmt::Debug + Send + Sync {
    /// Records that the process cut it off.
    fn cut_off(&self);
}

/// What all calls share.
#[derive(Debug)]
pub struct Audit {
    /// None if there is no sink.
    queue: Option<mpsc::Sender<Message>>,
    hasher: Hasher,
    is_required: bool,
    is_purpose_required: bool,
    write_timeout: Duration,
    losses: Arc<Losses>,
    refusals: Refusals,
    /// The calls that have not ended, so that the end of the process can record them.
    open: Mutex<HashMap<Uuid, Weak<dyn OpenCall>>>,
}

/// A record could not be written in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecorded;

impl Audit {
    /// Opens the sink, writes the start of this process, and starts the writer.
    ///
    /// # Errors
    ///
    /// If the sink takes no line: a gateway that is to be audited does not start without.
    pub fn start(settings: &Settings) -> Result<Arc<Self>, StartError> {
        let (sink, last): (Box<dyn Sink>, _) = match settings.sink {
            AuditSink::Off => return Self::over(settings, None),
            AuditSink::Stdout => (Box::<Stdout>::default(), None),
            AuditSink::File => {
                let path = settings.path.clone().unwrap_or_default();
                let options = file::Options {
                    path: path.clone(),
                    max_bytes: settings.max_file_bytes,
                    keep: settings.keep_files,
                    fsync: settings.fsync,
                };
                let opened = Files::open(options).map_err(|source| failed(Some(&path), source))?;
                (Box::new(opened.0), opened.1)
            }
        };
        Self::over(settings, Some((sink, last)))
    }

    /// The audit over a sink, which may hold records already.
    fn over(
        settings: &Settings,
        sink: Option<(Box<dyn Sink>, Option<Digest>)>,
    ) -> Result<Arc<Self>, StartError> {
        // Without a configured key hashes compare within this process only.
        let random = Uuid::new_v4();
        let key = match &settings.key {
            Some(key) => key.expose().as_bytes(),
            None => random.as_bytes(),
        };
        let hasher = Hasher::new(key);
        let losses = Arc::new(Losses::new(settings.required));
        let queue = match sink {
            None => None,
            Some((sink, last)) => {
                let key = ChainKey::of(settings);
                let start = Record::start(hasher.key_id(), key.as_ref().map(ChainKey::id));
                let chain = Chain::new(last, key);
                let copies = settings.otlp.then(|| Copies::start(settings.queue));
                let copies = copies.transpose()?;
                let writer = Writer::start((sink, copies), chain, start, Arc::clone(&losses))
                    .map_err(|source| failed(settings.path.as_ref(), source))?;
                tracing::info!(
                    head = writer.head().map(tracing::field::display),
                    "audit started"
                );
                let (sender, receiver) = mpsc::channel(settings.queue);
                tokio::spawn(writer.run(receiver));
                Some(sender)
            }
        };
        Ok(Arc::new(Self {
            queue,
            hasher,
            is_required: settings.required,
            is_purpose_required: settings.purpose_required,
            write_timeout: settings.write_timeout.get(),
            losses,
            refusals: Refusals::default(),
            open: Mutex::default(),
        }))
    }

    /// The figures, for metrics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.losses.counts()
    }

    /// Records what ended. Never waits.
    pub fn append(&self, record: Record) {
        let Some(queue) = &self.queue else {
            return;
        };
        let message = Message::Write(Entry {
            record,
            arrived: None,
        });
        match queue.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(Message::Write(entry))) => {
                self.losses.lost(&entry.record, &Why::Full);
            }
            Err(TrySendError::Closed(Message::Write(entry))) => {
                self.losses.lost(&entry.record, &Why::Closed);
            }
            // Cannot be: what comes back is what was sent.
            Err(_) => {}
        }
    }

    /// Records that a caller was not let in, unless there are too many of them. Never waits, and never takes the room
    /// of what is recorded of calls.
    pub fn refused(&self, record: Record) {
        let Some(queue) = &self.queue else {
            return;
        };
        let has_room = queue.capacity() > queue.max_capacity() / 2;
        if has_room && self.refusals.takes(&record) {
            self.append(record);
        } else {
            self.losses.leave_out();
        }
    }

    /// Records what is about to happen, and waits until that is sure.
    ///
    /// # Errors
    ///
    /// If it could not be written in time.
    pub async fn assure(&self, record: Record) -> Result<(), NotRecorded> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        let (arrived, arrival) = oneshot::channel();
        let message = Message::Write(Entry {
            record,
            arrived: Some(arrived),
        });
        let recorded = async {
            queue.send(message).await.map_err(|_| NotRecorded)?;
            arrival.await.map_err(|_| NotRecorded)
        };
        let recorded = tokio::time::timeout(self.write_timeout, recorded).await;
        let recorded = recorded.unwrap_or(Err(NotRecorded));
        if recorded.is_err() {
            self.losses.refused();
        }
        recorded
    }

    /// Whether there is a sink.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether nobody may be asked unless that is recorded.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Whether every call must say its purpose.
    #[must_use]
    pub const fn is_purpose_required(&self) -> bool {
        self.is_purpose_required
    }

    /// The keyed hash of an identifier.
    #[must_use]
    pub fn hash(&self, identifier: Identifier<'_>) -> IdentifierHash {
        self.hasher.identifier(identifier)
    }

    /// A call began: if the process ends before it does, it is recorded as cut off.
    pub fn opened(&self, id: Uuid, call: Weak<dyn OpenCall>) {
        if self.is_on() {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(id, call);
        }
    }

    /// A call ended.
    pub fn closed(&self, call: Uuid) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&call);
    }

    /// Records the calls that are cut off, and waits for the last lines, though not for ever.
    pub async fn close(&self) {
        let Some(queue) = &self.queue else {
            return;
        };
        let open = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *open)
        };
        for call in open.into_values().filter_map(|call| call.upgrade()) {
            call.cut_off();
        }
        let (closed, done) = oneshot::channel();
        let closing = async {
            queue.send(Message::Close(closed)).await.ok()?;
            done.await.ok()
        };
        if !matches!(tokio::time::timeout(CLOSING, closing).await, Ok(Some(()))) {
            tracing::error!("the last audit records may not have been written");
        }
        let Counts {
            written,
            lost,
            refused,
        } = self.counts();
        tracing::info!(written, lost, refused, "audit stopped");
    }
}

fn failed(path: Option<&PathBuf>, source: io::Error) -> StartError {
    let target = match path {
        Some(path) => path.display().to_string(),
        None => "standard output".to_owned(),
    };
    StartError::Sink { target, source }
}
