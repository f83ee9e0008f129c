//! Stands between the gateway and the sandbox and plants canaries in the answers.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use identity_gateway::sandbox;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// In every string of every answer. Two words and a number, as a person's data may be.
pub const CANARY: &str = "Zqx Fictional 7731";

/// Words that decide what an answer means.
const DECIDE: [&str; 9] = [
    "status",
    "result_code",
    "code",
    "error",
    "name",
    "idType",
    "id_type",
    "estatusCurp",
    "statusCode",
];

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Strings that do not decide what the answer means, and `message`, of which a part may.
    Data,
    /// Every string.
    Everything,
    /// The answer breaks off in the middle of a string.
    Broken,
    /// The answer is of a shape that nobody expects.
    Shape,
}

impl Plant {
    pub const ALL: [Self; 4] = [Self::Data, Self::Everything, Self::Broken, Self::Shape];
}

struct Shared {
    sandbox: String,
    plant: Plant,
    /// What is answered next, whatever is asked.
    next: Option<(u16, Value)>,
}

#[derive(Clone)]
pub struct GoBetween {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

impl GoBetween {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox_url = format!("http://{}", listener.local_addr().unwrap());
        let options = sandbox::Options::default();
        tokio::spawn(sandbox::serve(listener, options, std::future::pending()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::new(Mutex::new(Shared {
                sandbox: sandbox_url,
                plant: Plant::Data,
                next: None,
            })),
        };
        let router = Router::new().fallback(pass).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        this
    }

    pub fn plants(&self, plant: Plant) {
        self.shared.lock().unwrap().plant = plant;
    }

    pub fn says(&self, status: u16, body: Value) {
        self.shared.lock().unwrap().next = Some((status, body));
    }
}

async fn pass(State(this): State<GoBetween>, request: Request) -> Response {
    let (sandbox, plant, next) = {
        let mut shared = this.shared.lock().unwrap();
        (shared.sandbox.clone(), shared.plant, shared.next.take())
    };
    if let Some((status, body)) = next {
        return (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove("host");
    headers.remove("content-length");
    let url = format!("{sandbox}{}", head.uri);
    let asked = reqwest::Client::new().request(head.method, url);
    let asked = asked.headers(headers).body(body).send().await;
    let whole = match asked {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            answer
                .bytes()
                .await
                .ok()
                .map(|body| (status, headers, body))
        }
        Err(_) => None,
    };
    let Some((status, sandboxed, body)) = whole else {
        // The sandbox has hung up.
        return (StatusCode::OK, format!("{{\"name\": \"{CANARY}")).into_response();
    };
    let mut answer = (status, planted(plant, body)).into_response();
    if let Some(wait) = sandboxed.get("retry-after") {
        answer.headers_mut().insert("retry-after", wait.clone());
    }
    for name in [
        "x-zqx",
        "server",
        "set-cookie",
        "location",
        "www-authenticate",
    ] {
        answer
            .headers_mut()
            .insert(name, "zqx=zqx".parse().unwrap());
    }
    answer
}

fn planted(plant: Plant, body: Bytes) -> Bytes {
    let Ok(mut json) = serde_json::from_slice::<Value>(&body) else {
        return [&body[..body.len().min(1 << 20)], CANARY.as_bytes()]
            .concat()
            .into();
    };
    match plant {
        Plant::Data | Plant::Everything => {
            walk(&mut json, plant);
            json.to_string().into()
        }
        Plant::Broken => {
            walk(&mut json, Plant::Data);
            let text = json.to_string();
            let end = text
                .rfind(CANARY)
                .map_or(text.len() / 2, |at| at + CANARY.len());
            Bytes::copy_from_slice(&text.as_bytes()[..end])
        }
        Plant::Shape => json!([{CANARY: {"data": CANARY}}, CANARY])
            .to_string()
            .into(),
    }
}

fn walk(json: &mut Value, plant: Plant) {
    match json {
        Value::String(text) => CANARY.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|one| walk(one, plant)),
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                let decides = plant == Plant::Data && DECIDE.contains(&name.as_str());
                match value {
                    Value::String(_) if decides => {}
                    // Part of it may decide: the canary is added.
                    Value::String(text) if plant == Plant::Data && name == "message" => {
                        text.push_str(" for ");
                        text.push_str(CANARY);
                    }
                    value => walk(value, plant),
                }
            }
            object.insert(CANARY.to_owned(), CANARY.into());
        }
        _ => {}
    }
}
