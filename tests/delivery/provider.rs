//! AccuAuth, as fast or slow as each number's fate says, with a ledger of what it charges.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};

/// What becomes of each request about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Finds,
    FindsNobody,
    /// It charges, and what it says is nothing that its document describes.
    Babbles,
    /// It charges, and never answers.
    Hangs,
    /// Out of quota: free, and no reason to ask again.
    Refuses,
    /// Down for the first request, and free.
    IsDownFirst,
}

#[derive(Debug, Clone, Copy)]
pub struct Fate {
    pub does: Does,
    pub takes: Duration,
}

impl Fate {
    pub fn random(rng: &mut Rng) -> Self {
        let does = match rng.u32(..100) {
            0..74 => Does::Finds,
            74..86 => Does::FindsNobody,
            86..90 => Does::Babbles,
            90..91 => Does::Hangs,
            91..95 => Does::Refuses,
            _ => Does::IsDownFirst,
        };
        // Most are quick, some are slow: the logarithm is even.
        let takes = Duration::from_secs_f64(0.003 * 80_f64.powf(rng.f64()));
        Self { does, takes }
    }
}

/// A request, as the provider has it in its books.
#[derive(Debug, Clone, Copy)]
pub struct Entered {
    pub charged: bool,
    pub answered: Option<Instant>,
}

/// The requests about each number.
pub type Ledger = Arc<Mutex<HashMap<String, Vec<Entered>>>>;

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    pub ledger: Ledger,
}

#[derive(Clone)]
struct Book {
    fates: Arc<HashMap<String, Fate>>,
    ledger: Ledger,
}

impl Provider {
    pub async fn start(fates: HashMap<String, Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ledger = Ledger::default();
        let book = Book {
            fates: Arc::new(fates),
            ledger: Arc::clone(&ledger),
        };
        let routes = Router::new().fallback(answer).with_state(book);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, ledger }
    }
}

async fn answer(State(book): State<Book>, Json(asked): Json<Value>) -> impl IntoResponse {
    let number = asked["id_number"].as_str().unwrap().to_owned();
    let Fate { does, takes } = book.fates[&number];
    let count = {
        let mut ledger = book.ledger.lock().unwrap();
        let requests = ledger.entry(number.clone()).or_default();
        let is_down = does == Does::IsDownFirst && requests.is_empty();
        // When it arrives, whatever becomes of it.
        requests.push(Entered {
            charged: does != Does::Refuses && !is_down,
            answered: None,
        });
        requests.len()
    };
    sleep(takes).await;
    if does != Does::Hangs {
        let mut ledger = book.ledger.lock().unwrap();
        ledger.get_mut(&number).unwrap()[count - 1].answered = Some(Instant::now());
    }
    let says = |status, body| (StatusCode::from_u16(status).unwrap(), Json(body));
    let found = |code: &str| {
        json!({"status": "OK", "result_code": code, "request_id": format!("{number}-{count}"),
            "result": {"curp": number, "estatusCurp": "RCN"}})
    };
    match does {
        Does::IsDownFirst if count == 1 => {
            says(503, json!({"status": "SOURCE_SERVICE_UNAVAILABLE"}))
        }
        Does::Finds | Does::IsDownFirst => says(200, found("0")),
        Does::FindsNobody => says(200, found("1")),
        Does::Babbles => says(200, json!("nothing of the kind")),
        Does::Refuses => says(402, json!({"status": "OUT_OF_QUOTA"})),
        Does::Hangs => std::future::pending().await,
    }
}
