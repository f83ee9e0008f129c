//! `person.v1.PersonService`.

use std::sync::Arc;

use prost::Message as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    charged, facts_of,
    gateway::{Gateway, Route, configured},
    person_fields::{populated, updated},
    reply,
    request_ids::{self, Fingerprint},
};
use crate::{
    audit::{call as audit, hash::Identifier, words::PURPOSE},
    domain::{
        date,
        failure::Failure,
        page_token::PageToken,
        person::{FieldChange, PersonField, PersonId, View},
        verification::Provider,
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
    provider::verifik::{
        Verifik,
        persons::{Creation, PageQuery},
    },
    telemetry::call_facts::CallFacts,
};

/// `person.biometric_data` in the answer of `GetPerson`, and `persons.biometric_data` in that of
/// `ListPersons`, by field numbers.
const IMAGES: [u32; 2] = [1, 9];
const DEFAULT_PAGE_SIZE: u32 = 50;
const MAX_PAGE_SIZE: u32 = 1000;

/// The service.
#[derive(Debug)]
pub struct Persons {
    gateway: Arc<Gateway>,
    create: Policy,
    create_with_liveness: Policy,
    get: Policy,
    list: Policy,
    update: Policy,
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
        let policy = |rpc| gateway.policy(&format!("person.v1.PersonService/{rpc}"));
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

    fn verifik(&self, facts: &CallFacts) -> Result<&Route<Verifik>, Failure> {
        facts.asks(Provider::Verifik);
        configured(Provider::Verifik, self.gateway.verifik.as_ref())
    }

    async fn create(&self, facts: Arc<CallFacts>, create: Create) -> Result<Person, Failure> {
        audit::begin(&facts, Identifier::Fields(&create.fields), None);
        facts.asks(Provider::Verifik);
        audit::intend(&facts).await?;
        self.verifik(&facts)?;
        let policy = match create.creation {
            Creation::Plain => self.create.clone(),
            Creation::WithLiveness => self.create_with_liveness.clone(),
        };
        let (gateway, own) = (Arc::clone(&self.gateway), Arc::clone(&facts));
        let run = |shared: Arc<CallFacts>| async move {
            let route = configured(Provider::Verifik, gateway.verifik.as_ref())?;
            let request = route
                .adapter
                .create_request(create.creation, &create.fields);
            let read = |answer: &_| route.adapter.read_created(create.creation, answer);
            let created = route.upstream.call(&shared, &policy, &request, read);
            // Here, because a repeat costs nothing, and the caller may have left by now.
            let created = charged(&own, created).await;
            audit::created(&own, &created);
            created
        };
        let created = match create.request_id {
            None => run(Arc::clone(&facts)).await,
            Some(id) => {
                let id = request_ids::of_caller(id, facts.caller());
                self.gateway
                    .request_ids
                    .once(id, create.fingerprint, &facts, run)
                    .await
            }
        };
        audit::created(&facts, &created);
        created
    }

    async fn get(&self, facts: &CallFacts, request: GetPersonRequest) -> Result<Person, Failure> {
        let mut bad = Violations::default();
        let id = bad.check("id", PersonId::parse(&request.id));
        let view = bad.check("view", view(request.view));
        let view = view.map(|view| seen(facts, view));
        let (Some(id), Some(view)) = (id, view) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let Route {
            adapter, upstream, ..
        } = self.verifik(facts)?;
        let read = |answer: &_| adapter.read_person(answer, view);
        upstream
            .call(facts, &self.get, &adapter.get_request(&id), read)
            .await
    }

    async fn list(
        &self,
        facts: &CallFacts,
        request: ListPersonsRequest,
    ) -> Result<ListPersonsResponse, Failure> {
        let mut bad = Violations::default();
        let page_size = bad.check("page_size", page_size(request.page_size));
        let view = bad.check("view", view(request.view));
        let view = view.map(|view| seen(facts, view));
        let token = bad.check("page_token", page_token(&request.page_token));
        let query = match (page_size, view, token) {
            (Some(page_size), Some(view), Some(token)) => {
                bad.check("page_token", page_query(token, page_size, view))
            }
            _ => None,
        };
        let Some(query) = query else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        let Route {
            adapter, upstream, ..
        } = self.verifik(facts)?;
        let read = |answer: &_| adapter.read_page(answer, &query);
        let request = adapter.list_request(&query);
        let page = upstream.call(facts, &self.list, &request, read).await?;
        Ok(ListPersonsResponse {
            persons: page.persons,
            next_page_token: page.next.map(|token| token.encode()).unwrap_or_default(),
        })
    }

    /// Reads the record, changes what the mask names, and writes all of it: right whether the
    /// provider's PUT merges or replaces.
    async fn update(
        &self,
        facts: &CallFacts,
        request: UpdatePersonRequest,
    ) -> Result<Person, Failure> {
        let mut bad = Violations::default();
        let person = request.person.unwrap_or_default();
        let id = bad.check("person.id", PersonId::parse(&person.id));
        let mask = request.update_mask.as_ref();
        let changes = updated(&mut bad, &person, mask, date::today());
        bad.check(PURPOSE, audit::purpose(facts));
        let (Some(id), true) = (id, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        audit::begin(facts, Identifier::Person(&id), None);
        facts.asks(Provider::Verifik);
        audit::intend(facts).await?;
        let Route {
            adapter, upstream, ..
        } = self.verifik(facts)?;
        let read = |answer: &_| adapter.read_stored(answer);
        let updated = async {
            let request = adapter.get_request(&id);
            let stored = upstream.call(facts, &self.get, &request, read).await?;
            let request = adapter.update_request(&id, stored, &changes);
            let read = |answer: &_| adapter.read_person(answer, View::Basic);
            upstream.call(facts, &self.update, &request, read).await
        };
        charged(facts, updated).await
    }

    async fn delete(
        &self,
        facts: &CallFacts,
        request: DeletePersonRequest,
    ) -> Result<DeletePersonResponse, Failure> {
        let mut bad = Violations::default();
        let id = bad.check("id", PersonId::parse(&request.id));
        bad.check(PURPOSE, audit::purpose(facts));
        let (Some(id), true) = (id, bad.is_empty()) else {
            return Err(Failure::invalid(bad.into_vec()));
        };
        audit::begin(facts, Identifier::Person(&id), None);
        facts.asks(Provider::Verifik);
        audit::intend(facts).await?;
        let Route {
            adapter, upstream, ..
        } = self.verifik(facts)?;
        let read = |answer: &_| adapter.read_deleted(answer);
        let request = adapter.delete_request(&id);
        let deleted = upstream.call(facts, &self.delete, &request, read);
        charged(facts, deleted).await?;
        Ok(DeletePersonResponse {})
    }
}

fn check_create(
    facts: &CallFacts,
    creation: Creation,
    person: Option<&Person>,
    request_id: &str,
) -> Result<Create, Failure> {
    use PersonField::{FaceImage, FamilyName, GivenName};
    let mut bad = Violations::default();
    let (method, required): (_, &[_]) = match creation {
        Creation::Plain => ("CreatePerson", &[GivenName, FamilyName]),
        Creation::WithLiveness => (
            "CreatePersonWithLiveness",
            &[GivenName, FamilyName, FaceImage],
        ),
    };
    let absent = Person::default();
    let person = person.unwrap_or(&absent);
    let fields = populated(&mut bad, person, required, date::today());
    bad.check(PURPOSE, audit::purpose(facts));
    let request_id = match request_id {
        "" => Ok(None),
        text => Uuid::try_parse(text)
            .map(Some)
            .map_err(|_| "must be a UUID"),
    };
    match (bad.check("request_id", request_id), bad.is_empty()) {
        (Some(request_id), true) => Ok(Create {
            creation,
            fields,
            request_id,
            fingerprint: Fingerprint::of(method, &person.encode_to_vec()),
        }),
        _ => Err(Failure::invalid(bad.into_vec())),
    }
}

fn view(view: i32) -> Result<View, &'static str> {
    match PersonView::try_from(view) {
        Ok(PersonView::Unspecified | PersonView::Basic) => Ok(View::Basic),
        Ok(PersonView::Full) => Ok(View::Full),
        Err(_) => Err("must be a known view"),
    }
}

/// Images that the caller may not see are not decoded for it.
fn seen(facts: &CallFacts, view: View) -> View {
    match facts.visible().has(&IMAGES) {
        true => view,
        false => View::Basic,
    }
}

fn page_size(size: i32) -> Result<u32, &'static str> {
    match u32::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size @ 1..=MAX_PAGE_SIZE) => Ok(size),
        _ => Err("must be 0 to 1000"),
    }
}

