//! `idgw.person.v1.PersonService`.

use std::sync::Arc;

use prost::{Message as _, bytes::Bytes};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    charged,
    gateway::Gateway,
    person_fields::created,
    person_ids::{Named, owner, told},
    reply,
    request_ids::{self, Asked, Fingerprint},
    routes::{Route, configured},
};
use crate::{
    audit::words::PURPOSE,
    call::Call,
    domain::{
        date,
        failure::Failure,
        person::{self, FieldChange, PersonField, PersonId, View},
        verification::{Provider, Source},
        violation::Violations,
    },
    policy::{Policy, PolicyError},
    proto::person::v1::{
        CreatePersonRequest, CreatePersonResponse, CreatePersonWithLivenessRequest,
        CreatePersonWithLivenessResponse, DeletePersonRequest, DeletePersonResponse,
        GetPersonRequest, GetPersonResponse, ListPersonsRequest, ListPersonsResponse, Person,
        PersonView, UpdatePersonRequest, UpdatePersonResponse,
        person_service_server::PersonService,
    },
    provider::verifik::{Verifik, persons::Creation},
    sharing::once::{How, Outcome},
    transport::{Priced as _, Progress},
};

/// `person.biometric_data` in the answer of `GetPerson`, and `persons.biometric_data` in that of
/// `ListPersons`, by field numbers.
const IMAGES: [u32; 2] = [1, 9];

/// The service.
#[derive(Debug)]
pub struct Persons {
    pub(super) gateway: Arc<Gateway>,
    create: Policy,
    create_with_liveness: Policy,
    pub(super) get: Policy,
    pub(super) list: Policy,
    pub(super) update: Policy,
    delete: Policy,
}

/// A create that passed its checks.
struct Create {
    creation: Creation,
    fields: Vec<FieldChange>,
    request_id: Option<Uuid>,
    fingerprint: Fingerprint,
}

impl Persons {
    /// The service over its gateway.
    ///
    /// # Errors
    ///
    /// If an RPC has no policy.
    pub fn new(gateway: Arc<Gateway>) -> Result<Self, PolicyError> {
        let policy = |rpc| gateway.policy(&format!("idgw.person.v1.PersonService/{rpc}"));
        Ok(Self {
            create: policy("CreatePerson")?,
            create_with_liveness: policy("CreatePersonWithLiveness")?,
            get: policy("GetPerson")?,
            list: policy("ListPersons")?,
            update: policy("UpdatePerson")?,
            delete: policy("DeletePerson")?,
            gateway,
        })
    }

    pub(super) fn verifik(&self, call: &Call) -> Result<&Route<Verifik>, Failure> {
        call.facts.asks(Provider::Verifik);
        configured(&self.gateway.verifik)
    }

    /// Begins the record of a call about a person. One that is not the caller's is recorded too.
    pub(super) fn begin(
        &self,
        call: &Call,
        named: Named,
    ) -> Result<(PersonId, Option<Arc<str>>), Failure> {
        call.facts.asks(Provider::Verifik);
        let identifier = named.id().map(PersonId::identifier);
        call.begin(identifier, None);
        named.usable()
    }

