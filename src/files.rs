//! Reads small files, never more than a bound: a path may name a device.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

/// Largest configuration file, in bytes.
pub const CONFIGURATION: u64 = 1024 * 1024;
/// Largest file that holds a secret, in bytes.
pub const SECRET: u64 = 64 * 1024;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a file of at most `limit` bytes holds, without a byte order mark at its head.
///
/// # Errors
///
/// Why it cannot be read, and nothing of its content.
pub fn bytes(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut content = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| match error.kind() {
        // Mounted into a container, a file belongs to somebody who is not known there.
        ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid();
            format!("cannot be read by user {}: {error}", user.as_raw())
        }
        _ => format!("cannot be read: {error}"),
    })?;
    let read = file.take(limit + 1).read_to_end(&mut content);
    let length = read.map_err(|error| format!("cannot be read: {error}"))?;
    match u64::try_from(length) {
        Ok(length) if length <= limit => {
            // Some editors mark UTF-8 with it. No format that is read here begins with it.
            if content.starts_with(BYTE_ORDER_MARK) {
                content.drain(..BYTE_ORDER_MARK.len());
            }
            Ok(content)
        }
        _ => Err(format!("is larger than {limit} bytes")),
    }
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
///
/// Why it cannot be read, and nothing of its content.
pub fn text(path: &Path, limit: u64) -> Result<Zeroizing<String>, String> {
    let content = bytes(path, limit)?;
    let text = std::str::from_utf8(&content).map_err(|_| "cannot be read: it is not UTF-8")?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The certificates of a PEM file; none if one of them cannot be read, or there is not one.
#[must_use]
pub fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_at_the_head_is_no_part_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (written, read) in [
            ("\u{feff}payments 00ff", "payments 00ff"),
            ("payments \u{feff}", "payments \u{feff}"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
            ("\u{feff}", ""),
            ("", ""),
        ] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(*text(&path, 64).unwrap(), read);
            assert_eq!(**bytes(&path, 64).unwrap(), *read.as_bytes());
        }
    }
}
