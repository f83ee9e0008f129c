//! `identity-gateway health`: asks a running gateway's `grpc.health.v1` once, for probes.
//!
//! Exit 0 only if the service is SERVING, otherwise 1. The status word goes to `out`: `SERVING`,
//! `NOT_SERVING`, `UNKNOWN` or `SERVICE_UNKNOWN`. If there is no status (no connection, no answer in
//! time, another error) `out` stays empty and `err` says why.

use std::{error::Error as _, io::Write, process::ExitCode, time::Duration};

use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    call::{
        Security,
        connect::{Address, ConnectError, connect, innermost},
        print_error,
        tls_words::explained,
    },
    printable,
    terminal::{ERROR, Progress},
};

/// Asks for `service` (`""`: the whole gateway) at `address` (`HOST:PORT`). `timeout` covers all of it,
/// from the connection to the answer.
pub async fn run(
    address: &str,
    security: &Security,
    service: &str,
    timeout: Duration,
    out: &mut impl Write,
    err: &mut impl Write,
) -> ExitCode {
    let asked = printable::line(address);
    let waiting =
        Progress::start(move |passed| format!("waiting for {asked}: {} s", passed.as_secs()));
    let answer = tokio::time::timeout(timeout, check(address, security, service, timeout)).await;
    drop(waiting);
    let status = match answer {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => {
            // The exit code says it too, should standard error be gone.
            let _ = match failure {
                Failure::Connect(error) => writeln!(err, "{ERROR}error:{ERROR:#} {error}"),
                Failure::Answer(status) => print_error::print(&status, err),
            };
            return ExitCode::FAILURE;
        }
        Err(_) => {
            let shown = humantime::format_duration(timeout);
            let _ = writeln!(
                err,
                "{ERROR}error:{ERROR:#} {address} did not answer within {shown}"
            );
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(out, "{}", status.as_str_name()).and_then(|()| out.flush());
    match status {
        ServingStatus::Serving => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A status that was made on this side names what happened to the connection.
async fn in_words(status: Status, address: &Address, security: &Security) -> Status {
    match status.source().map(innermost) {
        Some(cause) => {
            let cause = explained(address.as_str(), security, &cause).await;
            Status::new(status.code(), format!("the connection broke: {cause}"))
        }
        None => status,
    }
}

enum Failure {
    Connect(ConnectError),
    Answer(Status),
}

async fn check(
    address: &str,
    security: &Security,
    service: &str,
    timeout: Duration,
) -> Result<ServingStatus, Failure> {
    let address = Address::parse(address).map_err(Failure::Connect)?;
    let channel = connect(&address, security, timeout)
        .await
        .map_err(Failure::Connect)?;
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    match HealthClient::new(channel).check(request).await {
        Ok(answer) => Ok(answer.into_inner().status()),
        // What Check says of a service that was never registered; Watch calls it SERVICE_UNKNOWN.
        Err(status) if status.code() == Code::NotFound => Ok(ServingStatus::ServiceUnknown),
        Err(status) => Err(Failure::Answer(in_words(status, &address, security).await)),
    }
}
