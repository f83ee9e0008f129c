//! `sandbox`: the provider sandbox alone, for callers' own tests.
//!
//! Exit codes: 0 after a signal or `--list`, 64 if the configuration is refused, 1 if the port is not
//! to be had.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::terminal::Problems,
    config::{self, Sources},
    sandbox,
};

/// Prints the table of magic ids.
#[must_use]
pub fn list() -> ExitCode {
    match io::stdout().write_all(sandbox::markdown().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs the command.
pub async fn run(sources: Sources) -> ExitCode {
    let settings = match config::load(sources) {
        Ok(settings) => settings.sandbox,
        Err(error) => {
            let _told = write!(anstream::stderr(), "{}", Problems(&error));
            return ExitCode::from(64);
        }
    };
    match serve(&settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _told = write!(
                anstream::stderr(),
                "{}",
                Problems(&format!(
                    "sandbox.listen: {}: {error}",
                    settings.listen_alone()
                ))
            );
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &config::SandboxSettings) -> io::Result<()> {
    // That its fixtures were read again, or cannot be; nothing of a request is ever logged.
    let _already = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .try_init();
    let listener = TcpListener::bind(settings.listen_alone()).await?;
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut said = format!("provider sandbox on http://{}\n", listener.local_addr()?);
    for company in sandbox::credentials() {
        said.push_str(&format!("  {company}\n"));
    }
    said.push_str("  look in    GET /_sandbox, /_sandbox/ledger, /_sandbox/requests\n");
    io::stdout().write_all(said.as_bytes())?;
    let options = sandbox::Options {
        delay: settings.delay.get(),
        fixtures: settings.fixtures.clone(),
    };
    let stopped = async move {
        terminate.recv().await;
    };
    // Whoever presses Ctrl-C waits for nobody: there is nothing to lose.
    tokio::select! {
        served = sandbox::serve(listener, options, stopped) => served,
        _ = interrupt.recv() => Ok(()),
    }
}
