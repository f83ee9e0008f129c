//! Is memory short? Looked up twenty times a second, told by a flag.
//!
//! The kernel ends a process that is over the limit of its control group, with every call that it has.
//! Refusing new calls before that costs only those. The limit is the configured one, or four fifths of
//! the group's: the rest is for what grows while the calls in flight end.
//!
//! What is compared is the resident memory of the process, as /proc gives it: the group's own count
//! holds the page cache too, which the kernel frees by itself.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::process;

const INTERVAL: Duration = Duration::from_millis(50);
/// A group without limit says `max`, or in the first version of control groups a number beyond all memory.
const NO_LIMIT: u64 = 1 << 60;

/// The limit in bytes that calls are refused above, if there is one.
#[must_use]
pub fn limit(configured: u64) -> Option<u64> {
    match configured {
        0 => group_limit(Path::new("/")).map(|limit| limit / 5 * 4),
        stated => Some(stated),
    }
}

/// Of the limit, what the bytes that calls make the gateway hold may take: a part of it, for they are held once as they
/// come and once as they are worked on, but enough for the largest request and reply of one caller.
const HELD_PART: u64 = 4;
const LEAST_HELD: u64 = 64 * 1024 * 1024;
/// The same where there is no limit.
const HELD_WITHOUT_LIMIT: u64 = 1024 * 1024 * 1024;

/// How many bytes of requests and replies calls may hold at once.
#[must_use]
pub fn held(limit: Option<u64>) -> usize {
    let held = limit.map_or(HELD_WITHOUT_LIMIT, |limit| {
        (limit / HELD_PART).max(LEAST_HELD)
    });
    usize::try_from(held).unwrap_or(usize::MAX)
}

/// How many bytes connections may hold that no call of a known caller holds.
#[must_use]
pub fn held_by_connections(limit: Option<u64>) -> usize {
    held(limit) / 2
}

/// How many bytes the answers that are being read may hold at once, of all providers together. Less than that: what
/// they are parsed into comes on top.
#[must_use]
pub fn answers(limit: Option<u64>) -> usize {
    held(limit) / 4 * 3
}

/// The smallest limit of the process's control group and those above it.
fn group_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let second = root.join("sys/fs/cgroup");
    let first = root.join("sys/fs/cgroup/memory");
    let mut files: Vec<PathBuf> = Vec::new();
    for line in groups.lines() {
        // `0::/path` in the second version, `4:memory:/path` in the first.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next(), parts.next().unwrap_or_default());
        let (mount, name) = match controllers {
            Some("") => (&second, "memory.max"),
            Some(names) if names.split(',').any(|name| name == "memory") => {
                (&first, "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be the host's, and only the mount's own directory be there.
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(path.ancestors().map(|group| mount.join(group).join(name)));
    }
    let limits = files.iter().filter_map(|file| {
        let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        (limit < NO_LIMIT).then_some(limit)
    });
    limits.min()
}

/// Keeps the flag up to date, for ever.
pub async fn watch(limit: u64, is_short: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(resident) = process::resident() else {
            tracing::warn!("resident memory cannot be read: server.max_memory is not enforced");
            return;
        };
        let short = resident > limit;
        if is_short.swap(short, Ordering::Relaxed) != short {
            tracing::warn!(resident, limit, short, "memory pressure changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_smallest_limit_of_the_group_and_its_parents_counts() {
        for (files, limit) in [
            (&[][..], None),
            (
                &[
                    ("proc/self/cgroup", "0::/\n"),
                    ("sys/fs/cgroup/memory.max", "536870912\n"),
                ],
                Some(536_870_912),
            ),
            (
                &[
                    ("proc/self/cgroup", "0::/pod/container\n"),
                    ("sys/fs/cgroup/pod/container/memory.max", "max\n"),
                    ("sys/fs/cgroup/pod/memory.max", "1000\n"),
                ],
                Some(1000),
            ),
            (
                &[
                    ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
                ],
                Some(2000),
            ),
            (
                &[
                    ("proc/self/cgroup", "4:memory:/\n"),
                    (
                        "sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                ],
                None,
            ),
        ] {
            assert_eq!(group_limit(root(files).path()), limit, "{files:?}");
        }
        assert_eq!(super::limit(7), Some(7));
    }

    #[tokio::test]
    async fn the_flag_is_up_while_the_process_is_over_the_limit() {
        for (limit, short) in [(1, true), (u64::MAX, false)] {
            let flag = Arc::new(AtomicBool::new(!short));
            let watching = watch(limit, Arc::clone(&flag));
            let once = tokio::time::timeout(Duration::from_millis(50), watching);
            assert!(once.await.is_err());
            assert_eq!(flag.load(Ordering::Relaxed), short);
        }
    }
}
