//! Proves with the real program what docs/chaos.md says of it, `chaos` and `overload`, and what
//! docs/observability.md says of the cost of tracing, `trace-cost`; takes the figures of docs/chaos.md,
//! `impatient`, and of docs/performance.md, `compare` and `growth`; makes the calls that a profile is taken
//! of, `train`.
//!
//! Everything runs on loopback and is bounded in time and count. Every child process belongs to this
//! one and is ended by its own pid, also when something fails or the run is interrupted. Exit codes:
//! 0 if every assertion held, 1 if one did not, or if something needed is missing.

mod answer;
mod calls;
mod certificate;
mod chaos;
mod chaos_report;
mod children;
mod cluster;
mod collector;
mod compare;
mod document;
mod explain;
mod faults;
mod figures;
mod fronts;
mod growth;
mod impatient;
mod impatient_report;
mod ledger;
mod line;
mod lookups;
mod memory;
mod open_loop;
mod overload;
mod overload_report;
mod pace;
mod plot;
mod provider;
mod proxy;
mod question;
mod rig;
mod spoil;
mod stage;
mod stalls;
mod subjects;
mod trace_cost;
mod train;
mod verdict;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use figures::say;
use tokio::signal::unix::{SignalKind, signal};

/// Whatever keeps a run from its end.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Load against the real gateway, and what must hold under it.
#[derive(Parser)]
struct Options {
    /// The gateway under test
    #[arg(long, global = true, default_value = "target/static/identity-gateway")]
    gateway: PathBuf,
    #[command(subcommand)]
    recipe: Recipe,
}

#[derive(Subcommand)]
enum Recipe {
    /// Three instances behind Envoy, with Redis, while two of them are terminated again and again
    Chaos(chaos::Options),
    /// Three instances behind Envoy, with Redis, and callers that give up too early and ask again
    Impatient(impatient::Options),
    /// One instance, asked for several times what it can do
    Overload(overload::Options),
    /// Two instances, one of which traces every call: what that costs in CPU time
    TraceCost(trace_cost::Options),
    /// How cost grows with calls in flight, answer sizes, connections, kept answers and persons
    Growth(growth::Options),
    /// The gateway against the floor
    Compare(compare::Options),
    /// Calls of every kind, for the profile that the release binary is built with
    Train(train::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { gateway, recipe } = Options::parse();
    let run = async {
        match &recipe {
            Recipe::Chaos(options) => {
                let limit = options.time_limit();
                within(limit, chaos::run(&gateway, options)).await
            }
            Recipe::Impatient(options) => {
                let limit = options.time_limit();
                within(limit, impatient::run(&gateway, options)).await
            }
            Recipe::Overload(options) => {
                let limit = options.time_limit();
                within(limit, overload::run(&gateway, options)).await
            }
            Recipe::TraceCost(options) => {
                let limit = options.time_limit();
                within(limit, trace_cost::run(&gateway, options)).await
            }
            Recipe::Compare(options) => {
                let limit = options.time_limit();
                within(limit, compare::run(&gateway, options)).await
            }
            Recipe::Train(options) => {
                let limit = options.time_limit();
                within(limit, train::run(&gateway, options)).await
            }
            Recipe::Growth(options) => {
                let limit = options.time_limit();
                within(limit, growth::run(&gateway, options)).await
            }
        }
    };
    // The losing branch is dropped, and the children with it.
    let ended = tokio::select! {
        ended = run => ended,
        () = interrupted() => Err("interrupted".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("FAILED: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn within(
    limit: Duration,
    run: impl Future<Output = Result<(), Failed>>,
) -> Result<(), Failed> {
    let late = |_| Failed::from(format!("did not end within {limit:?}"));
    tokio::time::timeout(limit, run).await.map_err(late)?
}

async fn interrupted() {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    match signals {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        },
        _ => std::future::pending().await,
    }
}
