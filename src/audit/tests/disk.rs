//! Files: rotation, restarts, crashes, failures, slowness.

use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
    time::Duration,
};

use super::*;
use crate::{
    audit::{chain::Place, sink::Sink},
    domain::redaction::Secret,
    setting::Span,
};

#[test]
fn a_file_is_rotated_by_size_and_the_oldest_go() {
    let mut disk = Disk::new();
    (disk.max_bytes, disk.keep) = (4096, 3);
    let (mut writer, losses) = disk.begin();
    assert_eq!(write(&mut writer, 100), 100);
    close(writer);
    let files = disk.files();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in &files {
        let length = fs::metadata(file).unwrap().len();
        assert!((1..=4096).contains(&length), "{file:?}: {length}");
    }
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert!(report.notes[0].words.starts_with("continues file number "));
    assert_eq!(losses.counts().lost, 0);
    // In another order they are not whole.
    let mut files = held(&files);
    files.swap(0, 1);
    assert!(!verify(&files).is_whole());
}

#[test]
fn one_batch_may_need_many_files() {
    let mut disk = Disk::new();
    disk.max_bytes = 4096;
    let (mut writer, losses) = disk.begin();
    let entry = |_| {
        Message::Write(Entry {
            record: result(),
            arrived: None,
        })
    };
    writer.work((0..100).map(entry).collect());
    close(writer);
    assert!(disk.files().len() > 5);
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!(report.records, 102);
    assert_eq!(losses.counts().written, 101);
}

#[test]
fn a_next_process_goes_on_where_the_last_one_ended() {
    let mut disk = Disk::new();
    disk.max_bytes = 4096;
    for _ in 0..4 {
        let (mut writer, _) = disk.begin();
        write(&mut writer, 7);
        close(writer);
    }
    // As if the last process had rotated and written no more.
    let newest = disk.directory.path().join("audit.log.00000099");
    fs::rename(disk.path(), newest).unwrap();
    close(disk.begin().0);
    // And as if it had been torn away at its first line.
    fs::rename(
        disk.path(),
        disk.directory.path().join("audit.log.00000100"),
    )
    .unwrap();
    fs::write(disk.path(), r#"{"message":"audit","pro"#).unwrap();
    close(disk.begin().0);
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!(report.records, 4 * 9 + 4);
}

#[test]
fn two_processes_cannot_write_the_same_file() {
    let disk = Disk::new();
    let _open = disk.open().unwrap();
    assert_eq!(
        disk.open().unwrap_err().to_string(),
        "locked by another process"
    );
}

#[test]
fn what_is_no_audit_file_is_left_alone() {
    let disk = Disk::new();
    fs::write(disk.path(), "root:x:0:0\n").unwrap();
    assert!(disk.open().is_err());
    assert_eq!(fs::read(disk.path()).unwrap(), b"root:x:0:0\n");
    fs::remove_file(disk.path()).unwrap();
    fs::create_dir(disk.path()).unwrap();
    assert!(disk.open().is_err());
}

/// Whatever the length at which a crash cuts the file, the next process goes on cleanly.
#[test]
fn a_torn_line_is_reported_and_the_chain_goes_on() {
    let whole = Disk::new();
    let (mut writer, _) = whole.begin();
    write(&mut writer, 3);
    drop(writer);
    let bytes = fs::read(whole.path()).unwrap();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let before = bytes.len() - lines[3].len();
    for cut in (before + 1..bytes.len())
        .step_by(7)
        .chain([bytes.len() - 1])
    {
        let disk = Disk::new();
        fs::write(disk.path(), &bytes[..cut]).unwrap();
        let report = disk.verify();
        assert_eq!(report.breaks[0].place.line, 4, "{cut}");
        assert!(report.breaks[0].words.contains("torn"), "{cut}");

        let (mut writer, _) = disk.begin();
        write(&mut writer, 2);
        close(writer);
        let report = disk.verify();
        assert!(report.is_whole(), "{cut}: {:?}", report.breaks);
        let reported = report
            .notes
            .iter()
            .any(|note| note.words.starts_with("torn by"));
        // Only the line break is missing: the record itself is whole.
        assert_eq!(reported, cut < bytes.len() - 1, "{cut}");
    }
}

#[test]
fn zeros_after_a_power_cut_are_torn_too() {
    let disk = Disk::new();
    let (mut writer, _) = disk.begin();
    write(&mut writer, 3);
    drop(writer);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(disk.path())
        .unwrap();
    file.write_all(&[0; 5000]).unwrap();
    close(disk.begin().0);
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
}

#[test]
fn a_directory_that_is_removed_is_noticed_and_a_new_one_is_used() {
    let disk = Disk::new();
    let (mut writer, losses) = disk.begin();
    assert_eq!(write(&mut writer, 2), 2);
    let kept = fs::read(disk.path()).unwrap();
    fs::remove_dir_all(disk.directory.path()).unwrap();
    assert_eq!(write(&mut writer, 2), 0);
    writer.work(vec![Message::Write(Entry {
        record: result(),
        arrived: None,
    })]);
    assert_eq!(losses.counts().lost, 1);

    fs::create_dir(disk.directory.path()).unwrap();
    assert_eq!(write(&mut writer, 2), 2);
    close(writer);
    // With the first file at hand the chain is whole, and tells what was lost.
    fs::write(disk.directory.path().join("audit.log.00000001"), kept).unwrap();
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!((report.records, report.lost), (6, 1));
}

#[test]
fn what_someone_else_cuts_off_is_found() {
    let disk = Disk::new();
    let (mut writer, _) = disk.begin();
    write(&mut writer, 5);
    let length = fs::metadata(disk.path()).unwrap().len();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(disk.path())
        .unwrap();
    file.set_len(length * 2 / 3).unwrap();
    write(&mut writer, 2);
    close(writer);
    assert!(!disk.verify().is_whole());
}

/// A sink that does what the test says.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    fails: bool,
    holds: Option<mpsc::Receiver<()>>,
    bytes: Vec<u8>,
    writes: usize,
}

