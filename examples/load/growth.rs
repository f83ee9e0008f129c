//! The growth run: how the cost of a call, or the memory, grows with each thing that can grow.
//!
//! One thing grows at a time, from one instance's start to its end; what is asked for is what a caller
//! would ask for. Prints a table, and draws it (`--plot`). There is nothing to assert: docs/performance.md
//! says what the figures mean.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use identity_gateway::proto::person::v1::{
    CreatePersonRequest, ListPersonsRequest, Person, person_service_client::PersonServiceClient,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::Status;

use crate::{
    Failed,
    document::Documents,
    figures::say,
    lookups::{kenya, mexico},
    plot::Panel,
    provider,
    stage::{Caller, Stage},
    subjects::Kind,
};

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// Seconds for each point
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// The largest of each thing is divided by this, for a short look
    #[arg(long, default_value_t = 1)]
    smaller: u64,
    /// Where the plot goes
    #[arg(long)]
    plot: Option<PathBuf>,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) * 60 + Duration::from_secs(600)
    }

    /// The numbers up to the largest.
    fn up_to(&self, numbers: &[u64], largest: u64) -> Vec<u64> {
        let largest = largest / self.smaller.max(1);
        let fits = |number: &&u64| **number <= largest;
        numbers.iter().filter(fits).copied().collect()
    }
}

/// Runs, prints the figures, and draws them.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let panels = [
        in_flight(gateway, options).await?,
        answer_sizes(gateway, options).await?,
        connections(gateway, options).await?,
        kept_answers(gateway, options).await?,
        persons(gateway, options).await?,
    ];
    if let Some(path) = &options.plot {
        std::fs::write(path, crate::plot::draw(&panels))?;
        say(&format!("drawn: {}", path.display()));
    }
    Ok(())
}

async fn in_flight(gateway: &Path, options: &Options) -> Result<Panel, Failed> {
    let directory = tempfile::tempdir()?;
    let provider = provider::found(Duration::from_millis(20)).await?;
    let stage = start(gateway, directory.path(), &provider, options).await?;
    let mut panel = Panel::new(
        "calls in flight, provider takes 20 ms",
        "CPU µs a call",
        "MiB",
    );
    for number in options.up_to(&[1, 10, 100, 1000, 2000, 5000, 10_000], 10_000) {
        let point = stage
            .load(number, |n, caller| kenya(n, caller, false))
            .await?;
        panel.add(number, point.cpu_microseconds, point.mib);
        point.tell("calls in flight", number);
    }
    Ok(panel)
}

async fn answer_sizes(gateway: &Path, options: &Options) -> Result<Panel, Failed> {
    let directory = tempfile::tempdir()?;
    let documents = Documents::start().await?;
    let stage = start(gateway, directory.path(), &documents.url, options).await?;
    let mut panel = Panel::new(
        "bytes of an answer, its document asked for",
        "CPU µs a call",
        "MiB",
    );
    for bytes in options.up_to(
        &[1_000, 10_000, 100_000, 1_000_000, 10_000_000, 16_000_000],
        16_000_000,
    ) {
        documents.are(bytes);
        let point = stage.load(4, |n, caller| mexico(n, caller, true)).await?;
        panel.add(bytes, point.cpu_microseconds, point.mib);
        point.tell("bytes of an answer", bytes);
    }
    Ok(panel)
}

async fn connections(gateway: &Path, options: &Options) -> Result<Panel, Failed> {
    let directory = tempfile::tempdir()?;
    let provider = provider::found(Duration::ZERO).await?;
    let stage = start(gateway, directory.path(), &provider, options).await?;
    let mut panel = Panel::new("idle connections", "CPU µs a call", "MiB");
    let mut open = Vec::new();
    for number in options.up_to(&[1, 1000, 2000, 5000, 10_000], 10_000) {
        while u64::try_from(open.len())? < number {
            open.push(idle(stage.at).await?);
        }
        let point = stage.load(8, |n, caller| kenya(n, caller, false)).await?;
        panel.add(number, point.cpu_microseconds, point.mib);
        point.tell("idle connections", number);
    }
    Ok(panel)
}

async fn kept_answers(gateway: &Path, options: &Options) -> Result<Panel, Failed> {
    let directory = tempfile::tempdir()?;
    let provider = provider::found(Duration::ZERO).await?;
    let stage = start(gateway, directory.path(), &provider, options).await?;
    let mut panel = Panel::new("answers in the cache", "CPU µs to fetch", "MiB");
    let mut kept = 0;
    for number in options.up_to(&[1, 1000, 10_000, 50_000, 100_000], 100_000) {
        let point = stage
            .times(number - kept, 64, |n, caller| kenya(kept + n, caller, true))
            .await?;
        kept = number;
        panel.add(number, point.cpu_microseconds, point.mib);
        point.tell("answers in the cache", number);
    }
    Ok(panel)
}

async fn persons(gateway: &Path, options: &Options) -> Result<Panel, Failed> {
    let directory = tempfile::tempdir()?;
    let provider = provider::sandbox().await?;
    let stage = start(gateway, directory.path(), &provider, options).await?;
    stage.times(1000, 16, create).await?;
    let mut panel = Panel::new("persons in a page", "CPU µs a call", "MiB");
    for number in options.up_to(&[1, 10, 100, 1000], 1000) {
        let size = i32::try_from(number)?;
        let list = |_, caller| async move {
            let request = ListPersonsRequest {
                page_size: size,
                ..Default::default()
            };
            let listed = PersonServiceClient::new(caller)
                .list_persons(request)
                .await?;
            match i32::try_from(listed.get_ref().persons.len()) {
                Ok(found) if found == size => Ok(()),
                _ => Err(Status::internal("the page is not full")),
            }
        };
        let point = stage.load(4, list).await?;
        panel.add(number, point.cpu_microseconds, point.mib);
        point.tell("persons in a page", number);
    }
    Ok(panel)
}

/// A gateway with room for all that grows.
async fn start(
    gateway: &Path,
    directory: &Path,
    providers: &str,
    options: &Options,
) -> Result<Stage, Failed> {
    let many = "20000".to_owned();
    let settings = [
        ("SERVER__MAX_IN_FLIGHT", many.clone()),
        ("PROVIDERS__YOUVERIFY__MAX_IN_FLIGHT", many),
        ("PROVIDERS__YOUVERIFY__TIMEOUT", "60s".to_owned()),
        ("PROVIDERS__ACCUAUTH__TIMEOUT", "60s".to_owned()),
        (
            "PROVIDERS__ACCUAUTH__MAX_RESPONSE_BYTES",
            "20000000".to_owned(),
        ),
        ("CACHE__MAX_BYTES", "1000000000".to_owned()),
    ];
    let seconds = Duration::from_secs(u64::from(options.seconds));
    Stage::gateway(gateway, directory, providers, &settings, seconds).await
}

/// A connection that says what a client says first, and nothing more.
async fn idle(at: SocketAddr) -> Result<TcpStream, Failed> {
    let mut connection = TcpStream::connect(at).await?;
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    connection.write_all(settings).await?;
    Ok(connection)
}

async fn create(n: u64, caller: Caller) -> Result<(), Status> {
    let request = CreatePersonRequest {
        person: Some(Person {
            given_name: Some("INES".to_owned()),
            family_name: Some("PRUEBA FICTICIA".to_owned()),
            document_number: Some(Kind::Create.identifier(n)),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut client = PersonServiceClient::new(caller);
    client.create_person(request).await.map(drop)
}
