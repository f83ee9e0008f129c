//! Files that are read again when they change: certificates, CA bundles, credentials.
//!
//! All are looked at every few seconds, by content. Notifications of the kernel would be sooner, but are lost on
//! network file systems and with the symbolic links that Kubernetes swaps; the files are small. Files that belong
//! together (a certificate and its key) are taken together. What cannot be used changes nothing: the old stays
//! in force, which is logged once, without a word of the content, and counted. It is tried again at every look,
//! because a certificate may only not be valid yet, or the second of two files not written yet. What names callers
//! stays in force for a stated time only ([`Watch::good_for`]): who could take the file away could keep a key good.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::time::MissedTickBehavior;
use zeroize::Zeroizing;

use crate::files;
use crate::sha256::Sha256;
use crate::telemetry::{metrics, reloads};

/// Largest file that is read, in bytes: a bundle of every public CA has a quarter of it.
const LARGEST: u64 = 1024 * 1024;

/// What a file holds.
pub type Content = Zeroizing<Vec<u8>>;
type Taker = Box<dyn FnMut(&[Content]) -> Result<(), String> + Send>;

/// Files that are taken together, and what takes them.
pub struct Watch {
    /// The configuration key that names them.
    key: &'static str,
    files: Vec<PathBuf>,
    take: Taker,
    /// The last content that was looked at, as a hash.
    seen: Option<[u8; 32]>,
    /// Since when it cannot be used.
    refused: Option<Instant>,
    /// A file was found empty at the last look, and had something in it before.
    emptied: bool,
    end: Option<End>,
}

/// The end of what is in force, if the file stays unusable.
struct End {
    after: Duration,
    end: Box<dyn FnMut() + Send>,
    has_come: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing new.
    Same,
    /// The same as was refused before, and still refused.
    StillRefused,
    /// Something new, now in force.
    Taken,
    /// Something new that cannot be used.
    Refused,
}

impl Watch {
    /// Files and what takes them. `take` gets their contents in the same order, and says why it cannot use them
    /// without repeating what they hold. It is called once without a change too: the files may have changed since
    /// they were read at the start.
    pub fn new(
        key: &'static str,
        files: Vec<PathBuf>,
        take: impl FnMut(&[Content]) -> Result<(), String> + Send + 'static,
    ) -> Self {
        metrics::no_reload(key);
        Self {
            key,
            files,
            take: Box::new(take),
            seen: None,
            refused: None,
            emptied: false,
            end: None,
        }
    }

    /// What is in force ends so long after the files could be used last.
    #[must_use]
    pub fn good_for(self, after: Duration, end: impl FnMut() + Send + 'static) -> Self {
        Self {
            end: Some(End {
                after,
                end: Box::new(end),
                has_come: false,
            }),
            ..self
        }
    }

    fn look(&mut self) -> Look {
        let read: Result<Vec<Content>, String> = self.files.iter().map(|file| read(file)).collect();
        let fingerprint = fingerprint(read.as_deref());
        let (first, new) = (self.seen.is_none(), self.seen != Some(fingerprint));
        if !new && self.refused.is_none() {
            return Look::Same;
        }
        // Who writes a file in place empties it first: that it is meant to be empty is believed at the second look.
        let is_empty = |contents: &Vec<Content>| contents.iter().any(|content| content.is_empty());
        let emptied = new && !first && read.as_ref().is_ok_and(is_empty);
        if emptied && !std::mem::replace(&mut self.emptied, true) {
            return Look::Same;
        }
        self.emptied = emptied;
        self.seen = Some(fingerprint);
        match read.and_then(|contents| (self.take)(&contents)) {
            Ok(()) => {
                self.refused = None;
                if let Some(end) = &mut self.end {
                    end.has_come = false;
                }
                if first {
                    return Look::Same;
                }
                tracing::info!(key = self.key, "reloaded: the new version is in use");
                reloads::taken(self.key);
                Look::Taken
            }
            Err(_) if !new => {
                self.outlive();
                Look::StillRefused
            }
            Err(why) => {
                tracing::warn!(
                    key = self.key,
                    why,
                    "reload rejected, keeping the previous version"
                );
                reloads::rejected(self.key, &why);
                self.outlive();
                Look::Refused
            }
        }
    }

    /// Ends what is in force if it has been for too long what the files do not say.
    fn outlive(&mut self) {
        let since = *self.refused.get_or_insert_with(Instant::now);
        if let Some(end) = self.end.as_mut()
            && !end.has_come
            && since.elapsed() >= end.after
        {
            end.has_come = true;
            (end.end)();
            reloads::nothing_in_use(self.key);
            tracing::error!(
                key = self.key,
                "reload rejected for too long: the previous version has expired"
            );
        }
    }
}

/// The content of a file, of which there is a largest size.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Content, String> {
    files::bytes(path, LARGEST)
}

fn fingerprint(read: Result<&[Content], &String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    match read {
        Ok(contents) => {
            for content in contents {
                hash.update(content.len().to_be_bytes());
                hash.update(content.as_slice());
            }
        }
        // A text that no list of lengths and contents begins with.
        Err(why) => {
            hash.update([0xff; 8]);
            hash.update(why);
        }
    }
    hash.finish()
}

