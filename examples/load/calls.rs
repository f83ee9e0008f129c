//! The calls of the chaos run: each number one lookup, or one create that is asked for three times.

use std::time::{Duration, Instant};

use identity_gateway::proto::person::v1::{
    CreatePersonRequest, Person, person_service_client::PersonServiceClient,
};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use crate::{answer::Answer, faults::Schedule, question::Question, subjects::Kind};

/// The deadline of a create's first caller that gives up before a delayed provider answers.
const IMPATIENT: Duration = Duration::from_millis(100);
/// A caller that hangs up without waiting for its deadline does so within this.
const HANGS_UP: u64 = 300;

/// The answers to call number `n`: one, or for a create those of the first and of its repeats.
pub struct Asked {
    /// The number.
    pub n: u64,
    /// The answers, in the order they were asked for.
    pub answers: Vec<Answer>,
}

/// Callers behind one connection to Envoy.
#[derive(Clone)]
pub struct Callers {
    /// The connection.
    pub channel: Channel,
    /// Who is impatient, who asks for retries, when repeats come.
    pub schedule: Schedule,
}

impl Callers {
    /// Makes call number `n` if it is a lookup, as soon as possible.
    pub async fn warm_up(&self, n: u64) {
        let kind = Kind::of(n);
        if kind != Kind::Create {
            let _measured = self.look_up(kind, n, self.schedule.deadline(n, 22)).await;
        }
    }

    /// Makes call number `n`.
    pub async fn ask(self, n: u64, due: Instant) -> Asked {
        let answers = match Kind::of(n) {
            Kind::Create => self.create(n, due).await,
            kind => vec![self.look_up_once(kind, n, due).await],
        };
        Asked { n, answers }
    }

    /// One caller in twenty hangs up, once the faults have begun.
    async fn look_up_once(&self, kind: Kind, n: u64, due: Instant) -> Answer {
        let deadline = self.schedule.deadline(n, 22);
        let call = self.look_up(kind, n, deadline);
        if n < self.schedule.from || !self.schedule.chance(n, 23, 20) {
            return Answer::of(due, deadline, call).await;
        }
        let patience = Duration::from_millis(self.schedule.roll(n, 24) % HANGS_UP).min(deadline);
        Answer::of(due, patience, hang_up_after(patience, call)).await
    }

    async fn look_up(&self, kind: Kind, n: u64, deadline: Duration) -> Result<String, Status> {
        let question = Question::about(kind, n)?;
        let head = self.request(n, deadline, ());
        question.ask(self.channel.clone(), head).await?;
        Ok(String::new())
    }

    /// The first, one that comes while it runs, and one a second later. Envoy's round robin sends
    /// them to different instances. A third of the first gives up after 100 ms.
    async fn create(&self, n: u64, due: Instant) -> Vec<Answer> {
        let soon = Duration::from_millis(self.schedule.roll(n, 3) % 50);
        let later = Duration::from_millis(1000 + self.schedule.roll(n, 4) % 1000);
        let impatient = n >= self.schedule.from && self.schedule.chance(n, 2, 3);
        let first = match impatient {
            true => IMPATIENT,
            false => self.schedule.deadline(n, 25),
        };
        let (first, second, third) = tokio::join!(
            self.create_once(n, due, first),
            self.create_once(n, due + soon, self.schedule.deadline(n, 26)),
            self.create_once(n, due + later, self.schedule.deadline(n, 27)),
        );
        vec![first, second, third]
    }

    async fn create_once(&self, n: u64, due: Instant, deadline: Duration) -> Answer {
        tokio::time::sleep_until(due.into()).await;
        let number = Kind::Create.identifier(n);
        let (high, low) = (self.schedule.roll(n, 5), self.schedule.roll(n, 6));
        let request = CreatePersonRequest {
            person: Some(Person {
                given_name: Some("INES".to_owned()),
                family_name: Some("PRUEBA FICTICIA".to_owned()),
                document_type: Some("DNI".to_owned()),
                document_number: Some(number),
                ..Default::default()
            }),
            request_id: uuid::Uuid::from_u64_pair(high, low).to_string(),
        };
        let request = self.request(n, deadline, request);
        let mut client = PersonServiceClient::new(self.channel.clone());
        let call = async {
            let answer = client.create_person(request).await?.into_inner();
            Ok(answer.person.unwrap_or_default().id)
        };
        Answer::of(due, deadline, call).await
    }

    /// Every second call asks Envoy to repeat what the contract lets standard clients repeat. None
    /// does before the faults begin: leaving in order needs no second try.
    fn request<T>(&self, n: u64, deadline: Duration, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        if n >= self.schedule.from && self.schedule.chance(n, 7, 2) {
            let yes = MetadataValue::from_static("yes");
            request.metadata_mut().insert("x-load-retries", yes);
        }
        request
    }
}

/// Drops a call that is not answered in time, as a caller does that has lost its patience.
pub async fn hang_up_after<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let hung_up = |_| Status::cancelled("the caller hung up");
    tokio::time::timeout(patience, call)
        .await
        .map_err(hung_up)?
}
