//! What happens around a command: the process is prepared, the runtime started, and ended.
//!
//! It stands here and not in the binary, so that the futures are compiled once, with the library.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    thread,
};

use tokio::runtime::{Builder, Runtime};

use super::args;
use crate::{process, telemetry::panics};

/// Reads the command line and runs the command; `version` is what `--version` says.
#[must_use]
pub fn main(version: &'static str) -> ExitCode {
    panics::install();
    if let Err(error) = process::prepare() {
        let _told = writeln!(io::stderr(), "core dumps cannot be disabled: {error}");
        return ExitCode::FAILURE;
    }
    // There is one provider of cryptography in the tree; naming it leaves nothing to be guessed.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match runtime() {
        Ok(runtime) => {
            let code = runtime.block_on(args::run(version));
            // A provider call that outlives its drain must not hold the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            let _told = writeln!(io::stderr(), "the runtime cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A thread for each CPU that the process may use: its affinity and its control group's quota are heeded.
///
/// On a single CPU the one thread is this one. The runtime of many threads would run a connection's task
/// at once after each reply that is ready for it, and so write to the socket for every single one. Without
/// its LIFO slot the task's turn comes when all that were ready have been worked on, and one write takes
/// them all: a fifth less CPU for each call on two CPUs. Tokio calls the switch unstable: it may go with
/// any version, and a build without `--cfg tokio_unstable` goes without it.
fn runtime() -> io::Result<Runtime> {
    let mut builder = match thread::available_parallelism() {
        Ok(cpus) if cpus.get() > 1 => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    #[cfg(tokio_unstable)]
    builder.disable_lifo_slot();
    builder.enable_all().build()
}
