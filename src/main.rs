//! The program `identity-gateway`. The library holds all of it but the commit that it was built from: so a new commit builds
//! this file anew, and nothing else.

use std::{process::ExitCode, sync::LazyLock};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `--version` says. Who builds for others says which commit it is (`IDGW_REVISION`, as `deploy/image/build-static`
/// does); in a clone git's own log says what was checked out, and not whether the files have been changed since.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    let checked_out = COMMIT.map(|commit| String::from_utf8_lossy(&commit).into_owned());
    match (option_env!("IDGW_REVISION"), checked_out) {
        (Some(commit), _) => format!("{version} (commit {commit})"),
        (None, Some(commit)) => format!("{version} (commit {commit}, working tree)"),
        (None, None) => format!("{version} (commit unknown)"),
    }
});

/// Of the log's last line, `OLD NEW WHO WHEN`, the second word. Found by the compiler: the log itself, with its names and
/// addresses, is no part of the program.
const COMMIT: Option<[u8; 40]> = newest(include!(concat!(env!("OUT_DIR"), "/history.rs")));

const fn newest(log: &[u8]) -> Option<[u8; 40]> {
    let mut before = match log.split_last() {
        Some((b'\n', lines)) => lines,
        _ => log,
    };
    while let Some((letter, rest)) = before.split_last() {
        if *letter == b'\n' {
            break;
        }
        before = rest;
    }
    let Some((_, line)) = log.split_at_checked(before.len()) else {
        return None;
    };
    let Some((_, line)) = line.split_at_checked(41) else {
        return None;
    };
    line.first_chunk().copied()
}

fn main() -> ExitCode {
    identity_gateway::cli::program::main(&VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_commit_is_the_second_word_of_the_last_line() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let line = |new: &str| {
            format!(
                "{} {new} A <a@example.com> 1 +0000\tcommit: x\n",
                "0".repeat(40)
            )
        };
        let log = line(&one) + &line(&two);
        let found = |log: &str| {
            newest(log.as_bytes()).map(|commit| String::from_utf8(commit.to_vec()).unwrap())
        };
        assert_eq!(found(&log), Some(two.clone()));
        assert_eq!(found(log.trim_end()), Some(two));
        assert_eq!(found(&line(&one)), Some(one));
        for nothing in ["", "\n", "0000 1111\n"] {
            assert_eq!(found(nothing), None, "{nothing:?}");
        }
    }
}
