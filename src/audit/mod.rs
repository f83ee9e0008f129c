//! The audit: one record for each verification and each write of a person, in a chain that shows
//! whether a line was removed or changed. docs/audit.md says what operators and auditors need to know.
//!
//! ```text
//! layer ── makes a Call for each recorded RPC, and records how it ended, however it ended
//! call  ── what the handlers say of it: begin (its checks passed), intend (about to ask)
//! record → writer (one, from a bounded queue) → chain → sink: file, standard output → copies: OTLP
//! ```
//!
//! A result never waits: if the queue is full it is lost, and counted. An intent, which only
//! `audit.required` asks for, is waited for, up to `audit.write_timeout`.

pub mod call;
pub mod chain;
pub mod chain_key;
mod copies;
mod file;
pub mod hash;
pub mod layer;
mod losses;
pub mod record;
pub mod settings;
pub mod sink;
mod tail;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod words;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use foldhash::HashMap;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tonic::Code;
use uuid::Uuid;

pub use self::losses::Counts;
use self::{
    chain::{Chain, Digest},
    chain_key::ChainKey,
    copies::{Copies, Unsendable},
    file::Files,
    hash::Hasher,
    losses::{Losses, Why},
    record::Record,
    settings::{AuditSink, Settings},
    sink::{Sink, Stdout},
    writer::{Entry, Message, Writer},
};
use crate::telemetry::call_facts::CallFacts;

/// How long the end of a process waits for its last lines.
const CLOSING: Duration = Duration::from_secs(5);

/// Why the audit cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sink takes no line.
    #[error("audit: {target} cannot be written: {source}")]
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
    /// The calls that have not ended, so that the end of the process can record them.
    open: Mutex<HashMap<Uuid, Weak<CallFacts>>>,
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
                    "audit begins"
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
            open: Mutex::default(),
        }))
    }

    /// The figures, for metrics.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.losses.counts()
    }

    /// Records what ended. Never waits.
    fn append(&self, record: Record) {
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

    /// Records what is about to happen, and waits until that is sure.
    async fn assure(&self, record: Record) -> Result<(), NotRecorded> {
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

    fn opened(&self, call: Uuid, facts: &Arc<CallFacts>) {
        if self.queue.is_some() {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(call, Arc::downgrade(facts));
        }
    }

    fn closed(&self, call: Uuid) {
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
        for facts in open.into_values().filter_map(|facts| facts.upgrade()) {
            call::end(&facts, Code::Cancelled);
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
        tracing::info!(written, lost, refused, "audit ends");
    }
}

fn failed(path: Option<&PathBuf>, source: io::Error) -> StartError {
    let target = match path {
        Some(path) => path.display().to_string(),
        None => "standard output".to_owned(),
    };
    StartError::Sink { target, source }
}
