//! AccuAuth as a raw TCP server: it does to each request what a script says, and keeps a ledger.
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
    const FREE: [Self; 7] = [
        Self::DataError,
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

    /// Whether it is an error by its HTTP status.
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
        while let Some(number) = self.receive(&mut buffer).await {
            if self.answer(&number).await.is_none() {
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

    /// The number that a whole request asks for.
    async fn receive(&mut self, buffer: &mut Vec<u8>) -> Option<String> {
        loop {
            if let Some((length, number)) = whole(buffer) {
                buffer.drain(..length);
                return Some(number);
            }
            if self.stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Nothing if the connection is to be closed.
    async fn answer(&mut self, number: &str) -> Option<()> {
        let step = {
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
        let code = |code: u32, result: &str| {
            let body = format!(
                r#"{{"status":"OK","request_id":"TID-1","result_code":{code},"result":{result}}}"#
            );
            (200, body)
        };
        let found = || code(0, &format!(r#"{{"curp":"{number}"}}"#));
        let error = |status, word| {
            (
                status,
                format!(r#"{{"status":"{word}","request_id":"TID-1"}}"#),
            )
        };
        let down = || error(503, "SOURCE_SERVICE_UNAVAILABLE");
        let pause = Duration::from_micros(self.rng.u64(..4000));
        tokio::time::sleep(pause).await;
        let (status, body) = match step {
            Step::Found | Step::FoundThenClose => found(),
            Step::Late => {
                tokio::time::sleep(Duration::from_millis(40)).await;
                found()
            }
            Step::NotFound => code(1, "{}"),
            Step::OddCode => code(77, "{}"),
            Step::DataError => code(5, "{}"),
            Step::Pending => error(400, "PENDING"),
            Step::Down | Step::DownRetryNow => down(),
            Step::SourceTimeout => error(513, "SOURCE_SERVICE_TIMEOUT"),
            Step::OutOfQuota => error(403, "OUT_OF_QUOTA"),
            Step::RateLimited | Step::RateLimitedAgainNow => error(429, "RATE_LIMIT_EXCEEDED"),
            Step::Malformed => (200, "this is not JSON".to_owned()),
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

/// Length and number of the first request, if all of it is there.
fn whole(buffer: &[u8]) -> Option<(usize, String)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8(buffer[..head].to_vec()).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = lengths.next().unwrap().1.parse().unwrap();
    let body = buffer.get(head..head + length)?;
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    Some((
        head + length,
        body["id_number"].as_str().unwrap().to_owned(),
    ))
}