    async fn create(&self, call: Arc<Call>, create: Create) -> Result<Person, Failure> {
        call.begin(person::document(&create.fields), None);
        call.facts.asks(Provider::Verifik);
        call.intend().await?;
        self.verifik(&call)?;
        let policy = match create.creation {
            Creation::Plain => self.create.clone(),
            Creation::WithLiveness => self.create_with_liveness.clone(),
        };
        let (gateway, own) = (Arc::clone(&self.gateway), Arc::clone(&call));
        let run = |shared: Arc<Progress>| async move {
            let route = configured(&gateway.verifik)?;
            let request = route
                .adapter
                .create_request(create.creation, &create.fields);
            let read = |answer: &_| route.adapter.read_created(create.creation, answer);
            let created = route.upstream.call(&shared, &policy, &request, read);
            // Here, because a repeat costs nothing, and the caller may have left by now.
            let created = charged(&own, created).await;
            own.created(&created);
            created
        };
        let (created, source) = match create.request_id {
            None => (run(Arc::clone(&call.progress)).await, Source::Provider),
            Some(id) => {
                let gateway = Arc::clone(&self.gateway);
                let left = move |progress: &Progress| {
                    if let Ok(route) = configured(&gateway.verifik) {
                        route.upstream.left(progress);
                    }
                    None
                };
                let asked = Asked {
                    id: request_ids::of_caller(id, call.caller()),
                    fingerprint: create.fingerprint,
                    provider: Provider::Verifik,
                    lease: self.verifik(&call)?.upstream.longest_call(),
                    left: Box::new(left),
                };
                let told = self.gateway.creates.once(asked, &call, run).await;
                let source = match told.how {
                    How::Ran => Source::Provider,
                    How::Waited => Source::Coalesced,
                    How::Kept => Source::Recovered,
                };
                (told.ended, source)
            }
        };
        call.created(&created);
        if let Ok(person) = &created {
            call.facts.wrote(person.billing(), source);
        }
        told(created?, owner(&call).as_ref(), &self.gateway.handles)
    }

    async fn get(&self, call: &Call, request: GetPersonRequest) -> Result<Person, Failure> {
        let mut bad = Violations::default();
        let handles = &self.gateway.handles;
        let named = bad.check("id", Named::read(&request.id, call, handles));
        let view = bad.check("view", view(request.view));
        let view = view.map(|view| seen(call, view));
        bad.check(PURPOSE, call.purpose());
        let (Some(named), Some(view), true) = (named, view, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let (id, owner) = self.begin(call, named)?;
        call.intend().await?;
        let Route {
            adapter, upstream, ..
        } = self.verifik(call)?;
        let read = |answer: &_| adapter.read_person(answer, view, Some(&id));
        let request = adapter.get_request(&id);
        let person = upstream
            .call(&call.progress, &self.get, &request, read)
            .await?;
        told(person, owner.as_ref(), handles)
    }

    async fn delete(
        &self,
        call: &Call,
        request: DeletePersonRequest,
    ) -> Result<DeletePersonResponse, Failure> {
        let mut bad = Violations::default();
        let handles = &self.gateway.handles;
        let named = bad.check("id", Named::read(&request.id, call, handles));
        bad.check(PURPOSE, call.purpose());
        let (Some(named), true) = (named, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let (id, _) = self.begin(call, named)?;
        call.intend().await?;
        let Route {
            adapter, upstream, ..
        } = self.verifik(call)?;
        let read = |answer: &_| adapter.read_deleted(answer);
        let request = adapter.delete_request(&id);
        let deleted = async {
            let _turn = self.turn(&id).await?;
            upstream
                .call(&call.progress, &self.delete, &request, read)
                .await
        };
        charged(call, deleted).await?;
        // What it costs: nothing of the answer says it.
        call.facts.wrote(().billing(), Source::Provider);
        Ok(DeletePersonResponse {})
    }
}

/// A create that was refused created nobody: its id may be used again, whatever the refusal cost.
impl Outcome for Person {
    fn encode(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        <Self as prost::Message>::decode(bytes).ok()
    }

    fn size(&self) -> usize {
        self.encoded_len()
    }

    fn frees_the_id(failure: &Failure) -> bool {
        !failure.leaves_outcome_unknown()
    }
}

fn check_create(
    call: &Call,
    creation: Creation,
    person: Option<&Person>,
    request_id: &str,
) -> Result<Create, Failure> {
    let mut bad = Violations::default();
    let (method, required): (_, &[_]) = match creation {
        Creation::Plain => ("CreatePerson", &[]),
        Creation::WithLiveness => ("CreatePersonWithLiveness", &[PersonField::FaceImage]),
    };
    let absent = Person::default();
    let person = person.unwrap_or(&absent);
    let fields = created(&mut bad, person, required, date::today());
    check_writable(&mut bad, call, &fields);
    bad.check(PURPOSE, call.purpose());
    let request_id = bad.check("request_id", request_ids::parse(request_id));
    match (request_id, bad.is_empty()) {
        (Some(request_id), true) => Ok(Create {
            creation,
            fields,
            request_id,
            fingerprint: Fingerprint::of(method, &person.encode_to_vec()),
        }),
        _ => Err(Failure::invalid(bad.into_vec())),
    }
}

/// What a caller may not see it may not write either: it would overwrite what it does not know.
pub(super) fn check_writable(bad: &mut Violations, call: &Call, changes: &[FieldChange]) {
    for (field, _) in changes {
        if !call.visible().has(field.numbers()) {
            bad.add(
                field.path(),
                "cannot be written by a caller that cannot read it",
            );
        }
    }
}

pub(super) fn view(view: i32) -> Result<View, &'static str> {
    match PersonView::try_from(view) {
        Ok(PersonView::Unspecified | PersonView::Basic) => Ok(View::Basic),
        Ok(PersonView::Full) => Ok(View::Full),
        Err(_) => Err("must be a known view"),
    }
}

/// Images that the caller may not see are not decoded for it.
pub(super) fn seen(call: &Call, view: View) -> View {
    match call.visible().has(&IMAGES) {
        true => view,
        false => View::Basic,
    }
}

#[tonic::async_trait]
impl PersonService for Persons {
    async fn create_person(
        &self,
        request: Request<CreatePersonRequest>,
    ) -> Result<Response<CreatePersonResponse>, Status> {
        let call = Call::of(request.extensions());
        let request = request.into_inner();
        let created = async {
            let person = request.person.as_ref();
            let create = check_create(&call, Creation::Plain, person, &request.request_id)?;
            let person = Some(self.create(Arc::clone(&call), create).await?);
            Ok(CreatePersonResponse { person })
        };
        reply(&call, created.await)
    }

