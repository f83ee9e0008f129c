//! The file sink: appends, rotates by size, repairs after a failed write.
//!
//! Every file has a running number, which its first line carries. The current file stands at `path`;
//! a full one is renamed to `path.NUMBER`, eight digits, so that names sort by age. One process writes
//! at a time: it holds a lock on `path.lock`.
//!
//! Before each write the file at `path` is compared with the open one. If it was removed, replaced or
//! changed by someone else, it is opened anew and the chain goes on from what this process wrote, so
//! that `audit verify` finds what was done. A write that fails is taken back by cutting the file to
//! its length before; if that fails too, the next opening reports the bytes as torn.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    chain::{Digest, Place, Torn},
    settings::Fsync,
    sink::Sink,
    tail,
};

/// Nobody else needs to read it.
const MODE: u32 = 0o600;
/// How many digits the number in a name has.
const DIGITS: usize = 8;

/// How the files are kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The current file.
    pub path: PathBuf,
    /// How long it grows, in bytes.
    pub max_bytes: u64,
    /// How many full files are kept beside it.
    pub keep: usize,
    /// When a write is on disk.
    pub fsync: Fsync,
}

/// The file sink.
#[derive(Debug)]
pub struct Files {
    options: Options,
    current: Option<Current>,
    /// The number of the current file, or of the last one.
    number: u64,
    _lock: File,
}

#[derive(Debug)]
struct Current {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    length: u64,
    /// What its first line is still to carry.
    number: Option<u64>,
    torn: Option<Torn>,
}

impl Files {
    /// Opens the files and finds the last record in them.
    ///
    /// # Errors
    ///
    /// If they cannot be opened, hold something else, or another process writes them.
    pub fn open(options: Options) -> io::Result<(Self, Option<Digest>)> {
        let lock = lock(&options.path)?;
        let newest = rotated(&options.path)?.pop();
        let mut files = Self {
            number: newest.as_ref().map_or(0, |(number, _)| *number),
            options,
            current: None,
            _lock: lock,
        };
        let mut last = files.open_current()?;
        // The last process rotated and wrote no more.
        if let (None, Some((_, path))) = (last, newest) {
            let before = tail::read(BufReader::new(File::open(path)?))?;
            last = before.last;
            if let (Some(number), Some(current)) = (before.number, &mut files.current) {
                files.number = number + 1;
                current.number = Some(files.number);
            }
        }
        Ok((files, last))
    }

    /// Opens the file at `path`, makes it if there is none, and finds its last record.
    fn open_current(&mut self) -> io::Result<Option<Digest>> {
        let path = &self.options.path;
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("not a regular file"));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        let found = tail::read(BufReader::new(&file))?;
        let mut length = found.length;
        if found.is_unended {
            file.write_all(b"\n")?;
            length += 1;
        }
        let is_new = found.number.is_none();
        self.number = match found.number {
            Some(number) => number,
            None => self.number + 1,
        };
        if length == 0 {
            self.sync_directory()?;
        }
        let metadata = file.metadata()?;
        self.current = Some(Current {
            identity: identity(&metadata),
            file,
            length,
            number: is_new.then_some(self.number),
            torn: found.torn,
        });
        Ok(found.last)
    }

    /// Makes a new name, or its loss, as lasting as the lines.
    fn sync_directory(&self) -> io::Result<()> {
        if self.options.fsync == Fsync::Never {
            return Ok(());
        }
        File::open(directory(&self.options.path))?.sync_all()
    }

    /// Removes the oldest full files. One that stays for now is tried again at the next turn.
    fn prune(&self) {
        let Ok(full) = rotated(&self.options.path) else {
            return;
        };
        let too_many = full.len().saturating_sub(self.options.keep);
        for (_, path) in full.iter().take(too_many) {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, "a rotated audit file could not be removed");
            }
        }
    }
}

impl Sink for Files {
    fn ready(&mut self) -> io::Result<()> {
        if let Some(current) = &self.current {
            let found = fs::metadata(&self.options.path);
            if found.is_ok_and(|found| {
                identity(&found) == current.identity && found.len() == current.length
            }) {
                return Ok(());
            }
            self.current = None;
        }
        self.open_current().map(drop)
    }

    fn place(&self) -> Place {
        let current = self.current.as_ref();
        Place {
            file: current.and_then(|current| current.number),
            torn: current.and_then(|current| current.torn),
            lost: None,
            left_out: None,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.current.as_ref().is_none_or(|current| {
            // Torn bytes are reported in their own file.
            current.torn.is_some() || current.length.saturating_add(bytes) <= self.options.max_bytes
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.settle()?;
        self.current = None;
        let mut name = self.number;
        // Only someone else's file can be in the way; it is not written over.
        while rotated_path(&self.options.path, name).try_exists()? {
            name += 1;
        }
        fs::rename(&self.options.path, rotated_path(&self.options.path, name))?;
        self.open_current()?;
        self.prune();
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("the file is not open"));
        };
        let written = current.file.write_all(lines).and_then(|()| {
            if self.options.fsync == Fsync::Each {
                current.file.sync_data()?;
            }
            Ok(())
        });
        match written {
            Ok(()) => {
                current.length += u64::try_from(lines.len()).unwrap_or(u64::MAX);
                (current.number, current.torn) = (None, None);
            }
            Err(_) => {
                // What cannot be cut off is found, and reported as torn, when it is opened anew.
                let _cut = current.file.set_len(current.length);
                self.current = None;
            }
        }
        written
    }

    fn settle(&mut self) -> io::Result<()> {
        match &self.current {
            Some(current) if self.options.fsync == Fsync::Interval => current.file.sync_data(),
            _ => Ok(()),
        }
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The lock is the kernel's: it ends with the process, however that ends.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(name)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("locked by another process")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The end of a lock file's name.
pub(super) const LOCK: &str = "lock";

/// The base path that a full file belongs to, and its number; none if the name is no full file's.
pub(super) fn rotated_of(path: &Path) -> Option<(PathBuf, u64)> {
    let number = path.extension()?.to_str()?;
    let is_one = number.len() >= DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_one)?;
    Some((path.with_extension(""), number))
}

fn rotated_path(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:0DIGITS$}"));
    name.into()
}

/// The full files, the oldest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(io::Error::other("the path has no file name"));
    };
    let mut full = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let found = entry?.path();
        let number = found
            .file_name()
            .and_then(|found| found.to_str()?.strip_prefix(name)?.strip_prefix('.'))
            .filter(|digits| {
                digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
            .and_then(|digits| digits.parse().ok());
        full.extend(number.map(|number| (number, found)));
    }
    full.sort();
    Ok(full)
}
