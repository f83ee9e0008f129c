use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::{body, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    call::handed::Handed,
    server::{
        listener::{
            frames::{END_STREAM, Frame, HEADERS, PING, RST_STREAM, tests::bytes},
            places::Places,
        },
        quota::Quota,
    },
};

fn held(bytes: usize) -> Held {
    Held::new(
        Quota::new(bytes).share(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        1000,
    )
}

/// Counts what is written.
struct Counted {
    connection: Connection,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut this.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut this.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(context)
    }
}

/// As of gRPC: headers, a message, trailers.
async fn reply(
    _: Request<hyper::body::Incoming>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Bytes::from(vec![7; 600]);
    let frames = [
        Ok(body::Frame::data(message)),
        Ok(body::Frame::trailers(trailers)),
    ];
    Ok(Response::new(StreamBody::new(tokio_stream::iter(frames))))
}

/// A connection whose preface is read, and its client.
async fn connected() -> (Connection, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, address) = listener.accept().await.unwrap();
    let place = Places::new(1, 1)
        .take(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .unwrap();
    let peer = Peer::new(address, None);
    let mut connection = Connection::new(Io::Plain(stream), peer, place, held(1 << 20));
    connection.first = &[];
    (connection, client)
}

/// What the client sends after the gateway's own end, whether it closes then, and whether the reply comes back.
#[tokio::test(start_paused = true)]
async fn after_our_own_end_the_clients_is_waited_for_and_what_it_sends_counts() {
    const REPLIED: u32 = 1;
    for (sends, closes, comes_back) in [
        (bytes(RST_STREAM, 0, REPLIED, 4), true, true),
        (bytes(RST_STREAM, 0, REPLIED, 4), false, true),
        (bytes(PING, 0, 0, 8), true, false),
        (Vec::new(), true, false),
        (Vec::new(), false, false),
    ] {
        let (mut connection, mut client) = connected().await;
        let deliveries = connection.deliveries();
        let frame = |kind, flags| Frame {
            kind,
            flags,
            stream: REPLIED,
            length: 0,
        };
        deliveries.read(&frame(HEADERS, END_STREAM));
        let back = Arc::<AtomicUsize>::default();
        let counts = Arc::clone(&back);
        let answer = Handed::new(100, move || {
            counts.fetch_add(1, Ordering::Relaxed);
        });
        let begun = tokio::time::Instant::now();
        deliveries.begin().unwrap().begins(answer, begun + PAUSE);
        deliveries.wrote(&frame(HEADERS, END_STREAM));
        let ended = tokio::spawn(async move { connection.shutdown().await });
        assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 0, "our own end");
        client.write_all(&sends).await.unwrap();
        // Nothing was reset by then.
        tokio::time::sleep(PAUSE).await;
        client.write_all(&bytes(PING, 0, 0, 8)).await.unwrap();
        if closes {
            client.shutdown().await.unwrap();
        }
        ended.await.unwrap().unwrap();
        assert_eq!(begun.elapsed() < delivery::LINGER, closes);
        assert_eq!(back.load(Ordering::Relaxed), usize::from(comes_back));
    }
}

#[tokio::test]
async fn a_reply_with_its_trailers_is_written_in_one_piece() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut stream, address) = listener.accept().await.unwrap();
    let (mut requests, talk) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
    tokio::spawn(talk);
    // As `preface::read` leaves it: the first bytes are read.
    let mut preface = vec![0; PREFACE.len()];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut preface)
        .await
        .unwrap();
    let place = Places::new(1, 1)
        .take(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .unwrap();
    let peer = Peer::new(address, None);
    let writes = Arc::<AtomicUsize>::default();
    let counted = Counted {
        connection: Connection::new(Io::Plain(stream), peer, place, held(1 << 20)),
        writes: Arc::clone(&writes),
    };
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(server.serve_connection(TokioIo::new(counted), service_fn(reply)));

    let mut ask = async || {
        let request = Request::new(Empty::<Bytes>::new());
        let answer = requests.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(body.to_bytes().len(), 600);
    };
    // Settings are exchanged with the first.
    ask().await;
    let before = writes.load(Ordering::Relaxed);
    for _ in 0..10 {
        ask().await;
    }
    assert_eq!(writes.load(Ordering::Relaxed) - before, 10);
}
