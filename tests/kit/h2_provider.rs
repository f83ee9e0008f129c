//! A provider over HTTP/2 and TLS that does to each request what the test says, and to its connections what a
//! balancer, a frozen backend or a maintenance does.
//!
//! It needs `certs.rs` beside it:
//!
//! ```ignore
//! let ca = Ca::new("provider's");
//! let provider = H2Provider::start(&ca.issue(&["127.0.0.1"]), H2Settings::default()).await;
//! // IDGW_PROVIDERS__<P>__BASE_URL = provider.url(), IDGW_PROVIDERS__<P>__CA_FILE = a file with ca.pem()
//! provider.next([Act::Refuses]);      // the next requests, in order; after them…
//! provider.always(Act::found());      // …every request
//! provider.freeze();                  // connections that are open go deaf, new ones are well
//! ```

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{self, Connection, SendResponse},
};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::kit::certs::Pair;

/// What the provider does with a request that it has read to the end.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with a status, headers and a body; a body of `None` is that of somebody found, in the words of
    /// whoever is asked.
    Answers(u16, Vec<(&'static str, String)>, Option<Bytes>),
    /// Waits, then does something else.
    Waits(Duration, Box<Act>),
    /// Never answers.
    Hangs,
    /// Resets the stream with this reason; `REFUSED_STREAM` says that nothing was done.
    Resets(Reason),
    /// Sends the head and half of the body, and resets the stream.
    Cuts,
    /// Does something else, and says that the connection takes no further request (GOAWAY).
    AndCloses(Box<Act>),
    /// Says that the connection ends at once (GOAWAY), and ends it; the request counts as seen.
    Ends,
}

impl Act {
    /// Somebody was found.
    pub fn found() -> Self {
        Self::Answers(200, Vec::new(), None)
    }

    /// Somebody was found, and the connection takes no further request.
    pub fn found_and_closes() -> Self {
        Self::AndCloses(Box::new(Self::found()))
    }

    /// Somebody is found after a while.
    pub fn found_after(wait: Duration) -> Self {
        Self::Waits(wait, Box::new(Self::found()))
    }
}

/// How its connections begin.
#[derive(Clone, Copy, Debug, Default)]
pub struct H2Settings {
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub streams: Option<u32>,
    /// How long its SETTINGS take to come, after TLS.
    pub slow: Duration,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The connection that it came on, from 0.
    pub connection: usize,
}

/// What the provider makes of a request.
type Script = Arc<dyn Fn(&Received) -> Act + Send + Sync>;

#[derive(Default)]
struct Shared {
    next: Mutex<VecDeque<Act>>,
    script: Mutex<Option<Script>>,
    always: Mutex<Option<Act>>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    reset: AtomicUsize,
    settings: H2Settings,
    /// Connections below this number are frozen.
    frozen: watch::Sender<usize>,
}

/// A running provider. It ends with the test's runtime.
#[derive(Clone)]
pub struct H2Provider {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl H2Provider {
    pub async fn start(pair: &Pair, settings: H2Settings) -> Self {
        crate::kit::certs::crypto();
        let mut tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![pair.der()], pair.private_key())
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            settings,
            ..Shared::default()
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&accepting));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                        serve(stream, number, shared).await;
                    }
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What happens to the next requests, in order. Those after them are found.
    pub fn next(&self, acts: impl IntoIterator<Item = Act>) {
        *self.shared.next.lock().unwrap() = acts.into_iter().collect();
    }

    /// What happens to every request that `next` does not name.
    pub fn always(&self, act: Act) {
        *self.shared.always.lock().unwrap() = Some(act);
    }

    /// What happens to every request that `next` does not name, by what it is.
    pub fn follow(&self, script: impl Fn(&Received) -> Act + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Some(Arc::new(script));
    }

    /// Connections that are open are not read or written any more, and stay open. New ones are well.
    pub fn freeze(&self) {
        let open = self.connections();
        self.shared.frozen.send_replace(open);
    }

    /// What was frozen goes on where it was.
    pub fn thaw(&self) {
        self.shared.frozen.send_replace(0);
    }

    /// Every request that arrived whole.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests were in flight at a time, at most.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// How many requests the gateway reset before they were answered.
    pub fn reset(&self) -> usize {
        self.shared.reset.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TlsStream<TcpStream>, number: usize, shared: Arc<Shared>) {
    tokio::time::sleep(shared.settings.slow).await;
    let mut builder = server::Builder::new();
    if let Some(streams) = shared.settings.streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let (close, mut closing) = tokio::sync::mpsc::unbounded_channel();
    let mut frozen = shared.frozen.subscribe();
    loop {
        tokio::select! {
            biased;
            // What it returns is a lock.
            () = async { drop(frozen.wait_for(|below| number < *below).await) } => {
                drop(frozen.wait_for(|below| number >= *below).await);
            }
            Some(end) = closing.recv() => closes(&mut connection, end),
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    let (shared, close) = (Arc::clone(&shared), close.clone());
                    tokio::spawn(async move {
                        let end = answer(request, respond, number, &shared).await;
                        if let Some(end) = end {
                            let _gone = close.send(end);
                        }
                    });
                }
                _ => return,
            },
        }
    }
}

