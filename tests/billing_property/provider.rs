//! All three providers as one raw TCP server: it does to each request what a script says, and keeps a ledger.
//!
//! Raw, because what counts is what arrives: a request is counted once its last byte is read, whatever
//! becomes of the connection after that.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What the provider does once it has read a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Found,
    NotFound,
    OddCode,
    DataError,
    /// An error by its words, in an answer with HTTP status 200.
    DownInside200,
    Pending,
    Down,
    DownRetryNow,
    SourceTimeout,
    OutOfQuota,
    RateLimited,
    RateLimitedAgainNow,
    /// Answers, then closes the connection without having said so.
    FoundThenClose,
    Late,
    Malformed,
    Truncated,
    Cut,
    Hang,
}

impl Step {
    const ANSWERS: [Self; 4] = [
        Self::Found,
        Self::NotFound,
        Self::OddCode,
        Self::FoundThenClose,
    ];
    const FREE: [Self; 8] = [
        Self::DataError,
        Self::DownInside200,
        Self::Pending,
        Self::Down,
        Self::DownRetryNow,
        Self::SourceTimeout,
        Self::OutOfQuota,
        Self::RateLimitedAgainNow,
    ];
    const LOST: [Self; 5] = [
        Self::Late,
        Self::Malformed,
        Self::Truncated,
        Self::Cut,
        Self::Hang,
    ];

    /// `holds` of a thousand are 429s after which all calls are held back for a second.
    pub fn random(rng: &mut Rng, holds: u32) -> Self {
        let of = |steps: &[Self], rng: &mut Rng| steps[rng.usize(..steps.len())];
        match rng.u32(..1000) {
            0..450 => of(&Self::ANSWERS, rng),
            450..800 => of(&Self::FREE, rng),
            roll if roll < 800 + holds => Self::RateLimited,
            _ => of(&Self::LOST, rng),
        }
    }

    /// Whether the document says that it costs nothing.
    pub fn is_free(self) -> bool {
        Self::FREE.contains(&self) || self == Self::RateLimited
    }

    /// Whether it is an error by its HTTP status or its words.
    fn is_error_answer(self) -> bool {
        self.is_free() && self != Self::DataError
    }
}

/// What arrived for one number: each request with whether it was charged, in order.
pub type Received = Vec<(Step, bool)>;

/// The provider.
pub struct Provider {
    pub address: SocketAddr,
    pub ledger: Arc<Mutex<HashMap<String, Received>>>,
}

/// What the provider charges beside what its document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greed {
    AsDocumented,
    /// Some error answers too.
    Errors,
}

impl Provider {
    /// Follows the scripts, by number; beyond a script's end everything is found.
    pub async fn start(scripts: HashMap<String, Vec<Step>>, greed: Greed, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::<Mutex<HashMap<String, Received>>>::default();
        let kept = Arc::clone(&ledger);
        let scripts = Arc::new(scripts);
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections += 1;
                let connection = Connection {
                    stream,
                    scripts: Arc::clone(&scripts),
                    ledger: Arc::clone(&kept),
                    greed,
                    rng: Rng::with_seed(seed ^ connections),
                };
                tokio::spawn(connection.serve());
            }
        });
        Self { address, ledger }
    }
}

struct Connection {
    stream: TcpStream,
    scripts: Arc<HashMap<String, Vec<Step>>>,
    ledger: Arc<Mutex<HashMap<String, Received>>>,
    greed: Greed,
    rng: Rng,
}

