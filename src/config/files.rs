//! Reads the small files that the configuration names, never more than a bound: a path may name a device.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Largest configuration file, in bytes.
pub(crate) const CONFIGURATION: u64 = 1024 * 1024;
/// Largest file that holds a secret, in bytes.
pub(crate) const SECRET: u64 = 64 * 1024;

/// The text of a file of at most `limit` bytes. The error says why not, and nothing of what the file holds.
pub(crate) fn text(path: &Path, limit: u64) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let read = file.take(limit + 1).read_to_string(&mut text);
    let length = read.map_err(|error| unreadable(&error))?;
    if u64::try_from(length).is_ok_and(|length| length <= limit) {
        Ok(text)
    } else {
        Err(format!("is larger than {limit} bytes"))
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