    async fn create_person_with_liveness(
        &self,
        request: Request<CreatePersonWithLivenessRequest>,
    ) -> Result<Response<CreatePersonWithLivenessResponse>, Status> {
        let call = Call::of(request.extensions());
        let request = request.into_inner();
        let created = async {
            let person = request.person.as_ref();
            let create = check_create(&call, Creation::WithLiveness, person, &request.request_id)?;
            let person = Some(self.create(Arc::clone(&call), create).await?);
            Ok(CreatePersonWithLivenessResponse { person })
        };
        reply(&call, created.await)
    }

    async fn get_person(
        &self,
        request: Request<GetPersonRequest>,
    ) -> Result<Response<GetPersonResponse>, Status> {
        let call = Call::of(request.extensions());
        let person = self.get(&call, request.into_inner()).await;
        reply(
            &call,
            person.map(|person| GetPersonResponse {
                person: Some(person),
            }),
        )
    }

    async fn list_persons(
        &self,
        request: Request<ListPersonsRequest>,
    ) -> Result<Response<ListPersonsResponse>, Status> {
        let call = Call::of(request.extensions());
        reply(&call, self.list(&call, request.into_inner()).await)
    }

    async fn update_person(
        &self,
        request: Request<UpdatePersonRequest>,
    ) -> Result<Response<UpdatePersonResponse>, Status> {
        let call = Call::of(request.extensions());
        let person = self.update(&call, request.into_inner()).await;
        reply(
            &call,
            person.map(|person| UpdatePersonResponse {
                person: Some(person),
            }),
        )
    }

    async fn delete_person(
        &self,
        request: Request<DeletePersonRequest>,
    ) -> Result<Response<DeletePersonResponse>, Status> {
        let call = Call::of(request.extensions());
        reply(&call, self.delete(&call, request.into_inner()).await)
    }
}
