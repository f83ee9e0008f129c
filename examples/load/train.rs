//! The training: calls of every kind, most of them in a crowd, for a profile of where time goes.
//!
//! The gateway under it was built to count (deploy/image/profile); it writes what it has counted when it
//! ends. Nothing is measured here.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;
use identity_gateway::proto::{
    identity::v1::{ScrubKenyaIdRequest, identity_service_client::IdentityServiceClient},
    person::v1::{
        CreatePersonRequest, GetPersonRequest, ListPersonsRequest, Person,
        person_service_client::PersonServiceClient,
    },
};
use tonic::{Code, Status};

use crate::{
    Failed,
    document::Documents,
    figures::say,
    lookups::{kenya, mexico, peru},
    provider,
    stage::{Caller, Stage},
    subjects::Kind,
};

/// Numbers that are asked for again and again, from the cache.
const KEPT: u64 = 500;
/// Bytes of a certified PDF.
const DOCUMENT: u64 = 60_000;

/// No class of fields is granted.
const NARROW: &str = "[[allow]]\nname = \"backend\"\nidentities = [\"backend\"]\nrpcs = [\"*\"]\npersons = \"all\"\n";

/// What can be said of a run.
#[derive(Args)]
pub struct Options {
    /// Seconds for each kind of call and each number of callers
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

impl Options {
    /// When a run is given up.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) * 40 + Duration::from_secs(120)
    }
}

/// Runs.
pub async fn run(gateway: &Path, options: &Options) -> Result<(), Failed> {
    let seconds = Duration::from_secs(u64::from(options.seconds));
    let found = provider::found(Duration::ZERO).await?;
    let directory = tempfile::tempdir()?;
    // Callers may see little, as they should: what they may not is taken out of the answers.
    let policy = directory.path().join("narrow.toml");
    std::fs::write(&policy, NARROW)?;
    let narrow = [("AUTH__POLICY_FILE", policy.display().to_string())];
    let stage = start(gateway, directory.path(), &found, &narrow, seconds).await?;
    // Crowds count twice. What waits for many at once and what comes alone take other ways through the runtime.
    for callers in [64, 64, 1] {
        tell("Kenya", callers);
        stage
            .load(callers, |n, caller| kenya(n, caller, false))
            .await?;
        tell("Peru", callers);
        stage.load(callers, peru).await?;
        tell("Mexico", callers);
        stage
            .load(callers, |n, caller| mexico(n, caller, false))
            .await?;
        tell("from the cache", callers);
        stage
            .load(callers, |n, caller| kenya(n % KEPT, caller, true))
            .await?;
        tell("refused", callers);
        stage.load(callers, refused).await?;
    }
    stage.end().await?;

    let directory = tempfile::tempdir()?;
    let stage = start(gateway, directory.path(), &found, &[], seconds).await?;
    tell("Kenya, all of it", 64);
    stage.load(64, |n, caller| kenya(n, caller, false)).await?;
    stage
        .load(64, |n, caller| kenya(n % KEPT, caller, true))
        .await?;
    stage.end().await?;

    let documents = Documents::start().await?;
    documents.are(DOCUMENT);
    let directory = tempfile::tempdir()?;
    let stage = start(gateway, directory.path(), &documents.url, &[], seconds).await?;
    for asked_for in [false, true] {
        tell("Mexico with a document", 16);
        stage
            .load(16, |n, caller| mexico(n, caller, asked_for))
            .await?;
    }
    stage.end().await?;

    let sandbox = provider::sandbox().await?;
    let directory = tempfile::tempdir()?;
    let stage = start(gateway, directory.path(), &sandbox, &[], seconds).await?;
    // It knows none of them: not found.
    tell("not found", 16);
    stage.load(16, |n, caller| kenya(n, caller, false)).await?;
    stage.load(16, |n, caller| mexico(n, caller, false)).await?;
    tell("persons", 8);
    stage.load(8, persons).await?;
    stage.end().await
}

fn tell(what: &str, callers: u64) {
    say(&format!("train: {what}, {callers} at a time"));
}

async fn start(
    gateway: &Path,
    directory: &Path,
    providers: &str,
    settings: &[(&str, String)],
    seconds: Duration,
) -> Result<Stage, Failed> {
    let begun = Instant::now();
    let stage = Stage::gateway(gateway, directory, providers, settings, seconds).await?;
    say(&format!(
        "train: started in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(stage)
}

/// A request that no provider ever sees.
async fn refused(_: u64, caller: Caller) -> Result<(), Status> {
    let request = ScrubKenyaIdRequest::default();
    let mut client = IdentityServiceClient::new(caller);
    match client.scrub_kenya_id(request).await {
        Err(status) if status.code() == Code::InvalidArgument => Ok(()),
        Err(status) => Err(status),
        Ok(_) => Err(Status::internal("was not refused")),
    }
}

/// A person is made, read, and found in a page.
async fn persons(n: u64, caller: Caller) -> Result<(), Status> {
    let mut client = PersonServiceClient::new(caller);
    let request = CreatePersonRequest {
        person: Some(Person {
            given_name: Some("INES".to_owned()),
            family_name: Some("PRUEBA FICTICIA".to_owned()),
            document_type: Some("DNI".to_owned()),
            document_number: Some(Kind::Create.identifier(n)),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = client.create_person(request).await?.into_inner();
    let id = made.person.unwrap_or_default().id;
    client
        .get_person(GetPersonRequest {
            id,
            ..Default::default()
        })
        .await?;
    let page = ListPersonsRequest {
        page_size: 10,
        ..Default::default()
    };
    client.list_persons(page).await.map(drop)
}
