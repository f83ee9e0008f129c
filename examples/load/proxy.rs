//! The fault proxy between the gateway and the providers' sandbox.
//!
//! It reads a request to its end, notes it in the ledger under the identifier it finds, and does what
//! the schedule says. A reset is a real one: RST, not an orderly end.

use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_socket_linger;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Failed,
    faults::{DELAY, Fault, STALL},
    ledger::Ledger,
    spoil::{Body, Cut, FLUSH, giant, half, trickle, unavailable, whole},
};

struct Proxy {
    ledger: Arc<Ledger>,
    provider: SocketAddr,
    client: reqwest::Client,
}

/// Serves until it is dropped; the connections end with it.
pub async fn serve(
    listener: TcpListener,
    provider: SocketAddr,
    ledger: Arc<Ledger>,
) -> Result<(), Failed> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .build()?;
    let proxy = Arc::new(Proxy {
        ledger,
        provider,
        client,
    });
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        connections.spawn(converse(socket, Arc::clone(&proxy)));
        while connections.try_join_next().is_some() {}
    }
}

/// How a connection can be made to end, and whom that would hit.
struct Line {
    /// A second handle on the socket: the server owns the first.
    socket: OwnedFd,
    end: CancellationToken,
    /// The last request that was received on it.
    last: Mutex<Option<(String, usize)>>,
}

impl Line {
    fn reset(&self) -> Cut {
        // Without it the end would be an orderly one, which is a fault too, if a milder one.
        let _is_rst = set_socket_linger(&self.socket, Some(Duration::ZERO));
        self.end.cancel();
        Cut
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, usize)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection. Its end is the gateway's doing or a fault: both are no error here.
async fn converse(socket: TcpStream, proxy: Arc<Proxy>) {
    let _ = socket.set_nodelay(true);
    let Ok(handle) = socket.as_fd().try_clone_to_owned() else {
        return;
    };
    let line = Arc::new(Line {
        socket: handle,
        end: CancellationToken::new(),
        last: Mutex::default(),
    });
    let end = line.end.clone();
    let service = service_fn(move |request| {
        let (proxy, line) = (Arc::clone(&proxy), Arc::clone(&line));
        async move { proxy.answer(request, line).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    let _ended = end.run_until_cancelled(connection).await;
}

impl Proxy {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        line: Arc<Line>,
    ) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let identifier = identifier(parts.uri.query().unwrap_or_default(), &body);
        let (fault, nth) = self.ledger.receive(&identifier);
        *line.last() = Some((identifier.clone(), nth));
        if line.end.is_cancelled() {
            self.ledger.lose(&identifier, nth);
            return Err(Cut);
        }
        match fault {
            Fault::ResetBefore => return Err(line.reset()),
            Fault::Down => return Ok(unavailable()),
            Fault::Delay => tokio::time::sleep(DELAY).await,
            _ => {}
        }
        // A task of its own: what has reached the provider is charged, whether or not the gateway
        // still waits for the answer.
        let asking = Arc::clone(&self).forward(parts, body, (identifier.clone(), nth));
        let (head, body) = tokio::spawn(asking).await.map_err(|_| Cut)??;
        let mut response = Response::from_parts(head, whole(body.clone()));
        match fault {
            Fault::ResetAfter => return Err(line.reset()),
            Fault::Stall => tokio::time::sleep(STALL).await,
            Fault::Truncated => {
                let promised = header::HeaderValue::from(body.len());
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, promised);
                *response.body_mut() = half(&body, move || line.reset());
            }
            Fault::Trickle => *response.body_mut() = trickle(body, DELAY),
            Fault::TrickleSlow => *response.body_mut() = trickle(body, STALL),
            Fault::Giant => *response.body_mut() = giant(body),
            Fault::HangUp => self.hang_up(line, (identifier, nth)),
            _ => {}
        }
        Ok(response)
    }

    /// Resets the connection when the answer has arrived, and the gateway may already have taken the
    /// connection for its next request.
    fn hang_up(&self, line: Arc<Line>, answered: (String, usize)) {
        let ledger = Arc::clone(&self.ledger);
        tokio::spawn(async move {
            tokio::time::sleep(FLUSH).await;
            let _cut = line.reset();
            let last = line.last().take();
            if let Some((identifier, nth)) = last.filter(|last| *last != answered) {
                ledger.lose(&identifier, nth);
            }
        });
    }

    async fn forward(
        self: Arc<Self>,
        mut parts: http::request::Parts,
        body: Bytes,
        (identifier, nth): (String, usize),
    ) -> Result<(http::response::Parts, Bytes), Cut> {
        parts.headers.remove(header::HOST);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{}{path}", self.provider);
        let sent = self
            .client
            .request(parts.method, url)
            .headers(parts.headers);
        let answer = sent.body(body).send().await.map_err(|_| Cut)?;
        if answer.status().is_success() || answer.status() == 404 {
            self.ledger.charge(&identifier, nth);
        }
        let mut head = Response::new(());
        *head.status_mut() = answer.status();
        *head.headers_mut() = answer.headers().clone();
        for ours in [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
        ] {
            head.headers_mut().remove(ours);
        }
        let whole = answer.bytes().await.map_err(|_| Cut)?;
        Ok((head.into_parts().0, whole))
    }
}

/// The identifier in a query or a JSON body, under any of the providers' names for it.
fn identifier(query: &str, body: &[u8]) -> String {
    let in_query = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "documentNumber")
        .map(|(_, value)| value.into_owned());
    let in_body = || {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let names = ["id", "id_number", "documentNumber"];
        let found = names.iter().find_map(|name| body.get(name)?.as_str());
        found.map(str::to_owned)
    };
    in_query.or_else(in_body).unwrap_or_default()
}
