//! A provider over HTTP/2: what freezes, limits its streams, closes, or is not there, and what callers with
//! short deadlines are told of it.
// Long: one HTTP/2 backend, and every way in which a connection of it may fail.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use h2::Reason;
use rustix::net::{AddressFamily, SocketType};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    kit::{
        certs::{Ca, Mounted, Pair},
        client::Client,
        companies::curp_of,
        h2_provider::{Act, H2Provider, H2Settings},
        process::Process,
    },
    tls::{CURP, tls_provider::server_config, upstream::accuauth},
};

const SECOND: Duration = Duration::from_secs(1);

/// A gateway in front of a provider at this URL.
struct Stage {
    gateway: Process,
    client: Client,
    asked: AtomicUsize,
    _files: Mounted,
}

/// What a caller was told: code, reason, billing.
type Told = (Code, String, Option<String>);

fn told(status: &Status) -> Told {
    let info = status.get_details_error_info().unwrap();
    let billing = info.metadata.get("billing").cloned();
    (status.code(), info.reason, billing)
}

fn free(code: Code, reason: &str) -> Told {
    (code, reason.to_owned(), Some("not_billed".to_owned()))
}

fn unknown(code: Code, reason: &str) -> Told {
    (code, reason.to_owned(), Some("unknown".to_owned()))
}

impl Stage {
    /// The circuit stays closed, so that it does not help.
    async fn set(ca: &Ca, url: &str, own: &[(&str, &str)]) -> Self {
        Self::set_with(ca, url, own, &[]).await
    }

    /// With variables that are not about the provider.
    async fn set_with(
        ca: &Ca,
        url: &str,
        own: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Self {
        let files = Mounted::new(&[("ca.crt", &ca.pem())]);
        let ca_file = files.text("ca.crt");
        let mut settings = vec![
            ("CA_FILE", ca_file.as_str()),
            ("BREAKER_CONSECUTIVE_FAILURES", "0"),
            ("BREAKER_MINIMUM_CALLS", "1000000"),
        ];
        settings.extend(own);
        let mut all = accuauth(url, &settings);
        all.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let gateway = Process::serve(&[], all).await;
        let client = Client::connect(gateway.grpc).await;
        Self {
            gateway,
            client,
            asked: AtomicUsize::default(),
            _files: files,
        }
    }

    /// Asks of somebody else each time: the same question would share one provider call.
    async fn call(&self, deadline: Duration) -> Result<(), Told> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let person = serde_json::json!({"curp": curp_of(number)});
        let answer = self.client.call_within(CURP, &person, Some(deadline));
        answer.await.map(|_| ()).map_err(|status| told(&status))
    }

    async fn calls(&self, number: usize, deadline: Duration) -> Vec<Result<(), Told>> {
        join_all((0..number).map(|_| self.call(deadline))).await
    }
}

