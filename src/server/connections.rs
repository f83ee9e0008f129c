//! HTTP/2 on every connection, until its client leaves, the process does, the connection has grown old, or the client's
//! certificate ends.
//!
//! To leave is to say GOAWAY: the client takes its next call elsewhere, and what is in flight is finished. That is
//! said a little before a certificate expires, so that a client which has a new one by then comes over with it
//! and no call fails; and at once when a certificate is revoked or its CA taken away. After that calls are refused.
//! Streams that would not end by themselves (a health watch, reflection) are ended a moment later: clients that follow
//! GOAWAY have left them by then.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower_service::Service;

use super::{
    deadline,
    delivery::Deliveries,
    lifecycle::{Lifecycle, Phase},
    listener::Connection,
    passing::{self, Leaving},
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

/// How long after GOAWAY streams that would not end are ended. At once would be too early: a client that hears of the end
/// of its health watch before it has read GOAWAY takes this gateway for ill, and fails calls.
const MOMENT: Duration = Duration::from_secs(1);
/// By what part connections grow older or younger than configured: those of a restart shall not all end at once.
const JITTER: f64 = 0.1;

#[cfg(test)]
mod tests;

/// How connections are served.
#[derive(Debug, Clone)]
pub struct Connections {
    http2: http2::Builder<Streams>,
    lifecycle: Lifecycle,
    /// How long calls in flight may take after the certificate has ended.
    grace: Duration,
    /// How old connections grow; zero is without limit.
    max_age: Duration,
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
            max_age: settings.max_connection_age.get(),
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
        let deliveries = connection.deliveries();
        let leaving = Leaving::default();
        let calls = Calls {
            service,
            peer,
            deliveries,
            leaving: leaving.clone(),
        };
        let mut served = pin!(self.http2.serve_connection(TokioIo::new(connection), calls));
        // What breaks a connection is the client's to hear of; its calls are told of by themselves.
        tokio::select! {
            _ended = &mut served => return,
            () = self.lifecycle.reached(Phase::Draining) => {}
            () = about_to_end(certificate.as_deref()) => {}
            () = grows_old(self.max_age, fastrand::f64()) => {}
        }
        served.as_mut().graceful_shutdown();
        tokio::select! {
            _ended = &mut served => {}
            () = self.cut_off(certificate.as_deref()) => {}
            () = outlasts_every_call(&leaving) => {}
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

/// Waits until a connection has grown old, of which `chance` (0 to 1) says when exactly.
async fn grows_old(max_age: Duration, chance: f64) {
    if max_age.is_zero() {
        return std::future::pending().await;
    }
    let part = JITTER.mul_add(2.0 * chance - 1.0, 1.0);
    tokio::time::sleep(max_age.mul_f64(part)).await;
}

/// Ends streams that would not end, and waits until no call that began before can still be under way: no sooner, for none
/// shall fail. What is left then is a client that does not let go.
async fn outlasts_every_call(leaving: &Leaving) {
    tokio::time::sleep(MOMENT).await;
    leaving.now();
    tokio::time::sleep(deadline::MAX_TIMEOUT).await;
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

/// The calls of one connection: each says who is at its other end, and is begun in the order of its stream.
#[derive(Debug, Clone)]
struct Calls<S> {
    service: S,
    peer: Peer,
    deliveries: Arc<Deliveries>,
    leaving: Leaving,
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
        if passing::is_passing(request.uri().path()) {
            request.extensions_mut().insert(self.leaving.clone());
        }
        let extensions = request.extensions_mut();
        extensions.insert(self.peer.clone());
        if let Some(delivery) = self.deliveries.begin() {
            extensions.insert(delivery);
        }
        // Layers and routes are always ready: what limits calls is in them and answers by itself.
        self.service.clone().call(request)
    }
}