/// Looks at the files, for ever.
pub async fn run(mut watches: Vec<Watch>, interval: Duration) {
    if watches.is_empty() {
        return;
    }
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Off the runtime's threads: a file may lie on a slow disk.
        let looking = tokio::task::spawn_blocking(move || {
            for watch in &mut watches {
                watch.look();
            }
            watches
        });
        match looking.await {
            Ok(looked) => watches = looked,
            Err(_) => {
                tracing::error!("file reloading stopped: a reload panicked");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::symlink,
        sync::{Arc, Mutex},
    };

    use super::*;

    type Taken = Arc<Mutex<Vec<String>>>;

    /// Takes anything but what holds "bad".
    fn watch(files: Vec<PathBuf>) -> (Watch, Taken) {
        let taken = Taken::default();
        let to = Arc::clone(&taken);
        let watch = Watch::new("test", files, move |contents| {
            let text = contents
                .iter()
                .map(|content| String::from_utf8_lossy(content).into_owned());
            let text: Vec<_> = text.collect();
            let text = text.join("+");
            if text.contains("bad") {
                return Err("is bad".to_owned());
            }
            to.lock().unwrap().push(text);
            Ok(())
        });
        (watch, taken)
    }

    #[test]
    fn what_changes_is_taken_once_and_what_is_broken_keeps_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "one").unwrap();
        let (mut watch, taken) = watch(vec![path.clone()]);
        assert_eq!(watch.look(), Look::Same);
        assert_eq!(watch.look(), Look::Same);
        fs::write(&path, "bad").unwrap();
        assert_eq!(watch.look(), Look::Refused);
        assert_eq!(watch.look(), Look::StillRefused);
        fs::remove_file(&path).unwrap();
        assert_eq!(watch.look(), Look::Refused);
        fs::write(&path, "two").unwrap();
        assert_eq!(watch.look(), Look::Taken);
        assert_eq!(watch.look(), Look::Same);
        fs::write(&path, vec![b'x'; 1024 * 1024 + 1]).unwrap();
        assert_eq!(watch.look(), Look::Refused);
        // Back to what is in force is no refusal any more.
        fs::write(&path, "two").unwrap();
        assert_eq!(watch.look(), Look::Taken);
        assert_eq!(*taken.lock().unwrap(), ["one", "two", "two"]);
    }

    #[test]
    fn a_file_that_is_empty_while_it_is_written_is_not_taken_for_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "one").unwrap();
        let (mut watch, taken) = watch(vec![path.clone()]);
        watch.look();
        for (text, look) in [
            ("", Look::Same),
            ("two", Look::Taken),
            ("", Look::Same),
            ("", Look::Taken),
            ("", Look::Same),
            ("three", Look::Taken),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(watch.look(), look, "{text}");
        }
        assert_eq!(*taken.lock().unwrap(), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_swapped_link_is_a_change_of_all_files_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (version, text) in [("v1", "1"), ("v2", "2")] {
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("crt"), format!("c{text}")).unwrap();
            fs::write(root.join(version).join("key"), format!("k{text}")).unwrap();
        }
        symlink("v1", root.join("..data")).unwrap();
        for name in ["crt", "key"] {
            symlink(format!("..data/{name}"), root.join(name)).unwrap();
        }
        let (mut watch, taken) = watch(vec![root.join("crt"), root.join("key")]);
        watch.look();
        symlink("v2", root.join("..new")).unwrap();
        fs::rename(root.join("..new"), root.join("..data")).unwrap();
        assert_eq!(watch.look(), Look::Taken);
        assert_eq!(*taken.lock().unwrap(), ["c1+k1", "c2+k2"]);
    }

    #[test]
    fn what_was_refused_is_tried_again_without_a_change() {
        let mut tries = 0;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut watch = Watch::new("test", vec![file.path().to_owned()], move |_| {
            tries += 1;
            match tries {
                1 | 3 => Ok(()),
                _ => Err("is not valid yet".to_owned()),
            }
        });
        watch.look();
        fs::write(file.path(), "new").unwrap();
        assert_eq!(watch.look(), Look::Refused);
        assert_eq!(watch.look(), Look::Taken);
        assert_eq!(watch.look(), Look::Same);
    }

    #[test]
    fn what_stays_unusable_ends_once_and_comes_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (watch, taken) = watch(vec![file.path().to_owned()]);
        let ended = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&ended);
        let after = Duration::from_millis(50);
        let mut watch = watch.good_for(after, move || *counted.lock().unwrap() += 1);
        watch.look();
        for round in 1..=2 {
            fs::write(file.path(), "bad").unwrap();
            watch.look();
            assert_eq!(*ended.lock().unwrap(), round - 1);
            std::thread::sleep(after);
            watch.look();
            watch.look();
            assert_eq!(*ended.lock().unwrap(), round);
            fs::write(file.path(), "good").unwrap();
            watch.look();
        }
        assert_eq!(*taken.lock().unwrap(), ["", "good", "good"]);
    }

    #[tokio::test]
    async fn a_change_is_found_while_the_program_runs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (watch, taken) = watch(vec![file.path().to_owned()]);
        let running = tokio::spawn(run(vec![watch], Duration::from_millis(5)));
        while taken.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        fs::write(file.path(), "new").unwrap();
        while taken.lock().unwrap().last().map(String::as_str) != Some("new") {
            tokio::task::yield_now().await;
        }
        running.abort();
    }
}
