//! A provider made by hand, and gateways in front of it: real sockets, the whole server.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::IntoResponse,
};
use identity_gateway::{
    config::Settings,
    domain::redaction::Secret,
    proto::{
        identity::v1::{
            CheckCurpRequest, CheckCurpResponse, KenyaIdType, ScrubKenyaIdRequest, Source,
            Verification, identity_service_client::IdentityServiceClient,
        },
        person::v1::{GetPersonRequest, person_service_client::PersonServiceClient},
    },
    server,
};
use prost_types::FieldMask;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::transport::Channel;

pub use super::eventually;

/// Fictional, and the canaries that must be found nowhere.
pub const CURP: &str = "AAPR630321HDFLRC09";
pub const OTHER_CURPS: [&str; 3] = [
    "HEGG560427MVZRRL04",
    "BOXW310820HNERXN09",
    "AAPR630321XDFLRC03",
];
pub const KENYA_ID: &str = "87654321";
/// The deadline of who does not wait for a slow provider: the request has left by then, also on a busy machine.
pub const HASTE: Duration = Duration::from_millis(1500);
pub const GIVEN_NAME: &str = "ROSALINDA";

/// The provider: all three of them, by path.
#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    requests: AtomicUsize,
    answered: AtomicUsize,
    given_up: AtomicUsize,
    open: watch::Sender<bool>,
    curp: Mutex<(u16, Value)>,
    refuses_persons: AtomicBool,
    bodies: Mutex<Vec<String>>,
}

