use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::Instant,
};
use tower::service_fn;

use super::*;
use crate::{
    server::listener::{Limits, incoming},
    setting::Span,
};

#[tokio::test]
async fn an_old_connection_takes_no_new_call_and_finishes_those_in_flight() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections: 10,
        per_peer: 10,
        handshakes: 10,
        handshake_timeout: Duration::from_secs(10),
        headers: 1000,
        held: 1 << 20,
    };
    let settings = config::Server {
        max_connection_age: Span::new(Duration::from_millis(100)),
        ..config::Server::default()
    };
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&end));
    let service = service_fn(move |request: Request<Body>| {
        let (begins, ends) = (Arc::clone(&begins), Arc::clone(&ends));
        async move {
            if request.uri().path() == "/slow" {
                begins.notify_one();
                ends.notified().await;
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let connections = Connections::new(&settings, Lifecycle::default());
    tokio::spawn(connections.serve(incoming(listener, None, &limits), service));

    let stream = TcpStream::connect(address).await.unwrap();
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(stream));
    let (mut requests, talk) = client.await.unwrap();
    let talk = tokio::spawn(talk);
    let call = |path| Request::builder().uri(path).body(Empty::<Bytes>::new());
    let first = tokio::spawn(requests.send_request(call("/slow").unwrap()));
    begun.notified().await;
    let until_refused =
        async { while requests.send_request(call("/quick").unwrap()).await.is_ok() {} };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, until_refused).await.unwrap();
    assert!(!first.is_finished(), "it was not cut off");
    end.notify_one();
    first.await.unwrap().unwrap();
    // That it ends is all: hyper may tell a client of GOAWAY as an error.
    let _ended = tokio::time::timeout(limit, talk).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_connection_grows_a_little_older_or_younger_than_said() {
    let minute = Duration::from_secs(60);
    for (max_age, chance, age) in [
        (minute, 0.0, Some(54)),
        (minute, 0.5, Some(60)),
        (minute, 1.0, Some(66)),
        (Duration::ZERO, 0.5, None),
    ] {
        let begun = Instant::now();
        let day = Duration::from_secs(24 * 3600);
        let grown = tokio::time::timeout(day, grows_old(max_age, chance)).await;
        let grown = grown.ok().map(|()| begun.elapsed().as_secs());
        assert_eq!(grown, age, "{chance}");
    }
}
