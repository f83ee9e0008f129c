//! The HTTP client of one provider: its connections, and which of them takes a request now.
//!
//! - **HTTP/2**, if the provider agrees to it in TLS: one connection at a time carries everything. Another is
//!   dialled once it says that it closes (GOAWAY), ends, or is silent ([`keep_alive`]).
//! - **HTTP/1**: a connection for each request in flight; what is done waits a moment for the next one.
//!
//! Nothing is sent while it is dialled, and nothing twice: a request is handed to a connection that is ready
//! for it, or the caller hears that none was. A caller that gives up during the dial takes nothing along; an
//! HTTP/2 connection is dialled on for the others.

mod dial;
mod fetch;
mod fetch_error;
mod http1;
mod http2;
mod keep_alive;
mod proxy;
mod streams;

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http::{HeaderMap, HeaderValue, Method, Response, header};
use rustls::ClientConfig;
use url::Url;

use self::{
    dial::{Dialed, Dialer},
    http1::{Http1, Idle},
    http2::{Http2, Stream},
};
pub use self::{fetch::Documents, fetch_error::FetchError, keep_alive::KeepAlive};
use super::{Request, address::Address};
use crate::domain::{redaction::Secret, verification::Provider};

/// How a provider calls who asks.
const USER_AGENT: &str = concat!("identity-gateway/", env!("CARGO_PKG_VERSION"));

/// What cannot be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The provider's URL.
    #[error("base_url is not a URL of HTTP")]
    Base,
    /// The proxy's URL. It may hold a password, so it is not shown.
    #[error("proxy is not the URL of an HTTP proxy")]
    Proxy,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It never left.
    NotSent,
    /// It left, and its connection says that nothing was done with it (RFC 9113, 8.7).
    NotProcessed,
    /// It left, and nobody knows.
    Unknown,
}

/// No connection could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotConnected;

/// How one provider is reached.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Who it is, for the log.
    pub provider: Provider,
    /// Where its paths begin.
    pub base_url: &'a Url,
    /// The proxy on the way there.
    pub proxy: Option<&'a Secret>,
    /// How long a connection may take, until it is ready for a request.
    pub connect_timeout: Duration,
    /// When an HTTP/2 connection counts as dead.
    pub keep_alive: KeepAlive,
    /// Most requests in flight.
    pub max_in_flight: usize,
    /// How many bytes of answers may lie unread in the connections of HTTP/2 together.
    pub unread: usize,
}

/// The client of one provider.
pub struct Client {
    address: Address,
    shared: Arc<Connections>,
}

struct Connections {
    dialer: Dialer,
    idle: Arc<Idle>,
    state: Mutex<State>,
}

/// A dial that several wait for; its connection, or none if HTTP/1 is spoken.
type Dialing = Shared<BoxFuture<'static, Result<Option<Arc<Http2>>, NotConnected>>>;

#[derive(Default)]
struct State {
    /// What takes every request, where HTTP/2 is spoken.
    current: Option<Arc<Http2>>,
    /// The dial that everybody waits for.
    dialing: Option<Dialing>,
    /// HTTP/1 is spoken: each request dials for itself.
    alone: bool,
}

/// A connection that takes a request, for HTTP/2 once there is a stream for it.
pub enum Connection {
    /// One for this request alone.
    Http1(Http1),
    /// One that others use too.
    Http2(Arc<Http2>),
}

/// A place for one request on a connection.
pub enum Ready {
    /// A whole connection.
    Http1(Http1),
    /// A stream of one.
    Http2(Stream),
}

impl Client {
    /// A client without a connection.
    ///
    /// # Errors
    ///
    /// If a URL cannot be dialled.
    pub fn new(settings: &Settings<'_>, tls: ClientConfig) -> Result<Self, AddressError> {
        let dialer = Dialer::new(settings, tls)?;
        let alone = !dialer.is_over_tls();
        Ok(Self {
            address: Address::new(settings.base_url.clone())?,
            shared: Arc::new(Connections {
                dialer,
                idle: Arc::default(),
                state: Mutex::new(State {
                    alone,
                    ..State::default()
                }),
            }),
        })
    }