/// Counts a request that its sender gave up.
struct Unanswered<'a>(Option<&'a AtomicUsize>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub fn curp_answer(code: &str) -> Value {
    json!({
        "status": "OK",
        "result_code": code,
        "request_id": "req-1",
        "result": {
            "curp": CURP,
            "nombre": GIVEN_NAME,
            "estatusCurp": "RCN",
            "documento": "JVBERi0xLjQ=",
        },
    })
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            requests: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            open: watch::Sender::new(true),
            curp: Mutex::new((200, curp_answer("0"))),
            refuses_persons: AtomicBool::new(false),
            bodies: Mutex::default(),
        });
        let routes = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, inner }
    }

    /// Holds answers back until `release`.
    pub fn hold(&self) {
        self.inner.open.send_replace(false);
    }

    pub fn release(&self) {
        self.inner.open.send_replace(true);
    }

    /// What the next CURP is answered with.
    pub fn answers(&self, status: u16, body: Value) {
        *self.inner.curp.lock().unwrap() = (status, body);
    }

    /// Whether the next person is called a duplicate.
    pub fn refuses_persons(&self, refuses: bool) {
        self.inner.refuses_persons.store(refuses, Ordering::SeqCst);
    }

    /// Requests that have arrived in full.
    pub fn requests(&self) -> usize {
        self.inner.requests.load(Ordering::SeqCst)
    }

    /// Requests whose sender went before the answer.
    pub fn given_up(&self) -> usize {
        self.inner.given_up.load(Ordering::SeqCst)
    }

    /// What was sent, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.inner.bodies.lock().unwrap().clone()
    }

    /// Comes back when so many requests were answered, and the gateways have read the answers.
    pub async fn has_answered(&self, count: usize) {
        eventually(|| self.inner.answered.load(Ordering::SeqCst) >= count).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }

    pub async fn has_requests(&self, count: usize) {
        eventually(|| self.requests() >= count).await;
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> impl IntoResponse {
    if method == Method::GET {
        return (StatusCode::OK, axum::Json(person(0)));
    }
    let number = inner.requests.fetch_add(1, Ordering::SeqCst);
    let text = String::from_utf8_lossy(&body).into_owned();
    inner.bodies.lock().unwrap().push(text);
    let mut unanswered = Unanswered(Some(&inner.given_up));
    let mut open = inner.open.subscribe();
    open.wait_for(|open| *open).await.unwrap();
    unanswered.0 = None;
    inner.answered.fetch_add(1, Ordering::SeqCst);
    let (status, body) = if uri.path().starts_with("/verify") {
        inner.curp.lock().unwrap().clone()
    } else if uri.path().starts_with("/v2/api") {
        let data = json!({
            "id": format!("kid-{number}"),
            "status": "found",
            "idNumber": KENYA_ID,
            "firstName": GIVEN_NAME,
        });
        (
            200,
            json!({ "success": true, "statusCode": 200, "data": data }),
        )
    } else if inner.refuses_persons.load(Ordering::SeqCst) {
        (
            409,
            json!({ "code": "duplicated_person", "message": "409:duplicated_person" }),
        )
    } else {
        (201, person(number))
    };
    (StatusCode::from_u16(status).unwrap(), axum::Json(body))
}

fn person(number: usize) -> Value {
    json!({ "id": format!("person_{number}"), "firstName": GIVEN_NAME, "lastName": "ARCE" })
}

/// A gateway. It ends with the test.
pub struct Gateway {
    pub identity: IdentityServiceClient<Channel>,
    pub persons: PersonServiceClient<Channel>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Gateway {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn start(provider: &Provider) -> Self {
        Self::with(provider, |_| {}).await
    }

    pub async fn with(provider: &Provider, change: impl FnOnce(&mut Settings)) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut settings = Settings::default();
        settings.server.listen = any;
        settings.admin.listen = any;
        let url = format!("http://{}", provider.address);
        let secret = || Some(Secret::new("secret"));
        let providers = &mut settings.providers;
        providers.verifik.base_url = url.parse().unwrap();
        providers.verifik.token = secret();
        providers.youverify.base_url = url.parse().unwrap();
        providers.youverify.token = secret();
        providers.accuauth.base_url = url.parse().unwrap();
        providers.accuauth.api_id = secret();
        providers.accuauth.api_secret = secret();
        change(&mut settings);
        let serving = server::bind(&settings).await.unwrap();
        let address = serving.grpc_address;
        let server = tokio::spawn(async move {
            serving.run(&settings, || {}).await.unwrap();
        });
        let endpoint = format!("http://{address}").parse::<tonic::transport::Endpoint>();
        let channel = endpoint.unwrap().connect_lazy();
        Self {
            identity: IdentityServiceClient::new(channel.clone()),
            persons: PersonServiceClient::new(channel),
            address,
            server,
        }
    }

    /// A client with a connection of its own.
    pub async fn another(&self) -> IdentityServiceClient<Channel> {
        let url = format!("http://{}", self.address);
        IdentityServiceClient::connect(url).await.unwrap()
    }

    pub async fn curp(&self, request: CheckCurpRequest) -> CheckCurpResponse {
        let answered = self.identity.clone().check_curp(request).await;
        answered.unwrap().into_inner()
    }

    /// The failure of a call that the server ends at its deadline: nothing here has a timer.
    pub async fn late(&self, request: CheckCurpRequest) -> tonic::Status {
        let mut request = tonic::Request::new(request);
        request.set_timeout(HASTE);
        let mut client = super::client::identity(self.address).await;
        let answered = client.check_curp(request).await;
        answered.expect_err("the deadline")
    }

    /// Comes back when all calls that were started or given up before are known to the server: these
    /// go the same way after them, there and back.
    pub async fn has_heard_all(&self) {
        for _ in 0..5 {
            let request = GetPersonRequest {
                id: "person_0".to_owned(),
                ..GetPersonRequest::default()
            };
            self.persons.clone().get_person(request).await.unwrap();
        }
    }

    /// Starts a call that goes on by itself.
    pub fn curp_soon(
        &self,
        request: CheckCurpRequest,
    ) -> JoinHandle<Result<tonic::Response<CheckCurpResponse>, tonic::Status>> {
        let mut identity = self.identity.clone();
        tokio::spawn(async move { identity.check_curp(request).await })
    }
}

pub fn curp() -> CheckCurpRequest {
    CheckCurpRequest {
        curp: CURP.to_owned(),
        ..CheckCurpRequest::default()
    }
}

pub fn curp_aged(seconds: i64) -> CheckCurpRequest {
    CheckCurpRequest {
        max_age: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..curp()
    }
}

pub fn kenya() -> ScrubKenyaIdRequest {
    ScrubKenyaIdRequest {
        id: KENYA_ID.to_owned(),
        id_type: KenyaIdType::NationalId.into(),
        subject_consent: true,
        ..ScrubKenyaIdRequest::default()
    }
}

pub fn mask(path: &str) -> Option<FieldMask> {
    Some(FieldMask {
        paths: vec![path.to_owned()],
    })
}

/// The source of an answer.
pub fn source(response: &CheckCurpResponse) -> Source {
    verification(response).source()
}

pub fn verification(response: &CheckCurpResponse) -> &Verification {
    response.verification.as_ref().expect("a verification")
}
