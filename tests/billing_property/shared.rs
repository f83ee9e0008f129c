//! The same asked by many, of every RPC: calls in flight are joined, answers are kept, creates have
//! request ids, callers give up, and with a Redis there are two replicas of which one is killed on the way.
//!
//! For each subject the ledger is held against all that its callers were told:
//!
//! - a create with a request id is charged once at most, and everybody who is told a person is told the same;
//! - each request that may be charged has a caller of its own who was told so, or who was told nothing; or its first
//!   caller gave up before it left and was told so, and who had joined was told the cost;
//! - if all were told that it was free, nothing was charged;
//! - who reads persons is told that it was free, and is shown no other person.
// Long: one model of what may be charged, held against every way to share an answer.

use std::sync::Arc;

use identity_gateway::proto::{
    identity::v1::{
        KenyaIdType, ScrubKenyaIdRequest, Source, Verification, VerifyPeForeignerIdRequest,
    },
    person::v1::{
        BiometricData, CreatePersonRequest, CreatePersonWithLivenessRequest, DeletePersonRequest,
        GetPersonRequest, ListPersonsRequest, Person, UpdatePersonRequest,
        person_service_client::PersonServiceClient,
    },
};
use prost_types::FieldMask;
use uuid::Uuid;

use super::*;
use crate::kit::redis_server::{Redis, redis};

const SUBJECTS: usize = 240;
const CALLS_OF_ONE: usize = 6;
/// Within which all calls begin.
const SPREAD: Duration = Duration::from_secs(4);
/// Of the provider.
const TIMEOUT: Duration = Duration::from_secs(1);
/// When the one replica is killed.
const KILLED: Duration = Duration::from_millis(2500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Curp,
    Kenya,
    Foreigner,
    Create,
    CreateWithLiveness,
    Update,
    Delete,
    Get,
    List,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Curp,
        Self::Kenya,
        Self::Foreigner,
        Self::Create,
        Self::CreateWithLiveness,
        Self::Update,
        Self::Delete,
        Self::Get,
        Self::List,
    ];

    fn is_create(self) -> bool {
        matches!(self, Self::Create | Self::CreateWithLiveness)
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List)
    }

    /// What the provider's script knows the subject by.
    fn key(self, number: usize, rng: &mut Rng) -> String {
        match self {
            Self::Curp => super::number(rng),
            Self::Kenya => format!("{}", 10_000_000 + number),
            Self::Foreigner => format!("{:09}", 700_000_000 + number),
            Self::Create | Self::CreateWithLiveness => format!("NAME{}", letters(number)),
            Self::Update | Self::Delete => format!("person_{number}"),
            Self::Get => format!("read_{number}"),
            // The size of its pages.
            Self::List => format!("list_{}", number + 1),
        }
    }
}

fn letters(mut number: usize) -> String {
    let mut text = String::new();
    for _ in 0..4 {
        text.push(char::from(b'A' + u8::try_from(number % 26).unwrap()));
        number /= 26;
    }
    text
}

/// What one of several who ask the same does.
#[derive(Clone, Debug)]
struct Call {
    kind: Kind,
    key: String,
    request_id: String,
    at: Duration,
    replica: usize,
    patience: Patience,
    max_age: Option<i64>,
}

/// What it was told: the cost, whether the provider was asked for it, and the person.
#[derive(Debug)]
struct Answer {
    told: Told,
    is_shared: bool,
    /// Whether its deadline passed before anything had left.
    gave_up: bool,
    person: Option<String>,
}

type Channel = Client<HttpConnector, Body>;