/// How a connection ends.
enum End {
    Gracefully,
    Now,
}

fn closes(connection: &mut Connection<TlsStream<TcpStream>, Bytes>, end: End) {
    match end {
        End::Gracefully => connection.graceful_shutdown(),
        End::Now => connection.abrupt_shutdown(Reason::NO_ERROR),
    }
}

/// Leaves when the request is answered, reset or dropped.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: usize,
    shared: &Shared,
) -> Option<End> {
    let _in_flight = InFlight::enter(shared);
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = incoming.data().await {
        let chunk = chunk.ok()?;
        let _released = incoming.flow_control().release_capacity(chunk.len());
        body.extend_from_slice(&chunk);
    }
    let path = head.uri.path().to_owned();
    let received = Received {
        method: head.method.to_string(),
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers,
        body: body.into(),
        connection,
    };
    shared.received.lock().unwrap().push(received.clone());
    let mut act = shared.next.lock().unwrap().pop_front();
    if act.is_none() {
        let script = shared.script.lock().unwrap().clone();
        act = script.map(|script| script(&received));
    }
    if act.is_none() {
        act = shared.always.lock().unwrap().clone();
    }
    let mut act = act.unwrap_or_else(Act::found);
    let mut end = None;
    loop {
        act = match act {
            Act::Waits(wait, then) => {
                tokio::select! {
                    () = tokio::time::sleep(wait) => *then,
                    _ = std::future::poll_fn(|context| respond.poll_reset(context)) => {
                        shared.reset.fetch_add(1, Ordering::SeqCst);
                        return None;
                    }
                }
            }
            Act::Answers(status, headers, body) => {
                let body = body.unwrap_or_else(|| found(&path));
                let mut answer = Response::builder().status(status);
                for (name, value) in headers {
                    answer = answer.header(name, value);
                }
                say(&mut respond, answer, body);
                return end;
            }
            Act::AndCloses(then) => {
                end = Some(End::Gracefully);
                *then
            }
            Act::Cuts => {
                let body = found(&path);
                let answer = Response::builder().body(()).unwrap();
                let mut stream = respond.send_response(answer, false).ok()?;
                stream.send_data(body.slice(..body.len() / 2), false).ok()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
                return None;
            }
            Act::Hangs => {
                let _reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                shared.reset.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            Act::Resets(reason) => {
                respond.send_reset(reason);
                return None;
            }
            Act::Ends => return Some(End::Now),
        }
    }
}

fn say(respond: &mut SendResponse<Bytes>, answer: http::response::Builder, body: Bytes) {
    let answer = answer
        .header("content-type", "application/json")
        .header("content-length", body.len());
    // The gateway may have gone by now.
    if let Ok(mut stream) = respond.send_response(answer.body(()).unwrap(), false) {
        let _gone = stream.send_data(body, true);
    }
}

/// Somebody was found, in the words of whoever is asked.
fn found(path: &str) -> Bytes {
    let body = match path {
        path if path.contains("/verify/id_check") => {
            r#"{"request_id":"r-1","status":"OK","result_code":"0","result_message":"found","result":{"curp":"AAPR630321HDFLRC09","estatusCurp":"RCN"}}"#
        }
        path if path.contains("/id-scrub") => {
            r#"{"success":true,"statusCode":200,"message":"success","data":{"id":"y-1","status":"found"}}"#
        }
        _ => r#"{"data":{"documentNumber":"005015372","fullName":"EJEMPLO"},"id":"v-1"}"#,
    };
    Bytes::from_static(body.as_bytes())
}
