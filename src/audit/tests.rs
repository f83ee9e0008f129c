//! The writer over real files: rotation, restarts, crashes, a disk that fails, a disk that is slow,
//! and what the verifier finds.

use std::{fs, io, path::PathBuf, sync::Arc};

use tonic::Code;

use super::{
    file::Options,
    record::{CallRecord, End},
    settings::Fsync,
    verify::{Expected, Report, Trails, Verifier},
    words::Event,
    *,
};
use crate::domain::verification::Billing;

mod disk;
mod keyed;
mod tampering;

const KEY: &[u8] = b"the chain's key";

/// A directory that goes with the test, and the files in it.
struct Disk {
    directory: tempfile::TempDir,
    max_bytes: u64,
    keep: usize,
    key: Option<ChainKey>,
}

impl Disk {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            max_bytes: 1 << 20,
            keep: 100,
            key: Some(ChainKey::new(KEY)),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.log")
    }

    fn open(&self) -> io::Result<(Files, Option<Digest>)> {
        Files::open(Options {
            path: self.path(),
            max_bytes: self.max_bytes,
            keep: self.keep,
            fsync: Fsync::Each,
        })
    }

    /// A process that has begun to write.
    fn begin(&self) -> (Writer, Arc<Losses>) {
        let (files, last) = self.open().unwrap();
        let losses = Arc::new(Losses::new(true));
        let key = self.key.clone();
        let start = Record::start(Hasher::new(b"key").key_id(), key.as_ref().map(ChainKey::id));
        let sinks = (Box::new(files) as Box<dyn Sink>, None);
        let chain = Chain::new(last, key);
        let writer = Writer::start(sinks, chain, start, Arc::clone(&losses)).unwrap();
        (writer, losses)
    }

    /// All files, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| !path.ends_with("audit.log.lock") && *path != self.path())
            .collect();
        paths.sort();
        paths.extend(self.path().exists().then(|| self.path()));
        paths
    }

    fn verify(&self) -> Report {
        verify(&held(&self.files()))
    }
}

/// A file's name and what it holds.
type Held = (String, Vec<u8>);

fn held(files: &[PathBuf]) -> Vec<Held> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let held = |path| (name(path), fs::read(path).unwrap());
    files.iter().map(held).collect()
}

fn verify(files: &[Held]) -> Report {
    expecting(files, Expected::of(KEY))
}

impl Expected {
    fn of(key: &[u8]) -> Self {
        Self {
            keys: vec![ChainKey::new(key)],
            ..Self::default()
        }
    }
}

fn expecting(files: &[Held], expected: Expected) -> Report {
    let mut verifier = Verifier::new(expected);
    for (name, bytes) in files {
        verifier.file(name, bytes.as_slice()).unwrap();
    }
    verifier.finish()
}

/// A call that reached a provider.
fn result() -> Record {
    let end = End {
        code: Code::Ok,
        reason: None,
        cause: None,
        outcome: None,
        billing: Billing::Unknown,
        source: None,
        cost: None,
        paid_by: None,
        attempts: 1,
    };
    let call = CallRecord {
        caller: None,
        call: Uuid::now_v7(),
        peer: None,
        rpc: "idgw.identity.v1.IdentityService/CheckCurp".into(),
        purpose: None,
        consent: None,
        provider: None,
        environment: None,
        verification_id: None,
        identifier: None,
        created_hash: None,
        end: Some(end),
    };
    Record::of_call(Event::Result, call)
}

/// Writes records one by one; says how many arrived.
fn write(writer: &mut Writer, count: usize) -> usize {
    let arrived = |_| {
        let (arrived, mut arrival) = oneshot::channel();
        writer.work(vec![Message::Write(Entry {
            record: result(),
            arrived: Some(arrived),
        })]);
        usize::from(arrival.try_recv().is_ok())
    };
    (0..count).map(arrived).sum()
}

/// Ends a process in order.
fn close(mut writer: Writer) {
    let (closed, mut done) = oneshot::channel();
    writer.work(vec![Message::Close(closed)]);
    done.try_recv().unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_refusals_so_many_are_written_in_a_minute() {
    let (stranger, refusals) = (result(), super::refusals::Refusals::default());
    let written = || (0..1000).filter(|_| refusals.takes(&stranger)).count();
    assert_eq!(written(), 60);
    assert_eq!(written(), 0);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(written(), 60);
}
