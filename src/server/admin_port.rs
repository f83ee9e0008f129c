//! The admin port's connections: HTTP/1, so many at once, each request within a time.
//!
//! One too many ends the oldest: slow requests must not keep a probe out, whose failure would end the process.

use std::time::Duration;

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use super::crowd::Crowd;

/// Most connections at once. Probes and a few scrapers need a handful.
const CONNECTIONS: usize = 64;
/// How long a request's head may take, and a connection may wait for the next one.
const HEAD: Duration = Duration::from_secs(10);
/// How long an answer may take to be read.
const WHOLE: Duration = Duration::from_secs(60);
/// Most bytes of a request's head.
const BUFFER: usize = 16 * 1024;
/// After an error of the system's, as when descriptors are used up.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, routes: Router) {
    let mut connections = Crowd::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let routes = routes.clone().layer(Extension(ConnectInfo(peer)));
                connections.start(converse(stream, routes));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, routes: Router) {
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut conversation = std::pin::pin!(conversation);
    // Whoever breaks off, or is slow, is gone; there is nothing to say of it.
    let whole = tokio::time::timeout(WHOLE, conversation.as_mut()).await;
    if whole.is_err() {
        conversation.as_mut().graceful_shutdown();
        let _gone = tokio::time::timeout(HEAD, conversation).await;
    }
}
