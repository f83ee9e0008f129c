//! All three providers as one server: it does to each request what a script says, and keeps a ledger.
//!
//! Over HTTP/1.1 a raw TCP server, because what counts is what arrives: a request is counted once its last byte is
//! read, whatever becomes of the connection after that. Over HTTP/2 all requests share connections, which are
//! closed under them.
// Long: one scripted provider in two protocols, whose faults must be the same in both.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::kit::{
    certs::{Ca, Mounted},
    h2_provider::{Act, H2Provider, H2Settings},
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
    /// Over HTTP/2 it gives the request back unread (REFUSED_STREAM).
    Refused,
    /// Answers, then closes the connection; over HTTP/2 it says so (GOAWAY).
    FoundThenClose,
    Late,
    Malformed,
    /// Half an answer.
    Truncated,
    Cut,
    /// The whole connection is cut, with all that is on it.
    CutsAll,
    Hang,
}

impl Step {
    const ANSWERS: [Self; 4] = [
        Self::Found,
        Self::NotFound,
        Self::OddCode,
        Self::FoundThenClose,
    ];
    const FREE: [Self; 9] = [
        Self::DataError,
        Self::DownInside200,
        Self::Pending,
        Self::Down,
        Self::DownRetryNow,
        Self::SourceTimeout,
        Self::OutOfQuota,
        Self::RateLimitedAgainNow,
        Self::Refused,
    ];
    const LOST: [Self; 6] = [
        Self::Late,
        Self::Malformed,
        Self::Truncated,
        Self::Cut,
        Self::CutsAll,
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

    /// What its answer says of a repeat.
    fn wait(self) -> Option<&'static str> {
        matches!(self, Self::DownRetryNow | Self::RateLimitedAgainNow).then_some("0")
    }

    /// Whether it is an error by its HTTP status or its words.
    fn is_error_answer(self) -> bool {
        self.is_free() && !matches!(self, Self::DataError | Self::Refused)
    }
}

/// What arrived for one number: each request with whether it was charged, in order.
pub type Received = Vec<(Step, bool)>;

/// What the provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    Http2,
}

/// The provider.
pub struct Provider {
    pub url: String,
    /// Who vouches for it, over TLS.
    pub ca_file: Option<PathBuf>,
    pub ledger: Arc<Mutex<HashMap<String, Received>>>,
    _files: Option<Mounted>,
}

/// What the provider charges beside what its document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greed {
    AsDocumented,
    /// Some error answers too.
    Errors,
}

/// The scripts, and what arrived.
#[derive(Clone)]
struct Book {
    scripts: Arc<HashMap<String, Vec<Step>>>,
    ledger: Arc<Mutex<HashMap<String, Received>>>,
    greed: Greed,
}

impl Book {
    /// Enters a request, and says what is done to it.
    fn enter(&self, asked: &Asked, rng: &mut Rng) -> Step {
        if asked.rpc == Rpc::Read {
            return Step::Found;
        }
        let mut ledger = self.ledger.lock().unwrap();
        let received = ledger.entry(asked.key.clone()).or_default();
        let script = self.scripts.get(&asked.key);
        let step = script.and_then(|script| script.get(received.len()));
        let step = step.copied().unwrap_or(Step::Found);
        let greedy = self.greed == Greed::Errors && step.is_error_answer();
        let costs = !asked.rpc.is_read() && !step.is_free();
        received.push((step, costs || (greedy && rng.bool())));
        step
    }
}

