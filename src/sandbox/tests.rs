//! The sandbox over real sockets, asked by an HTTP client that knows nothing of the gateway.

mod documents;
mod faults;
mod fixtures;
mod ledger;
mod persons;
mod refusals;
mod table;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const MX_CURP: &str = "RAZR811011HVZXPB01";

/// A file of `samples/`, without its ending.
fn document(name: &str) -> Value {
    let path = format!("{}/samples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A sandbox on a port of its own. Dropping it stops it.
struct Running {
    address: SocketAddr,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn start() -> Running {
    start_with(Options::default()).await
}

async fn start_with(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, options, async {
        let _ = stopped.await;
    }));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Running {
        address,
        client,
        stop: Some(stop),
        served,
    }
}

impl Running {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    fn peru(&self, number: &str, birthdate: &str) -> RequestBuilder {
        let path =
            format!("/v2/pe/foreigner-id/ce?documentNumber={number}&dateOfBirth={birthdate}");
        self.verifik(Method::GET, &path)
    }

    fn verifik(&self, method: Method, path: &str) -> RequestBuilder {
        let token = format!("Bearer {VERIFIK_TOKEN}");
        self.request(method, path).header(AUTHORIZATION, token)
    }

    fn verifik_json(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        with_json(self.verifik(method, path), body)
    }

    fn kenya(&self, body: &Value) -> RequestBuilder {
        let request = self.request(Method::POST, "/v2/api/identity/ke/id-scrub");
        with_json(request.header("token", YOUVERIFY_TOKEN), body)
    }

    fn mexico(&self, body: &Value) -> RequestBuilder {
        with_json(self.accuauth(), body)
    }

    fn accuauth(&self) -> RequestBuilder {
        self.request(Method::POST, "/verify/id_check")
            .header("X-DF-API-ID", ACCUAUTH_API_ID)
            .header("X-DF-API-SECRET", ACCUAUTH_API_SECRET)
    }

    async fn ledger(&self) -> Value {
        send(self.request(Method::GET, "/_sandbox/ledger")).await.1
    }
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string())
}

/// Status and JSON body of the answer.
async fn send(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_delay_is_added_to_provider_answers_only() {
    let delay = Duration::from_millis(1500);
    let sandbox = start_with(Options {
        delay,
        ..Options::default()
    })
    .await;
    // Both at once: the ledger is there first.
    let (ledger, peru) = (
        sandbox.ledger(),
        send(sandbox.peru("000000009", "16/08/1993")),
    );
    let first = tokio::select! {
        biased;
        _ = ledger => "ledger",
        _ = peru => "peru",
    };
    assert_eq!(first, "ledger");
    let begun = std::time::Instant::now();
    send(sandbox.peru("000000001", "16/08/1993")).await;
    assert!(begun.elapsed() >= delay);
}

#[tokio::test]
async fn shutdown_lets_an_answer_in_flight_finish_and_takes_no_new_one() {
    let delay = Duration::from_millis(1500);
    let mut sandbox = start_with(Options {
        delay,
        ..Options::default()
    })
    .await;
    let in_flight = tokio::spawn(send(sandbox.peru("005015372", "16/08/1993")));
    while sandbox.ledger().await["verifik"]["received"] != json!(1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sandbox.stop.take().unwrap().send(()).unwrap();
    (&mut sandbox.served).await.unwrap().unwrap();
    assert_eq!(in_flight.await.unwrap().0, 200);
    let refused = sandbox.peru("005015372", "16/08/1993").send().await;
    assert!(refused.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_path_of_nobody_is_not_found_and_not_counted() {
    let sandbox = start().await;
    let response = sandbox.request(Method::GET, "/elsewhere").send().await;
    assert_eq!(response.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(sandbox.ledger().await["verifik"]["received"], json!(0));
}
