//! The program `identity-gateway`. The library holds all of it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    identity_gateway::cli::program::main()
}
