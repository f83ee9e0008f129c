//! What the process asks of the system for itself, before it does anything else.
//!
//! Its memory holds credentials and personal data, so it must not be written to a core file, whatever the
//! machine's core pattern is, and no other process of the same user may read it or its environment: the process
//! is not dumpable. And it takes as many file descriptors as it may have, because each connection is one.

use std::{fs, io};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Asks for it.
///
/// # Errors
///
/// If the system refuses that the memory stays out of core files. What was asked for is in force as far as it got.
pub fn prepare() -> io::Result<()> {
    let open = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: open.maximum,
        maximum: open.maximum,
    };
    // With fewer than are wanted the program runs, and says so when it can take no more connections.
    let _as_it_was = setrlimit(Resource::Nofile, raised);
    // For a pattern that is a file; a pattern that is a program gets nothing of a process that is not dumpable.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// The resident memory in bytes.
///
/// Its sibling statm counts in pages, whose size cannot be asked for without unsafe code. The kernel makes the file on the
/// spot: reading it does not wait for a disk.
#[must_use]
pub fn resident() -> Option<u64> {
    in_status(&fs::read_to_string("/proc/self/status").ok()?)
}

fn in_status(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn memory_stays_out_of_core_files() {
        prepare().unwrap();
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let open = getrlimit(Resource::Nofile);
        assert_eq!(open.current, open.maximum);
    }

    #[test]
    fn the_resident_memory_is_read() {
        assert_eq!(
            in_status("VmPeak: 9 kB\nVmRSS:\t    1234 kB\n"),
            Some(1_263_616)
        );
        assert_eq!(in_status("VmRSS: many kB"), None);
        assert!(resident().unwrap() > 100_000);
    }
}