    /// A connection, dialled if there is none.
    ///
    /// # Errors
    ///
    /// If none can be made, or not in time.
    pub async fn connection(&self) -> Result<Connection, NotConnected> {
        loop {
            if let Some(http1) = self.shared.idle.take() {
                return Ok(Connection::Http1(http1));
            }
            let dialing = {
                let mut state = self.shared.state();
                if let Some(current) = state.usable() {
                    return Ok(Connection::Http2(current));
                }
                (!state.alone).then(|| {
                    let dialing = &mut state.dialing;
                    let dial = || Arc::clone(&self.shared).dial_for_all();
                    dialing.get_or_insert_with(dial).clone()
                })
            };
            match dialing {
                None => return self.shared.dial_alone().await,
                Some(dialing) => {
                    if let Some(http2) = dialing.await? {
                        return Ok(Connection::Http2(http2));
                    }
                    // HTTP/1 is spoken, which one of those who waited takes.
                }
            }
        }
    }

    /// Hands a request over. `leaves` is called when that is done, and not if there is no way to.
    ///
    /// # Errors
    ///
    /// What is known of a request that has no answer.
    pub async fn send(
        &self,
        ready: Ready,
        request: &Request,
        mut headers: HeaderMap,
        leaves: impl FnOnce(),
    ) -> Result<Response<Body>, Lost> {
        let body = request.body.clone().unwrap_or_default();
        let agent = HeaderValue::from_static(USER_AGENT);
        headers.insert(header::USER_AGENT, agent);
        let accept = headers.entry(header::ACCEPT);
        accept.or_insert(const { HeaderValue::from_static("*/*") });
        let uri = match &ready {
            Ready::Http1(_) => {
                headers.insert(header::HOST, self.address.host().clone());
                self.address.of(request).map(Into::into)
            }
            Ready::Http2(_) => {
                // HTTP/1's own way is to state it by itself.
                if !body.is_empty() || request.method == Method::POST {
                    headers.insert(header::CONTENT_LENGTH, body.len().into());
                }
                self.address.absolute(request)
            }
        };
        let mut head = http::Request::new(());
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = uri.ok_or(Lost::NotSent)?;
        *head.headers_mut() = headers;
        match ready {
            Ready::Http1(connection) => {
                leaves();
                let answered = connection.send(head.map(|()| body.into())).await?;
                Ok(answered.map(Body::Http1))
            }
            Ready::Http2(stream) => {
                let answered = stream.send(head, body, leaves).await?;
                Ok(answered.map(Body::Http2))
            }
        }
    }
}

/// The body of an answer.
pub enum Body {
    /// Of HTTP/1.
    Http1(http1::Body),
    /// Of HTTP/2.
    Http2(http2::Body),
}

impl Body {
    /// The next piece, which is never empty; none at the end.
    ///
    /// # Errors
    ///
    /// If the connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Lost> {
        match self {
            Self::Http1(body) => body.chunk().await,
            Self::Http2(body) => body.chunk().await,
        }
    }
}

impl State {
    fn usable(&mut self) -> Option<Arc<Http2>> {
        self.current = self.current.take().filter(|current| !current.is_retired());
        self.current.clone()
    }
}

impl Connections {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials, whoever still waits: what is dialled is there for all. None if HTTP/1 is spoken.
    fn dial_for_all(self: Arc<Self>) -> Dialing {
        let dialing = tokio::spawn(async move {
            // A defect must not be waited for for ever.
            let dialing = AssertUnwindSafe(self.dialer.dial()).catch_unwind();
            let dialed = dialing.await.unwrap_or(Err(NotConnected));
            let mut state = self.state();
            state.dialing = None;
            match dialed? {
                Dialed::Http2(http2) => {
                    state.current = Some(Arc::clone(&http2));
                    Ok(Some(http2))
                }
                Dialed::Http1(sender) => {
                    state.alone = true;
                    self.idle.put(sender);
                    Ok(None)
                }
            }
        });
        let dialed = dialing.map(|ended| ended.unwrap_or(Err(NotConnected)));
        dialed.boxed().shared()
    }

    /// Dials for one request; the dial ends with its caller.
    async fn dial_alone(&self) -> Result<Connection, NotConnected> {
        match self.dialer.dial().await? {
            Dialed::Http1(sender) => Ok(Connection::Http1(Http1::new(sender, &self.idle))),
            Dialed::Http2(dialed) => {
                // It has learnt HTTP/2 meanwhile. Of several that find out, one is used.
                let mut state = self.state();
                state.alone = false;
                let http2 = state.usable().unwrap_or(dialed);
                state.current = Some(Arc::clone(&http2));
                Ok(Connection::Http2(http2))
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client([redacted])")
    }
}