fn page_token(token: &str) -> Result<Option<PageToken>, &'static str> {
    if token.is_empty() {
        return Ok(None);
    }
    let token = PageToken::decode(token).ok_or("must be a next_page_token of this service")?;
    Ok(Some(token))
}

fn page_query(
    token: Option<PageToken>,
    page_size: u32,
    view: View,
) -> Result<PageQuery, &'static str> {
    if token.is_some_and(|token| (token.page_size, token.view) != (page_size, view)) {
        return Err("must be used with the page_size and view of the call that gave it");
    }
    Ok(PageQuery {
        page: token.map_or(1, |token| token.page),
        page_size,
        view,
        first: token.map(|token| token.first),
    })
}

#[tonic::async_trait]
impl PersonService for Persons {
    async fn create_person(
        &self,
        request: Request<CreatePersonRequest>,
    ) -> Result<Response<CreatePersonResponse>, Status> {
        let facts = facts_of(&request);
        let request = request.into_inner();
        let created = async {
            let person = request.person.as_ref();
            let create = check_create(&facts, Creation::Plain, person, &request.request_id)?;
            let person = Some(self.create(Arc::clone(&facts), create).await?);
            Ok(CreatePersonResponse { person })
        };
        reply(&facts, created.await)
    }

    async fn create_person_with_liveness(
        &self,
        request: Request<CreatePersonWithLivenessRequest>,
    ) -> Result<Response<CreatePersonWithLivenessResponse>, Status> {
        let facts = facts_of(&request);
        let request = request.into_inner();
        let created = async {
            let person = request.person.as_ref();
            let create = check_create(&facts, Creation::WithLiveness, person, &request.request_id)?;
            let person = Some(self.create(Arc::clone(&facts), create).await?);
            Ok(CreatePersonWithLivenessResponse { person })
        };
        reply(&facts, created.await)
    }

    async fn get_person(
        &self,
        request: Request<GetPersonRequest>,
    ) -> Result<Response<GetPersonResponse>, Status> {
        let facts = facts_of(&request);
        let person = self.get(&facts, request.into_inner()).await;
        reply(
            &facts,
            person.map(|person| GetPersonResponse {
                person: Some(person),
            }),
        )
    }

    async fn list_persons(
        &self,
        request: Request<ListPersonsRequest>,
    ) -> Result<Response<ListPersonsResponse>, Status> {
        let facts = facts_of(&request);
        reply(&facts, self.list(&facts, request.into_inner()).await)
    }

    async fn update_person(
        &self,
        request: Request<UpdatePersonRequest>,
    ) -> Result<Response<UpdatePersonResponse>, Status> {
        let facts = facts_of(&request);
        let person = self.update(&facts, request.into_inner()).await;
        reply(
            &facts,
            person.map(|person| UpdatePersonResponse {
                person: Some(person),
            }),
        )
    }

    async fn delete_person(
        &self,
        request: Request<DeletePersonRequest>,
    ) -> Result<Response<DeletePersonResponse>, Status> {
        let facts = facts_of(&request);
        reply(&facts, self.delete(&facts, request.into_inner()).await)
    }
}
