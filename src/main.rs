//! The program `identity-gateway`: reads the command line, runs the command, sets the exit code.

use std::{io::Write as _, process::ExitCode};

use identity_gateway::{cli, process, telemetry::panics};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panics::install();
    if let Err(error) = process::prepare() {
        let _told = writeln!(
            std::io::stderr(),
            "memory is not kept out of core files: {error}"
        );
        return ExitCode::FAILURE;
    }
    // There is one provider of cryptography in the tree; naming it leaves nothing to be guessed.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::args::run());
            // A provider call that outlives its drain must not hold the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            let _told = writeln!(std::io::stderr(), "the runtime cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
