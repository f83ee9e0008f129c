//! Reads what a file of records holds already, so that the next line can go on from it.

use std::io::{self, BufRead};

use super::chain::{BEGINNING, Digest, Fragment, Link, Torn};

/// What a file holds.
#[derive(Debug, Default)]
pub struct Tail {
    /// Its last whole record.
    pub last: Option<Digest>,
    /// Its running number, if its first record says it.
    pub number: Option<u64>,
    /// What follows the last whole record.
    pub torn: Option<Torn>,
    /// Whether its last byte is not a line break.
    pub is_unended: bool,
    /// Its length in bytes.
    pub length: u64,
}

/// Reads a file to its end.
///
/// # Errors
///
/// If it cannot be read, or is a file of something else ([`io::ErrorKind::InvalidData`]).
pub fn read(mut file: impl BufRead) -> io::Result<Tail> {
    let mut tail = Tail::default();
    let mut fragment = Fragment::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = file.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        let is_first = tail.length == 0;
        tail.length += u64::try_from(length).unwrap_or(u64::MAX);
        tail.is_unended = line.last() != Some(&b'\n');
        if !tail.is_unended {
            line.pop();
        }
        if is_first && !is_ours(&line) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "contains something other than audit records",
            ));
        }
        match Link::read(&line, &[]) {
            Some(link) => {
                tail.number = tail.number.or(link.file);
                tail.last = Some(link.hash);
                fragment = Fragment::default();
            }
            None => fragment.push(&line),
        }
    }
    tail.torn = fragment.torn();
    Ok(tail)
}

/// Whether a first line may be a record, perhaps a torn one: a crash may leave zeros too.
fn is_ours(line: &[u8]) -> bool {
    let begins = line.iter().zip(BEGINNING).all(|(a, b)| a == b);
    begins || line.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        chain::{Chain, Place},
        record::Record,
    };

    fn lines(count: usize) -> Vec<Vec<u8>> {
        let mut chain = Chain::new(None, None);
        let place = |n| Place {
            file: (n == 0).then_some(7),
            ..Place::default()
        };
        let line = |n| [chain.line(&Record::stop(), place(n)), b"\n".to_vec()].concat();
        (0..count).map(line).collect()
    }

    #[test]
    fn the_end_is_found_at_every_cut() {
        let lines = lines(3);
        let whole = lines.concat();
        let ends: Vec<usize> = (1..=3).map(|n| lines[..n].concat().len()).collect();
        for cut in 0..=whole.len() {
            let tail = read(&whole[..cut]).unwrap();
            // A record without its line break is whole.
            let records = ends.iter().filter(|end| **end <= cut + 1).count();
            let last = records
                .checked_sub(1)
                .map(|n| Digest::of(lines[n].strip_suffix(b"\n").unwrap()));
            assert_eq!(tail.last, last, "{cut}");
            assert_eq!(tail.number, (records > 0).then_some(7), "{cut}");
            let after = ends[..records].last().copied().unwrap_or_default();
            assert_eq!(
                tail.torn.map(|torn| torn.bytes),
                (cut > after).then(|| (cut - after) as u64),
                "{cut}"
            );
            assert_eq!(tail.is_unended, cut > 0 && !ends.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        assert!(read(&b"root:x:0:0\n"[..]).is_err());
        assert!(read(&br#"{"message":"call"}"#[..]).is_err());
        assert!(read(&b"\0\0\0"[..]).is_ok());
    }
}