impl Provider {
    /// Follows the scripts, by number; beyond a script's end everything is found.
    pub async fn start(
        speaks: Speaks,
        scripts: HashMap<String, Vec<Step>>,
        greed: Greed,
        seed: u64,
    ) -> Self {
        let ledger = Arc::default();
        let book = Book {
            scripts: Arc::new(scripts),
            ledger: Arc::clone(&ledger),
            greed,
        };
        if speaks == Speaks::Http2 {
            let ca = Ca::new("provider's");
            let pair = ca.issue(&["127.0.0.1"]);
            let provider = H2Provider::start(&pair, H2Settings::default()).await;
            let rng = Mutex::new(Rng::with_seed(seed));
            provider.follow(move |request| book.act(request, &mut rng.lock().unwrap()));
            let files = Mounted::new(&[("ca.crt", &ca.pem())]);
            return Self {
                url: provider.url(),
                ca_file: Some(files.path("ca.crt")),
                ledger,
                _files: Some(files),
            };
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections += 1;
                let connection = Connection {
                    stream,
                    book: book.clone(),
                    rng: Rng::with_seed(seed ^ connections),
                };
                tokio::spawn(connection.serve());
            }
        });
        Self {
            url,
            ca_file: None,
            ledger,
            _files: None,
        }
    }
}

impl Book {
    /// What is done to a request over HTTP/2.
    fn act(&self, request: &crate::kit::h2_provider::Received, rng: &mut Rng) -> Act {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let asked = Asked::of(&request.method, &request.target, body);
        let step = self.enter(&asked, rng);
        let answers = |body: String| {
            let (status, _) = asked.reply(step);
            let headers = step.wait().map(|wait| ("retry-after", wait.to_owned()));
            Act::Answers(status, headers.into_iter().collect(), Some(body.into()))
        };
        let (_, body) = asked.reply(step);
        let act = match step {
            Step::Refused => Act::Resets(h2::Reason::REFUSED_STREAM),
            Step::FoundThenClose => Act::AndCloses(Box::new(answers(body))),
            Step::Late => Act::Waits(Duration::from_millis(40), Box::new(answers(body))),
            Step::Malformed => answers("this is not JSON".to_owned()),
            Step::Truncated => Act::Cuts,
            Step::Cut => Act::Resets(h2::Reason::INTERNAL_ERROR),
            Step::CutsAll => Act::Ends,
            Step::Hang => Act::Hangs,
            _ => answers(body),
        };
        Act::Waits(Duration::from_micros(rng.u64(..4000)), Box::new(act))
    }
}

struct Connection {
    stream: TcpStream,
    book: Book,
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
        let step = self.book.enter(asked, &mut self.rng);
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
            Step::Cut | Step::CutsAll => return None,
            Step::Hang => {
                // Until the gateway gives up and closes.
                let _closed = self.stream.read(&mut [0; 1]).await;
                return None;
            }
            _ => asked.reply(step),
        };
        let wait = step.wait().map(|wait| format!("retry-after: {wait}\r\n"));
        let wait = wait.unwrap_or_default();
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
    Get,
    List,
    /// Of a person that is about to be written: no part of any script.
    Read,
    Update,
    Delete,
}

impl Rpc {
    /// Whether it never costs anything.
    fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Read)
    }
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
            Step::Down | Step::DownRetryNow | Step::Refused => {
                error(503, "SOURCE_SERVICE_UNAVAILABLE")
            }
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
            (Rpc::List, _) => (
                200,
                json!([{"id": key, "firstName": "ADA", "lastName": "ARCE"}]),
            ),
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
    Some((head + length, Asked::of(method, target, body)))
}

impl Asked {
    fn of(method: &str, target: &str, body: Value) -> Self {
        let of_body = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let last = || target.rsplit('/').next().unwrap().to_owned();
        let of_query = |name: &str| target.split_once(name).map(|(_, rest)| rest);
        let (rpc, key) = match method {
            "POST" if target.starts_with("/verify") => (Rpc::Curp, of_body("id_number")),
            "POST" if target.starts_with("/v2/api") => (Rpc::Kenya, of_body("id")),
            "POST" => (Rpc::Create, of_body("firstName")),
            "PUT" => (Rpc::Update, last()),
            "DELETE" => (Rpc::Delete, last()),
            _ => match (of_query("documentNumber="), of_query("limit=")) {
                (Some(rest), _) => (Rpc::Foreigner, rest[..9].to_owned()),
                (_, Some(limit)) => (Rpc::List, format!("list_{limit}")),
                _ if last().starts_with("read_") => (Rpc::Get, last()),
                _ => (Rpc::Read, last()),
            },
        };
        Self { rpc, key, body }
    }
}