impl Sink for Scripted {
    fn ready(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn place(&self) -> Place {
        Place {
            file: self.0.lock().unwrap().bytes.is_empty().then_some(1),
            ..Place::default()
        }
    }
    fn has_room(&self, _: usize) -> bool {
        true
    }
    fn rotate(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let holds = self.0.lock().unwrap().holds.take();
        if let Some(holds) = holds {
            let _released = holds.recv();
        }
        let mut script = self.0.lock().unwrap();
        if script.fails {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        script.bytes.extend_from_slice(lines);
        script.writes += 1;
        Ok(())
    }
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings() -> Settings {
    Settings {
        sink: AuditSink::File,
        key: Some(Secret::new("a key of this test, long enough for it")),
        required: true,
        queue: 4,
        write_timeout: Span::new(Duration::from_millis(50)),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_slow_disk_holds_a_call_no_longer_than_the_budget_and_losses_are_told_later() {
    let sink = Scripted::default();
    let audit = Audit::over(&settings(), Some((Box::new(sink.clone()), None))).unwrap();
    let (release, holds) = mpsc::channel();
    sink.0.lock().unwrap().holds = Some(holds);
    assert_eq!(audit.assure(result()).await, Err(NotRecorded));
    // The writer is held with one record in hand; four fit into the queue.
    for _ in 0..10 {
        audit.append(result());
    }
    assert_eq!((audit.counts().refused, audit.counts().lost), (1, 6));
    release.send(()).unwrap();
    assert_eq!(audit.assure(result()).await, Ok(()));
    audit.close().await;
    let mut verifier = Verifier::new(Expected {
        keys: ChainKey::of(&settings()).into_iter().collect(),
        ..Expected::default()
    });
    let bytes = sink.0.lock().unwrap().bytes.clone();
    verifier.file("sink", bytes.as_slice()).unwrap();
    let report = verifier.finish();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!((report.lost, audit.counts().written), (6, 7));
}

/// The clock is stopped: it goes on when there is nothing to do but wait.
#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_written_together_and_what_somebody_waits_for_at_once() {
    let sink = Scripted::default();
    let settings = Settings {
        queue: 16,
        ..settings()
    };
    let audit = Audit::over(&settings, Some((Box::new(sink.clone()), None))).unwrap();
    let writes = || sink.0.lock().unwrap().writes;
    assert_eq!(writes(), 1, "the start of the process");
    for _ in 0..3 {
        audit.append(result());
        // The writer takes each by itself.
        tokio::task::yield_now().await;
    }
    assert_eq!(writes(), 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!((writes(), audit.counts().written), (2, 3));

    let asked = tokio::time::Instant::now();
    audit.append(result());
    assert_eq!(audit.assure(result()).await, Ok(()));
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!((writes(), audit.counts().written), (3, 5));
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room_again() {
    let sink = Scripted::default();
    let audit = Audit::over(&settings(), Some((Box::new(sink.clone()), None))).unwrap();
    sink.0.lock().unwrap().fails = true;
    assert_eq!(audit.assure(result()).await, Err(NotRecorded));
    audit.append(result());
    sink.0.lock().unwrap().fails = false;
    assert_eq!(audit.assure(result()).await, Ok(()));
    assert_eq!(audit.counts().refused, 1);
    audit.close().await;
    audit.append(result());
    assert_eq!(audit.assure(result()).await, Err(NotRecorded));
}

#[tokio::test]
async fn a_gateway_that_cannot_begin_its_audit_does_not_start() {
    let sink = Scripted::default();
    sink.0.lock().unwrap().fails = true;
    let started = Audit::over(&settings(), Some((Box::new(sink), None)));
    assert!(matches!(started, Err(StartError::Sink { .. })));
    let nowhere = Settings {
        path: Some("/nowhere/audit.log".into()),
        ..settings()
    };
    let told = Audit::start(&nowhere).unwrap_err().to_string();
    assert!(
        told.starts_with("audit: cannot write to /nowhere/audit.log: "),
        "{told}"
    );
}

/// A failed write whose bytes could not be taken back, in a file that is full.
#[test]
fn torn_bytes_are_reported_in_their_own_file() {
    let mut disk = Disk::new();
    disk.max_bytes = 4096;
    let (mut writer, _) = disk.begin();
    while disk.files().len() < 2 {
        write(&mut writer, 1);
    }
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(disk.path())
        .unwrap();
    file.write_all(&[b'x'; 4000]).unwrap();
    write(&mut writer, 3);
    close(writer);
    let report = disk.verify();
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!(disk.files().len(), 3);
}
