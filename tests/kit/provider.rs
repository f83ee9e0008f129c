//! A provider that does what the test says next, and keeps the exact requests it got.
//!
//! Raw HTTP/1.1 over TCP: only so can an answer be cut, trickled or left out.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the provider does with a request.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers.
    Answers(Answer),
    /// Answers with a chunked body, whose length nobody knows beforehand.
    Chunks(Answer),
    /// Waits, then answers.
    Waits(Duration, Answer),
    /// Waits until the gate is opened, then answers.
    Holds(Gate, Answer),
    /// Reads the request and closes the connection.
    Closes,
    /// Sends the head and half of the body, and closes the connection.
    Cuts(Answer),
    /// The same with a chunked body.
    CutsChunks(Answer),
    /// Never answers.
    Hangs,
    /// Sends the head at once and then a byte at a time, and never the last one.
    Trickles(Answer),
    /// Answers what it makes of the request.
    Replies(Reply),
}

/// What a provider makes of a request; it may remember earlier ones.
#[derive(Clone)]
pub struct Reply(Arc<dyn Fn(&Received) -> Answer + Send + Sync>);

impl Reply {
    pub fn new(reply: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(reply))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// Keeps answers back until it is opened.
#[derive(Clone, Debug, Default)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        let opened = self
            .0
            .subscribe()
            .wait_for(|is_open| *is_open)
            .await
            .is_ok();
        assert!(opened, "the gate is held");
    }
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn head(&self, length: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n{length}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn sized(&self) -> Vec<u8> {
        self.head(&format!("content-length: {}", self.body.len()))
    }

    fn chunked(&self, body: &[u8]) -> Vec<u8> {
        let mut bytes = self.head("transfer-encoding: chunked");
        for chunk in body.chunks(100) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Does>,
    received: Vec<Received>,
}

/// A scripted provider. It ends with the test's runtime.
pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    /// How many requests have come, and how many callers have gone without their answer.
    seen: watch::Receiver<(usize, usize)>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let (sender, seen) = watch::channel((0, 0));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&shared), sender.clone()));
            }
        });
        Self {
            address,
            script,
            seen,
        }
    }

    /// What happens with the next requests, in order, and forgets the old ones.
    pub fn next(&self, script: impl IntoIterator<Item = Does>) {
        let mut shared = self.script.lock().unwrap();
        shared.next = script.into_iter().collect();
        shared.received.clear();
    }

    /// The requests since the last [`next`](Self::next).
    pub fn received(&self) -> Vec<Received> {
        self.script.lock().unwrap().received.clone()
    }

    /// How many requests have come, and how many callers have gone without their answer.
    pub fn seen(&self) -> (usize, usize) {
        *self.seen.borrow()
    }

    /// Waits until this many requests more than at a [`seen`](Self::seen) have come, or as many
    /// callers have gone.
    pub async fn until(&self, reached: impl Fn((usize, usize)) -> bool) -> bool {
        let mut seen = self.seen.clone();
        let waiting = seen.wait_for(|now| reached(*now));
        matches!(tokio::time::timeout(PATIENCE, waiting).await, Ok(Ok(_)))
    }
}

async fn converse(
    mut stream: TcpStream,
    script: Arc<Mutex<Script>>,
    seen: watch::Sender<(usize, usize)>,
) {
    while let Some(request) = read(&mut stream).await {
        let does = {
            let mut script = script.lock().unwrap();
            script.received.push(request.clone());
            script.next.pop_front()
        };
        // What is made of a request is an answer like any other.
        let does = match does {
            Some(Does::Replies(Reply(reply))) => Some(Does::Answers(reply(&request))),
            other => other,
        };
        seen.send_modify(|(requests, _)| *requests += 1);
        // A request too many is seen in `received`.
        let does = does
            .unwrap_or_else(|| Does::Answers(crate::kit::wire::bytes(599, "not in the script")));
        if perform(&mut stream, does, &seen).await.is_none() {
            return;
        }
    }
}

/// None once the connection is over.
async fn perform(
    stream: &mut TcpStream,
    does: Does,
    seen: &watch::Sender<(usize, usize)>,
) -> Option<()> {
    let gone = || seen.send_modify(|(_, gone)| *gone += 1);
    match does {
        Does::Answers(answer) => {
            let bytes = [answer.sized(), answer.body].concat();
            stream.write_all(&bytes).await.ok()
        }
        Does::Chunks(answer) => {
            let bytes = [answer.chunked(&answer.body), b"0\r\n\r\n".to_vec()].concat();
            stream.write_all(&bytes).await.ok()
        }
        Does::Waits(time, answer) => {
            tokio::time::sleep(time).await;
            let bytes = [answer.sized(), answer.body].concat();
            stream.write_all(&bytes).await.ok()
        }
        Does::Holds(gate, answer) => {
            gate.passed().await;
            let bytes = [answer.sized(), answer.body].concat();
            stream.write_all(&bytes).await.ok()
        }
        Does::Closes | Does::Replies(_) => None,
        Does::Cuts(answer) => {
            let half = answer.body.len() / 2;
            let bytes = [answer.sized(), answer.body[..half].to_vec()].concat();
            stream.write_all(&bytes).await.ok()?;
            None
        }
        Does::CutsChunks(answer) => {
            let half = answer.body.len() / 2;
            stream
                .write_all(&answer.chunked(&answer.body[..half]))
                .await
                .ok()?;
            None
        }
        Does::Hangs => {
            let mut byte = [0];
            if !matches!(stream.read(&mut byte).await, Ok(1)) {
                gone();
            }
            None
        }
        Does::Trickles(answer) => {
            stream.write_all(&answer.sized()).await.ok()?;
            let held_back = answer.body.len().saturating_sub(1);
            for byte in answer.body.iter().take(held_back) {
                if stream.write_all(&[*byte]).await.is_err() {
                    gone();
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            None
        }
    }
}

/// A request; none once the caller has closed.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        (stream.read_buf(&mut body).await.ok()? > 0).then_some(())?;
    }
    Some(Received {
        method,
        target,
        headers,
        body,
    })
}