#[derive(Clone)]
struct Replica {
    identity: Caller,
    persons: PersonServiceClient<Channel>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shared_is_charged_once_and_told_to_whoever_may_have_caused_it() {
    run(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_two_replicas_too_also_if_one_is_killed() {
    let Some(redis) = redis().await else { return };
    run(Some(&redis)).await;
}

async fn run(redis: Option<&Redis>) {
    let _alone = ALONE.lock().await;
    let seed = std::env::var("BILLING_SEED");
    let seed = seed.map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("BILLING_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let replicas = if redis.is_some() { 2 } else { 1 };
    let (mut scripts, mut calls) = (HashMap::new(), Vec::new());
    for number in 0..SUBJECTS {
        let kind = Kind::ALL[rng.usize(..Kind::ALL.len())];
        let key = kind.key(number, &mut rng);
        let steps = (0..4).map(|_| Step::random(&mut rng, 0));
        scripts.insert(key.clone(), steps.collect());
        let request_id = Uuid::now_v7().to_string();
        let begin = rng.u64(..1000);
        let own = matches!(kind, Kind::Update | Kind::Delete);
        for _ in 0..if own { 1 } else { CALLS_OF_ONE } {
            // Many come at nearly the same moment, the others later.
            let at = begin
                + if rng.bool() {
                    rng.u64(..30)
                } else {
                    rng.u64(..3000)
                };
            calls.push(Call {
                kind,
                key: key.clone(),
                request_id: request_id.clone(),
                at: Duration::from_millis(at).min(SPREAD),
                replica: rng.usize(..replicas),
                patience: Patience::random(&mut rng),
                max_age: rng.bool().then_some(60),
            });
        }
    }
    let speaks = if rng.bool() {
        Speaks::Http1
    } else {
        Speaks::Http2
    };
    println!("the provider speaks {speaks:?}");
    let provider = Provider::start(speaks, scripts, Greed::AsDocumented, seed).await;
    // A process of its own, as far as tasks go.
    let doomed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut clients = vec![start(&provider, redis).await];
    if redis.is_some() {
        let settings = settings(&provider, redis);
        let (tell, told) = tokio::sync::oneshot::channel();
        doomed.spawn(async move {
            let serving = server::bind(&settings).await.unwrap();
            tell.send(serving.grpc_address).unwrap();
            serving.run(&settings, || ()).await.unwrap();
        });
        clients.push(connect(told.await.unwrap()));
        // Both have reached their Redis.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let clients = Arc::new(clients);
    let kills = redis.is_some();
    let killer = tokio::spawn(async move {
        tokio::time::sleep(KILLED).await;
        match kills {
            true => doomed.shutdown_background(),
            false => std::mem::forget(doomed),
        }
    });
    let told = calls.into_iter().map(|call| {
        let clients = Arc::clone(&clients);
        tokio::spawn(async move {
            tokio::time::sleep(call.at).await;
            let answer = ask(&clients[call.replica], &call).await;
            (call, answer)
        })
    });
    let mut by_subject = HashMap::<String, Vec<(Call, Answer)>>::new();
    for told in told.collect::<Vec<_>>() {
        let (call, answer) = told.await.unwrap();
        let subject = by_subject.entry(call.key.clone()).or_default();
        subject.push((call, answer));
    }
    killer.await.unwrap();
    // What callers left running ends within the provider's time.
    tokio::time::sleep(2 * TIMEOUT).await;
    let ledger = std::mem::take(&mut *provider.ledger.lock().unwrap());
    let (mut received, mut shared) = (0, 0);
    for (key, told) in &by_subject {
        let requests = ledger.get(key).map_or(&[][..], Vec::as_slice);
        received += requests.len();
        shared += told.iter().filter(|(_, answer)| answer.is_shared).count();
        check(requests, told);
    }
    let mut summary = std::collections::BTreeMap::<_, usize>::new();
    for (call, answer) in by_subject.values().flatten() {
        let row = format!(
            "{:?} {:?} shared {}",
            call.kind, answer.told, answer.is_shared
        );
        *summary.entry(row).or_default() += 1;
    }
    println!("{received} requests received, {shared} calls shared, {summary:#?}");
    assert!(received > SUBJECTS / 3 && shared >= 5, "most met nothing");
}

fn check(requests: &[(Step, bool)], told: &[(Call, Answer)]) {
    let case = || format!("received {requests:?}, told {told:#?}");
    let (first, _) = &told[0];
    if first.kind.is_read() {
        for (_, answer) in told {
            let is_free = matches!(answer.told, Told::NotBilled | Told::Nothing);
            let person = answer.person.as_ref();
            assert!(
                is_free && person.is_none_or(|id| *id == first.key),
                "{}",
                case()
            );
        }
        assert!(requests.iter().all(|(_, charged)| !charged), "{}", case());
        return;
    }
    let costly = |(step, charged): &&(Step, bool)| !step.is_free() || *charged;
    let costly = requests.iter().filter(costly).count();
    let said = |wanted| {
        told.iter()
            .filter(|(_, answer)| answer.told == wanted)
            .count()
    };
    let (nothing, billed) = (said(Told::Nothing), said(Told::Billed));
    let owns_up = |(_, answer): &&(Call, Answer)| {
        matches!(answer.told, Told::Billed | Told::Unknown) && !answer.is_shared
    };
    let owned_up = told.iter().filter(owns_up).count();
    // A flight goes on for those who joined it.
    let joined = told
        .iter()
        .any(|(_, answer)| answer.is_shared && matches!(answer.told, Told::Billed | Told::Unknown));
    let gave_up = told.iter().filter(|(_, answer)| answer.gave_up).count();
    let inherited = if joined { gave_up } else { 0 };
    assert!(
        costly <= owned_up + nothing + inherited,
        "{costly}: {}",
        case()
    );
    if said(Told::NotBilled) == told.len() {
        assert_eq!(costly, 0, "{}", case());
    }
    assert!(billed == 0 || costly > 0, "{}", case());
    let persons: HashSet<_> = told
        .iter()
        .filter_map(|(_, answer)| answer.person.as_ref())
        .collect();
    let kind = first.kind;
    if kind.is_create() {
        assert!(costly <= 1, "created twice: {}", case());
        assert!(persons.len() <= 1, "{}", case());
        assert!(persons.is_empty() || costly == 1, "{}", case());
    }
    if matches!(kind, Kind::Update | Kind::Delete) {
        assert!(costly <= 1, "written twice: {}", case());
    }
}

async fn ask(replica: &Replica, call: &Call) -> Answer {
    let mut identity = replica.identity.clone();
    let mut persons = replica.persons.clone();
    let max_age = call
        .max_age
        .map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let key = call.key.clone();
    let person = Person {
        given_name: Some(key.clone()),
        family_name: Some("ARCE".to_owned()),
        ..Person::default()
    };
    let request_id = call.request_id.clone();
    match call.kind {
        Kind::Curp => {
            let request = CheckCurpRequest {
                curp: key,
                max_age,
                ..CheckCurpRequest::default()
            };
            looked_up(call, request, async |request| {
                Ok(identity
                    .check_curp(request)
                    .await?
                    .into_inner()
                    .verification)
            })
            .await
        }
        Kind::Kenya => {
            let request = ScrubKenyaIdRequest {
                id: key,
                id_type: KenyaIdType::NationalId.into(),
                subject_consent: true,
                max_age,
                ..ScrubKenyaIdRequest::default()
            };
            looked_up(call, request, async |request| {
                Ok(identity
                    .scrub_kenya_id(request)
                    .await?
                    .into_inner()
                    .verification)
            })
            .await
        }
        Kind::Foreigner => {
            let request = VerifyPeForeignerIdRequest {
                document_number: key,
                birthdate: "1993-08-16".to_owned(),
                max_age,
                ..VerifyPeForeignerIdRequest::default()
            };
            looked_up(call, request, async |request| {
                Ok(identity
                    .verify_pe_foreigner_id(request)
                    .await?
                    .into_inner()
                    .verification)
            })
            .await
        }
        Kind::Create => {
            let request = CreatePersonRequest {
                person: Some(person),
                request_id,
            };
            written(call, request, async |request| {
                Ok(persons.create_person(request).await?.into_inner().person)
            })
            .await
        }
        Kind::CreateWithLiveness => {
            let face = BiometricData {
                face_image: Some(vec![0xff, 0xd8, 0xff, 0xe0].into()),
                ..BiometricData::default()
            };
            let person = Some(Person {
                biometric_data: Some(face),
                ..person
            });
            let request = CreatePersonWithLivenessRequest { person, request_id };
            written(call, request, async |request| {
                Ok(persons
                    .create_person_with_liveness(request)
                    .await?
                    .into_inner()
                    .person)
            })
            .await
        }
        Kind::Update => {
            let person = Person {
                id: key,
                given_name: Some("EVA".to_owned()),
                ..Person::default()
            };
            let update_mask = Some(FieldMask {
                paths: vec!["given_name".to_owned()],
            });
            let request = UpdatePersonRequest {
                person: Some(person),
                update_mask,
            };
            written(call, request, async |request| {
                Ok(persons.update_person(request).await?.into_inner().person)
            })
            .await
        }
        Kind::Get => {
            let request = GetPersonRequest {
                id: key,
                ..GetPersonRequest::default()
            };
            read(call, request, async |request| {
                Ok(persons.get_person(request).await?.into_inner().person)
            })
            .await
        }
        Kind::List => {
            let request = ListPersonsRequest {
                page_size: key["list_".len()..].parse().unwrap(),
                ..ListPersonsRequest::default()
            };
            read(call, request, async |request| {
                let mut list = persons.list_persons(request).await?.into_inner();
                Ok(list.persons.pop())
            })
            .await
        }
        Kind::Delete => {
            let request = DeletePersonRequest { id: key };
            written(call, request, async |request| {
                persons.delete_person(request).await?;
                Ok(None)
            })
            .await
        }
    }
}

async fn looked_up<R>(
    call: &Call,
    request: R,
    send: impl AsyncFnOnce(Request<R>) -> Result<Option<Verification>, Status>,
) -> Answer {
    patiently(call, request, send, |verification| {
        let verification = verification.unwrap();
        Answer {
            told: match verification.billing() {
                Billing::Billed => Told::Billed,
                Billing::NotBilled => Told::NotBilled,
                Billing::Unknown | Billing::Unspecified => Told::Unknown,
            },
            is_shared: verification.source() != Source::Provider,
            gave_up: false,
            person: None,
        }
    })
    .await
}

async fn written<R>(
    call: &Call,
    request: R,
    send: impl AsyncFnOnce(Request<R>) -> Result<Option<Person>, Status>,
) -> Answer {
    patiently(call, request, send, |person| Answer {
        told: Told::Unknown,
        is_shared: false,
        gave_up: false,
        person: person.map(|person| person.id),
    })
    .await
}

async fn read<R>(
    call: &Call,
    request: R,
    send: impl AsyncFnOnce(Request<R>) -> Result<Option<Person>, Status>,
) -> Answer {
    patiently(call, request, send, |person| Answer {
        told: Told::NotBilled,
        is_shared: false,
        gave_up: false,
        person: person.map(|person| person.id),
    })
    .await
}

/// Sends it, until the caller's patience ends.
async fn patiently<R, T>(
    call: &Call,
    request: R,
    send: impl AsyncFnOnce(Request<R>) -> Result<T, Status>,
    read: impl FnOnce(T) -> Answer,
) -> Answer {
    let told = |told| Answer {
        told,
        is_shared: false,
        gave_up: false,
        person: None,
    };
    let mut request = Request::new(request);
    if let Patience::Deadline(deadline) = call.patience {
        request.set_timeout(deadline);
    }
    let limit = match call.patience {
        Patience::Cancels(time) => time,
        _ => Duration::from_secs(60),
    };
    match tokio::time::timeout(limit, send(request)).await {
        Ok(Ok(answer)) => read(answer),
        // The replica that was killed.
        Ok(Err(status)) if status.get_details_error_info().is_none() && call.replica == 1 => {
            told(Told::Nothing)
        }
        Ok(Err(status)) => {
            let answer = told(heard(&status));
            let gave_up = answer.told == Told::NotBilled && status.code() == Code::DeadlineExceeded;
            Answer { gave_up, ..answer }
        }
        Err(_elapsed) => {
            assert!(
                matches!(call.patience, Patience::Cancels(_)),
                "a call hangs: {call:?}"
            );
            told(Told::Nothing)
        }
    }
}

fn settings(provider: &Provider, redis: Option<&Redis>) -> Settings {
    let mut settings = Settings::default();
    settings.server.listen = "127.0.0.1:0".parse().unwrap();
    settings.admin.listen = settings.server.listen;
    settings.curp.check = CurpCheck::Shape;
    if let Some(redis) = redis {
        redis.shared()(&mut settings);
    }
    let Provider { url, ca_file, .. } = provider;
    let secret = || Some(Secret::new("secret"));
    macro_rules! configure {
        ($($provider:ident),*) => {$(
            let provider = &mut settings.providers.$provider;
            provider.base_url = url.parse().unwrap();
            provider.ca_file.clone_from(ca_file);
            provider.timeout = Span::new(TIMEOUT);
            provider.breaker_consecutive_failures = 0;
            provider.breaker_minimum_calls = 1_000_000;
        )*};
    }
    configure!(verifik, youverify, accuauth);
    settings.providers.verifik.token = secret();
    settings.providers.youverify.token = secret();
    settings.providers.accuauth.api_id = secret();
    settings.providers.accuauth.api_secret = secret();
    settings
}

async fn start(provider: &Provider, redis: Option<&Redis>) -> Replica {
    let settings = settings(provider, redis);
    let serving = server::bind(&settings).await.unwrap();
    let address = serving.grpc_address;
    tokio::spawn(async move { serving.run(&settings, || ()).await.unwrap() });
    connect(address)
}

fn connect(address: std::net::SocketAddr) -> Replica {
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.http2_only(true).build_http();
    let origin: http::Uri = format!("http://{address}").parse().unwrap();
    Replica {
        identity: Caller::with_origin(client.clone(), origin.clone()),
        persons: PersonServiceClient::with_origin(client, origin),
    }
}