impl Connection {
    /// Until either side closes it.
    async fn serve(mut self) {
        match self.rng.u32(..40) {
            // Closed before, or in the middle of, the first request: nothing is received.
            0 => return,
            1 => {
                let _some = self.stream.read(&mut [0; 60]).await;
                return;
            }
            _ => {}
        }
        let mut buffer = Vec::new();
        while let Some(asked) = self.receive(&mut buffer).await {
            if self.answer(&asked).await.is_none() {
                return;
            }
            // Closing an idle connection meets, now and then, a request that is on its way.
            if self.rng.u32(..8) == 0 {
                let pause = Duration::from_micros(self.rng.u64(..3000));
                if tokio::time::timeout(pause, self.stream.readable())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }

    /// What a whole request asks for.
    async fn receive(&mut self, buffer: &mut Vec<u8>) -> Option<Asked> {
        loop {
            if let Some((length, asked)) = whole(buffer) {
                buffer.drain(..length);
                return Some(asked);
            }
            if self.stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Nothing if the connection is to be closed.
    async fn answer(&mut self, asked: &Asked) -> Option<()> {
        let number = asked.key.as_str();
        let step = if asked.rpc == Rpc::Read {
            Step::Found
        } else {
            let mut ledger = self.ledger.lock().unwrap();
            let received = ledger.entry(number.to_owned()).or_default();
            let script = self.scripts.get(number);
            let step = script.and_then(|script| script.get(received.len()));
            let step = step.copied().unwrap_or(Step::Found);
            let greedy = self.greed == Greed::Errors && step.is_error_answer();
            let charged = !step.is_free() || (greedy && self.rng.bool());
            received.push((step, charged));
            step
        };
        let pause = Duration::from_micros(self.rng.u64(..4000));
        tokio::time::sleep(pause).await;
        let (status, body) = match step {
            Step::Malformed => (200, "this is not JSON".to_owned()),
            Step::Late => {
                tokio::time::sleep(Duration::from_millis(40)).await;
                asked.reply(step)
            }
            Step::Truncated => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"status\":\"OK\"";
                self.stream.write_all(head.as_bytes()).await.ok()?;
                return None;
            }
            Step::Cut => return None,
            Step::Hang => {
                // Until the gateway gives up and closes.
                let _closed = self.stream.read(&mut [0; 1]).await;
                return None;
            }
            _ => asked.reply(step),
        };
        let wait = match step {
            Step::DownRetryNow | Step::RateLimitedAgainNow => "retry-after: 0\r\n",
            _ => "",
        };
        let length = body.len();
        let text = format!("HTTP/1.1 {status} X\r\n{wait}content-length: {length}\r\n\r\n{body}");
        self.stream.write_all(text.as_bytes()).await.ok()?;
        (step != Step::FoundThenClose).then_some(())
    }
}

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rpc {
    Curp,
    Kenya,
    Foreigner,
    Create,
    /// Of a person, which is free and no part of any script.
    Read,
    Update,
    Delete,
}

/// A whole request, under the key of its script.
#[derive(Debug)]
struct Asked {
    rpc: Rpc,
    key: String,
    body: Value,
}

impl Asked {
    /// What the company's document says that it answers.
    fn reply(&self, step: Step) -> (u16, String) {
        let (status, body) = match self.rpc {
            Rpc::Curp => self.accuauth(step),
            Rpc::Kenya => self.youverify(step),
            _ => self.verifik(step),
        };
        (status, body.to_string())
    }

    fn accuauth(&self, step: Step) -> (u16, Value) {
        let code = |code: u32, result: Value| {
            let body = json!({"status": "OK", "request_id": "TID-1", "result_code": code, "result": result});
            (200, body)
        };
        let error = |status, word| (status, json!({"status": word, "request_id": "TID-1"}));
        match step {
            Step::NotFound => code(1, json!({})),
            Step::OddCode => code(77, json!({})),
            Step::DataError => code(5, json!({})),
            Step::DownInside200 => error(200, "SOURCE_SERVICE_UNAVAILABLE"),
            Step::Pending => error(400, "PENDING"),
            Step::Down | Step::DownRetryNow => error(503, "SOURCE_SERVICE_UNAVAILABLE"),
            Step::SourceTimeout => error(513, "SOURCE_SERVICE_TIMEOUT"),
            Step::OutOfQuota => error(403, "OUT_OF_QUOTA"),
            Step::RateLimited | Step::RateLimitedAgainNow => error(429, "RATE_LIMIT_EXCEEDED"),
            _ => code(0, json!({"curp": self.key})),
        }
    }

    fn youverify(&self, step: Step) -> (u16, Value) {
        let status = |word: &str| {
            let data = json!({"id": "y-1", "status": word, "idNumber": self.key});
            (
                200,
                json!({"success": true, "statusCode": 200, "data": data}),
            )
        };
        match error_status(step) {
            Some(code) => (
                code,
                json!({"success": false, "statusCode": code, "message": "no"}),
            ),
            None if step == Step::NotFound => status("not_found"),
            None if step == Step::OddCode => status("odd"),
            None => status("found"),
        }
    }

    fn verifik(&self, step: Step) -> (u16, Value) {
        if let Some(code) = error_status(step) {
            return (code, json!({"code": "Odd", "message": "no"}));
        }
        let key = &self.key;
        match (self.rpc, step) {
            (Rpc::Foreigner, Step::NotFound) => (
                404,
                json!({"code": "NotFound", "message": "Record not found."}),
            ),
            (Rpc::Foreigner, _) => (200, json!({"id": "v-1", "data": {"documentNumber": key}})),
            (Rpc::Create, _) => (
                201,
                json!({"id": format!("p-{key}"), "firstName": key, "lastName": "ARCE"}),
            ),
            (Rpc::Update, _) => {
                let mut written = self.body.clone();
                written["id"] = json!(key);
                (200, written)
            }
            (Rpc::Delete, _) => (200, json!({})),
            _ => (
                200,
                json!({"id": key, "firstName": "ADA", "lastName": "ARCE"}),
            ),
        }
    }
}

/// The status of an error that costs nothing, of the two companies that say it so.
fn error_status(step: Step) -> Option<u16> {
    match step {
        Step::OutOfQuota => Some(402),
        Step::RateLimited | Step::RateLimitedAgainNow => Some(429),
        step if step.is_free() => Some(503),
        _ => None,
    }
}

/// The first request and its length, if all of it is there.
fn whole(buffer: &[u8]) -> Option<(usize, Asked)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8(buffer[..head].to_vec()).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths
        .next()
        .map_or(0, |(_, length)| length.parse().unwrap());
    let body = buffer.get(head..head + length)?;
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let of_body = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let last = || target.rsplit('/').next().unwrap().to_owned();
    let (rpc, key) = match method {
        "POST" if target.starts_with("/verify") => (Rpc::Curp, of_body("id_number")),
        "POST" if target.starts_with("/v2/api") => (Rpc::Kenya, of_body("id")),
        "POST" => (Rpc::Create, of_body("firstName")),
        "PUT" => (Rpc::Update, last()),
        "DELETE" => (Rpc::Delete, last()),
        _ => match target.split_once("documentNumber=") {
            Some((_, rest)) => (Rpc::Foreigner, rest[..9].to_owned()),
            None => (Rpc::Read, last()),
        },
    };
    Some((head + length, Asked { rpc, key, body }))
}
