//! The HTTP client of OTLP over HTTP.
//!
//! The SDK's threads belong to no runtime, so requests run as tasks of the one that the client was made in.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::ClientConfig;
use tokio::runtime::Handle;

/// What a collector answers is small.
const MOST: usize = 1024 * 1024;

/// What broke the last export, in the words of the libraries.
pub(super) type LastError = Arc<Mutex<Option<String>>>;

/// The client.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    timeout: Duration,
    last_error: LastError,
}

impl Client {
    /// Needs a runtime.
    pub fn new(tls: ClientConfig, timeout: Duration, last_error: LastError) -> Self {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            pool,
            runtime: Handle::current(),
            timeout,
            last_error,
        }
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(&'a self, request: Request<Bytes>) -> Sent<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let pool = self.pool.clone();
        let exchange = async move {
            let response = pool.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MOST).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        let timeout = self.timeout;
        // The timer, too, needs the runtime.
        let exchange = async move { tokio::time::timeout(timeout, exchange).await };
        let exchange = self.runtime.spawn(exchange);
        Box::pin(async move {
            let answered = match exchange.await {
                Ok(Ok(answered)) => answered,
                Ok(Err(_elapsed)) => Err("timeout".into()),
                Err(_shutdown) => Err("the process ends".into()),
            };
            let mut last = self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = answered.as_ref().err().map(|error| chain(&**error));
            drop(last);
            answered
        })
    }
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
