//! HTTP/2 on every connection, until its client leaves, the process does, or the client's certificate ends.
//!
//! To leave is to say GOAWAY: the client takes its next call elsewhere, and what is in flight is finished. That is
//! said a little before a certificate expires, so that a client which has a new one by then comes over with it
//! and no call fails; and at once when a certificate is revoked or its CA taken away. After that calls are refused, and
//! streams that do not end (a health watch) are cut off with the connection.

use std::{convert::Infallible, pin::pin, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower_service::Service;

use super::{
    lifecycle::{Lifecycle, Phase},
    listener::Connection,
    stream::Streams,
};
use crate::{
    auth::peer::{ClientCertificate, Peer},
    config,
};

/// Streams of one connection that its client reset before anybody saw them, and streams that were reset
/// because they broke the protocol: one more ends the connection. A proxy whose callers all give up in a
/// moment of overload has some of the first, nobody honest has any of the second.
const PENDING_RESETS: usize = 100;
const LOCAL_RESETS: usize = 1024;
/// The least number of streams that one connection may have: a mesh sends all of a node's calls
/// through a few.
const MIN_STREAMS: u32 = 4096;

/// How connections are served.
#[derive(Debug, Clone)]
pub struct Connections {
    http2: http2::Builder<Streams>,
    lifecycle: Lifecycle,
    /// How long calls in flight may take after the certificate has ended.
    grace: Duration,
}

impl Connections {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &config::Server, lifecycle: Lifecycle) -> Self {
        let mut http2 = http2::Builder::new(Streams);
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(settings.keepalive_interval.get())
            .keep_alive_timeout(settings.keepalive_timeout.get())
            .max_concurrent_streams(streams(settings.max_in_flight))
            .max_header_list_size(settings.max_header_bytes)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(LOCAL_RESETS);
        Self {
            http2,
            lifecycle,
            grace: settings.drain_timeout.get(),
        }
    }

    /// Serves what comes in until the process drains; returns when every connection has ended.
    pub async fn serve<S>(self, incoming: impl Stream<Item = Connection>, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let tasks = TaskTracker::new();
        // The port is closed before the calls in flight have ended: a new client shall not wait at it.
        {
            let mut incoming = pin!(incoming);
            let mut draining = pin!(self.lifecycle.reached(Phase::Draining));
            loop {
                tokio::select! {
                    () = &mut draining => break,
                    connection = incoming.next() => match connection {
                        Some(connection) => {
                            tasks.spawn(self.clone().one(connection, service.clone()));
                        }
                        None => break,
                    },
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn one<S>(self, connection: Connection, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let peer = connection.peer().clone();
        let certificate = peer.certificate.clone();
        let calls = Calls { service, peer };
        let mut served = pin!(self.http2.serve_connection(TokioIo::new(connection), calls));
        // What breaks a connection is the client's to hear of; its calls are told of by themselves.
        tokio::select! {
            _ended = &mut served => return,
            () = self.lifecycle.reached(Phase::Draining) => {}
            () = about_to_end(certificate.as_deref()) => {}
        }
        served.as_mut().graceful_shutdown();
        tokio::select! {
            _ended = &mut served => {}
            () = self.cut_off(certificate.as_deref()) => {}
        }
    }

    async fn cut_off(&self, certificate: Option<&dyn ClientCertificate>) {
        match certificate {
            Some(certificate) => certificate.ended().await,
            None => std::future::pending().await,
        }
        tokio::time::sleep(self.grace).await;
    }
}

async fn about_to_end(certificate: Option<&dyn ClientCertificate>) {
    match certificate {
        Some(certificate) => certificate.about_to_end().await,
        None => std::future::pending().await,
    }
}

/// Streams of one connection. More than there are places: over the limit a client waits in silence
/// for a stream, and so would health on the same connection; it shall hear OVERLOADED instead.
fn streams(max_in_flight: usize) -> u32 {
    let twice = max_in_flight.saturating_mul(2);
    u32::try_from(twice).unwrap_or(u32::MAX).max(MIN_STREAMS)
}

/// The calls of one connection: each says who is at its other end.
#[derive(Debug, Clone)]
struct Calls<S> {
    service: S,
    peer: Peer,
}

impl<S> hyper::service::Service<Request<Incoming>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        // Layers and routes are always ready: what limits calls is in them and answers by itself.
        self.service.clone().call(request)
    }
}