async fn provider(settings: H2Settings) -> (Ca, H2Provider) {
    let ca = Ca::new("provider's");
    let provider = H2Provider::start(&ca.issue(&["127.0.0.1"]), settings).await;
    (ca, provider)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_connection_is_replaced_within_the_keep_alive_however_short_the_deadlines() {
    let (ca, provider) = provider(H2Settings::default()).await;
    let keep_alive = [
        ("HTTP2_KEEP_ALIVE_INTERVAL", "1s"),
        ("HTTP2_KEEP_ALIVE_TIMEOUT", "500ms"),
    ];
    let stage = Stage::set(&ca, &provider.url(), &keep_alive).await;
    stage.call(SECOND).await.unwrap();
    provider.freeze();
    let frozen = Instant::now();
    let (mut lost, mut healed) = (0, None);
    while frozen.elapsed() < 5 * SECOND {
        match stage.call(2 * SECOND / 5).await {
            Ok(()) => healed = healed.or(Some(frozen.elapsed())),
            Err((code, reason, _)) => {
                // Of unknown cost on the frozen connection, free while the new one is dialled.
                let late = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
                assert_eq!((code, reason.as_str()), late);
                assert_eq!(healed, None, "a call failed after it was well again");
                lost += 1;
            }
        }
        tokio::time::sleep(SECOND / 50).await;
    }
    let healed = healed.expect("the frozen connection is used for ever");
    println!("healed after {healed:?}, {lost} calls lost");
    assert!(healed < 3 * SECOND, "{healed:?}");
    assert_eq!(provider.connections(), 2);
    let line = "HTTP/2 keep-alive timed out, dialing a new connection";
    assert!(stage.gateway.log.line(0, line).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_kept_by_its_pings_and_one_that_froze_meanwhile_costs_no_call() {
    let (ca, provider) = provider(H2Settings::default()).await;
    let keep_alive = [
        ("HTTP2_KEEP_ALIVE_INTERVAL", "200ms"),
        ("HTTP2_KEEP_ALIVE_TIMEOUT", "200ms"),
    ];
    let stage = Stage::set(&ca, &provider.url(), &keep_alive).await;
    stage.call(SECOND).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    stage.call(SECOND).await.unwrap();
    assert_eq!(provider.connections(), 1);
    provider.freeze();
    tokio::time::sleep(SECOND).await;
    stage.call(SECOND).await.unwrap();
    assert_eq!(provider.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_outlives_a_connection_that_is_given_up() {
    // Frozen for longer than the keep-alive, then well: the request that was out is answered all the same.
    let (ca, provider) = provider(H2Settings::default()).await;
    let keep_alive = [
        ("HTTP2_KEEP_ALIVE_INTERVAL", "200ms"),
        ("HTTP2_KEEP_ALIVE_TIMEOUT", "200ms"),
    ];
    let stage = Stage::set(&ca, &provider.url(), &keep_alive).await;
    stage.call(SECOND).await.unwrap();
    provider.next([Act::found_after(SECOND / 10)]);
    let slow = stage.call(10 * SECOND);
    let thaws = async {
        while provider.received().len() < 2 {
            tokio::time::sleep(SECOND / 100).await;
        }
        provider.freeze();
        tokio::time::sleep(SECOND).await;
        stage.call(SECOND).await.unwrap();
        assert_eq!(provider.connections(), 2);
        provider.thaw();
    };
    let (slow, ()) = tokio::join!(slow, thaws);
    slow.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_peers_stream_limit_calls_are_overloaded_and_never_sent() {
    let limit = H2Settings {
        streams: Some(20),
        ..H2Settings::default()
    };
    let (ca, provider) = provider(limit).await;
    let queue = [("QUEUE", "10"), ("QUEUE_TIMEOUT", "200ms")];
    let stage = Stage::set(&ca, &provider.url(), &queue).await;
    provider.always(Act::found_after(SECOND));
    let answers = stage.calls(100, 10 * SECOND).await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let overloaded = free(Code::ResourceExhausted, "OVERLOADED");
    for answer in answers {
        assert!(
            answer.is_ok() || answer == Err(overloaded.clone()),
            "{answer:?}"
        );
    }
    assert_eq!(answered, 20);
    assert_eq!(
        (provider.received().len(), provider.most_in_flight()),
        (20, 20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_while_it_waits_for_a_stream_sends_nothing_then_or_later() {
    for (recover_ttl, reset) in [("2m", 0), ("0s", 20)] {
        gives_up_while_it_waits(recover_ttl, reset).await;
    }
}

/// What has left is finished, unless that is switched off: then its stream is reset.
async fn gives_up_while_it_waits(recover_ttl: &str, reset: usize) {
    let limit = H2Settings {
        streams: Some(20),
        ..H2Settings::default()
    };
    let (ca, provider) = provider(limit).await;
    let queue = [
        ("QUEUE", "100"),
        ("QUEUE_TIMEOUT", "10s"),
        ("TIMEOUT", "9s"),
    ];
    let own = [("IDGW_SHARING__RECOVER_TTL", recover_ttl)];
    let stage = Stage::set_with(&ca, &provider.url(), &queue, &own).await;
    provider.always(Act::Hangs);
    let out = stage.calls(20, 8 * SECOND);
    let waiting = async {
        while provider.received().len() < 20 {
            tokio::time::sleep(SECOND / 100).await;
        }
        stage.calls(80, 2 * SECOND).await
    };
    let (out, waiting) = tokio::join!(out, waiting);
    let answers = [out, waiting].concat();
    let late = |billed: fn(Code, &str) -> Told| billed(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let of = |told: Told| {
        answers
            .iter()
            .filter(|answer| **answer == Err(told.clone()))
            .count()
    };
    assert_eq!((of(late(unknown)), of(late(free))), (20, 80), "{answers:?}");
    tokio::time::sleep(SECOND / 2).await;
    let received = (
        provider.received().len(),
        provider.most_in_flight(),
        provider.reset(),
    );
    assert_eq!(received, (20, 20, reset));
    tokio::time::sleep(SECOND).await;
    // The streams of those who gave up are free again, at the latest when the provider's time is over.
    assert_eq!(provider.reset(), 20);
    provider.always(Act::found());
    stage.call(SECOND).await.unwrap();
    assert_eq!(provider.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_before_the_peer_has_said_how_much_it_takes() {
    let slow = H2Settings {
        streams: Some(1),
        slow: SECOND,
    };
    let (ca, provider) = provider(slow).await;
    let stage = Stage::set(&ca, &provider.url(), &[]).await;
    let late = free(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    for answer in stage.calls(10, SECOND / 2).await {
        assert_eq!(answer, Err(late.clone()));
    }
    // What was dialled for them is there for the next.
    stage.call(5 * SECOND).await.unwrap();
    assert_eq!((provider.received().len(), provider.connections()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_stream_says_what_it_may_have_cost() {
    let (ca, provider) = provider(H2Settings::default()).await;
    let stage = Stage::set(&ca, &provider.url(), &[("MAX_ATTEMPTS", "1")]).await;
    let unavailable = free(Code::Unavailable, "PROVIDER_UNAVAILABLE");
    let lost = unknown(Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN");
    for (act, expected) in [
        (Act::found(), Ok(())),
        (Act::Resets(Reason::REFUSED_STREAM), Err(&unavailable)),
        (Act::Resets(Reason::INTERNAL_ERROR), Err(&lost)),
        (Act::Resets(Reason::CANCEL), Err(&lost)),
        (Act::Resets(Reason::ENHANCE_YOUR_CALM), Err(&lost)),
        (Act::Cuts, Err(&lost)),
        (Act::found_and_closes(), Ok(())),
        (Act::Ends, Err(&lost)),
        (Act::found(), Ok(())),
    ] {
        let before = provider.received().len();
        // What is said of the connection after an answer takes a moment.
        tokio::time::sleep(SECOND / 20).await;
        provider.next([act.clone()]);
        let answer = stage.call(10 * SECOND).await;
        assert_eq!(answer.as_ref().err(), expected.err(), "{act:?}");
        assert_eq!(provider.received().len(), before + 1, "{act:?}");
    }
    assert_eq!(provider.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_stream_is_repeated_as_any_free_failure() {
    let (ca, provider) = provider(H2Settings::default()).await;
    let stage = Stage::set(&ca, &provider.url(), &[("MAX_ATTEMPTS", "3")]).await;
    provider.next([
        Act::Resets(Reason::REFUSED_STREAM),
        Act::Resets(Reason::REFUSED_STREAM),
    ]);
    stage.call(10 * SECOND).await.unwrap();
    assert_eq!(provider.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_and_a_large_answer_pass_in_pieces() {
    let (ca, provider) = provider(H2Settings::default()).await;
    let files = Mounted::new(&[("ca.crt", &ca.pem())]);
    let gateway = Process::serve(
        &[],
        [
            ("IDGW_PROVIDERS__VERIFIK__TOKEN", "token"),
            ("IDGW_PROVIDERS__VERIFIK__BASE_URL", &provider.url()),
            ("IDGW_PROVIDERS__VERIFIK__CA_FILE", &files.text("ca.crt")),
        ],
    )
    .await;
    let client = Client::connect(gateway.grpc).await;
    let image = "QUJD".repeat(1 << 20);
    let answer = serde_json::json!({"data": {"id": "person_1", "givenName": "A", "biometricData": {"faceImage": image}}});
    let body = serde_json::to_vec(&answer).unwrap().into();
    provider.next([Act::Answers(200, Vec::new(), Some(body))]);
    let person = serde_json::json!({"person": {"given_name": "A", "family_name": "B", "biometric_data": {"face_image": image}}});
    client
        .call("idgw.person.v1.PersonService/CreatePerson", &person)
        .await
        .unwrap();
    let received = provider.received();
    assert!(received[0].body.len() > image.len());
    let stated = received[0].headers["content-length"].to_str().unwrap();
    assert_eq!(stated, received[0].body.len().to_string());
}

/// A provider that answers each request with GOAWAY and an earlier stream as its last.
async fn goes_away(pair: &Pair) -> String {
    let mut tls = server_config(pair);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { leave_out(acceptor.accept(stream).await?).await });
        }
    });
    url
}

async fn leave_out(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const NO_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY_AFTER_STREAM_0: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(&NO_SETTINGS).await?;
    loop {
        stream.flush().await?;
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, ..] = head;
        assert_eq!(a, 0, "no frame is that long");
        let mut payload = vec![0; usize::from(b) << 8 | usize::from(c)];
        stream.read_exact(&mut payload).await?;
        if kind == HEADERS {
            stream.write_all(&GOAWAY_AFTER_STREAM_0).await?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goaway_that_leaves_a_request_out_says_that_it_was_free() {
    let ca = Ca::new("provider's");
    let url = goes_away(&ca.issue(&["127.0.0.1"])).await;
    let stage = Stage::set(&ca, &url, &[("MAX_ATTEMPTS", "1")]).await;
    let answer = stage.call(10 * SECOND).await;
    assert_eq!(answer, Err(free(Code::Unavailable, "PROVIDER_UNAVAILABLE")));
}

/// An address whose SYNs nobody answers: a listener whose backlog is full.
struct BlackHole {
    url: String,
    _listener: std::net::TcpListener,
    _backlog: Vec<TcpStream>,
}

impl BlackHole {
    async fn open(scheme: &str) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = std::net::TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let mut backlog = Vec::new();
        loop {
            let socket = TcpSocket::new_v4().unwrap();
            match tokio::time::timeout(SECOND / 4, socket.connect(address)).await {
                Ok(connected) => backlog.push(connected.unwrap()),
                Err(_elapsed) => break,
            }
        }
        Self {
            url: format!("{scheme}://{address}"),
            _listener: listener,
            _backlog: backlog,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_connection_ever_was_every_call_is_free_and_says_so() {
    let ca = Ca::new("provider's");
    // TCP is accepted by the kernel, and TLS is never answered.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = format!("https://{}", mute.local_addr().unwrap());
    let (over_tls, plain) = (
        BlackHole::open("https").await,
        BlackHole::open("http").await,
    );
    for (what, url) in [
        ("TLS", &over_tls.url),
        ("plain", &plain.url),
        ("mute", &mute),
    ] {
        let patient = [("CONNECT_TIMEOUT", "30s")];
        let stage = Stage::set(&ca, url, &patient).await;
        let late = free(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        for answer in stage.calls(200, 2 * SECOND).await {
            assert_eq!(answer, Err(late.clone()), "{what}");
        }
        for (billing, expected) in [("not_billed", 200.0), ("unknown", 0.0)] {
            let counted = stage.gateway.metric("idgw_results_total", billing).await;
            assert_eq!(counted, expected, "{what} {billing}");
        }
    }
    // Who waits longer hears of the connection.
    let hasty = [("CONNECT_TIMEOUT", "300ms"), ("MAX_ATTEMPTS", "1")];
    let stage = Stage::set(&ca, &over_tls.url, &hasty).await;
    let answer = stage.call(10 * SECOND).await;
    assert_eq!(answer, Err(free(Code::Unavailable, "PROVIDER_UNAVAILABLE")));
}
