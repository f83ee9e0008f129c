//! The fault proxy between the gateway and the providers' sandbox.
//!
//! It speaks what the gateway takes from it: HTTP/1.1 in plain text, or over TLS what ALPN agrees on. It
//! reads a request to its end, notes it in the ledger under the identifier it finds, and does what the
//! schedule says. A reset of a connection is a real one: RST, not an orderly end.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use identity_gateway::domain::verification::Provider;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Failed,
    certificate::H2,
    faults::{DELAY, Fault, Handshake, SLOW_HANDSHAKE, STALL},
    ledger::{Ledger, Reception, Trouble},
    line::{Carried, Freezing, Line},
    spoil::{Body, Cut, between, giant, half, trickle, unavailable, whole},
};

/// A proxy in front of one provider.
pub struct Proxy {
    /// What is received, and what happens to it.
    pub ledger: Arc<Ledger>,
    /// Whose place it takes.
    pub provider: Provider,
    /// Where the sandbox is.
    pub behind: SocketAddr,
    /// The way there.
    pub client: reqwest::Client,
    /// TLS, if it speaks it.
    pub tls: Option<TlsAcceptor>,
}

/// Serves until it is dropped; the connections end with it.
pub async fn serve(listener: TcpListener, proxy: Proxy) -> Result<(), Failed> {
    let proxy = Arc::new(proxy);
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        connections.spawn(converse(socket, Arc::clone(&proxy)));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection. Its end is the gateway's doing or a fault: both are no error here.
async fn converse(socket: TcpStream, proxy: Arc<Proxy>) {
    let ledger = Arc::clone(&proxy.ledger);
    let Ok((line, socket)) = Line::over(socket, proxy.provider, ledger) else {
        return;
    };
    match &proxy.tls {
        None => speak(socket, Arc::clone(&line), Arc::clone(&proxy)).await,
        Some(tls) => shake_hands(socket, tls, Arc::clone(&line), &proxy).await,
    }
    line.settle();
}

async fn shake_hands(socket: Freezing, tls: &TlsAcceptor, line: Arc<Line>, proxy: &Arc<Proxy>) {
    match proxy.ledger.handshake() {
        Handshake::Prompt => {}
        Handshake::Slow => {
            line.unmade();
            tokio::time::sleep(SLOW_HANDSHAKE).await;
        }
        Handshake::Silent => line.silent(),
    }
    let Ok(stream) = tls.accept(socket).await else {
        return;
    };
    line.settle();
    match stream.get_ref().1.alpn_protocol() {
        Some(H2) => speak_http2(stream, line, Arc::clone(proxy)).await,
        _ => speak(stream, line, Arc::clone(proxy)).await,
    }
}

/// HTTP/1.1.
async fn speak<S>(stream: S, line: Arc<Line>, proxy: Arc<Proxy>)
where
    TokioIo<S>: Read + Write + Unpin + 'static,
{
    let carrying = Arc::clone(&line);
    let service =
        service_fn(move |request| Arc::clone(&proxy).answer(request, Arc::clone(&carrying)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let talk = async {
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = line.leave.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ended = connection.await;
    };
    let _reset = line.end.run_until_cancelled(talk).await;
}

/// HTTP/2.
async fn speak_http2<S>(stream: S, line: Arc<Line>, proxy: Arc<Proxy>)
where
    TokioIo<S>: Read + Write + Unpin + 'static,
{
    let carrying = Arc::clone(&line);
    let service =
        service_fn(move |request| Arc::clone(&proxy).answer(request, Arc::clone(&carrying)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let talk = async {
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = line.leave.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ended = connection.await;
    };
    let _reset = line.end.run_until_cancelled(talk).await;
}

impl Proxy {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        line: Arc<Line>,
    ) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let multiplexed = parts.version == Version::HTTP_2;
        let body = body.collect().await.map_err(|_| Cut::Connection)?;
        let body = body.to_bytes();
        let identifier = identifier(parts.uri.query().unwrap_or_default(), &body);
        let Reception {
            fault,
            nth,
            latency,
        } = self.ledger.receive(&identifier);
        let carried = Arc::new(line.carry(&identifier, nth));
        if carried.is_lost() {
            return Err(Cut::Connection);
        }
        match fault {
            Fault::ResetBefore => return Err(carried.reset()),
            Fault::Refused => return Err(Cut::refused()),
            Fault::Down => return Ok(unavailable()),
            Fault::Delay => tokio::time::sleep(DELAY).await,
            Fault::Leave => line.leave.cancel(),
            _ => {}
        }
        // A task of its own: what has reached the provider is charged, whether or not the gateway
        // still waits for the answer.
        let asking = Arc::clone(&self).forward(parts, body, Arc::clone(&carried));
        let (head, body) = tokio::spawn(asking).await.map_err(|_| Cut::Connection)??;
        // It is charged from the moment it is here, however soon the gateway lets go of it. A sleep of no time
        // would still wait for the timer's next tick.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let mut response = Response::from_parts(head, whole(body.clone()));
        match fault {
            Fault::ResetAfter => return Err(carried.reset()),
            Fault::ResetStream => return Err(Cut::stream()),
            Fault::Freeze => {
                line.freeze();
                return std::future::pending().await;
            }
            Fault::BadGateway => return Ok(between(StatusCode::BAD_GATEWAY)),
            Fault::GatewayTimeout => return Ok(between(StatusCode::GATEWAY_TIMEOUT)),
            Fault::Stall => tokio::time::sleep(STALL).await,
            Fault::Truncated => {
                let promised = header::HeaderValue::from(body.len());
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, promised);
                let carried = Arc::clone(&carried);
                *response.body_mut() = half(&body, move || match multiplexed {
                    true => Cut::stream(),
                    false => carried.reset(),
                });
            }
            Fault::Trickle => *response.body_mut() = trickle(body, DELAY),
            Fault::TrickleSlow => *response.body_mut() = trickle(body, STALL),
            Fault::Giant => *response.body_mut() = giant(body),
            Fault::HangUp => carried.hang_up(),
            _ => {}
        }
        let crowded = (fault == Fault::Giant && multiplexed)
            .then(|| self.ledger.during(self.provider, Trouble::Crowded));
        // Carried until the last of it has been taken.
        Ok(response.map(|body| {
            let carry = move |frame| {
                let _until_the_end = (&carried, &crowded);
                frame
            };
            body.map_frame(carry).boxed_unsync()
        }))
    }

    async fn forward(
        self: Arc<Self>,
        mut parts: http::request::Parts,
        body: Bytes,
        carried: Arc<Carried>,
    ) -> Result<(http::response::Parts, Bytes), Cut> {
        parts.headers.remove(header::HOST);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{}{path}", self.behind);
        let sent = self
            .client
            .request(parts.method, url)
            .headers(parts.headers);
        let answer = sent.body(body).send().await;
        let answer = answer.map_err(|_| Cut::Connection)?;
        if answer.status().is_success() || answer.status() == 404 {
            carried.charge();
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
        let whole = answer.bytes().await.map_err(|_| Cut::Connection)?;
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
