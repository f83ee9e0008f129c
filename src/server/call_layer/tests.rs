//! Deadlines, floods and fair shares around a service made by hand, in paused time.

use std::{
    future::pending,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::*;
use crate::{
    auth::peer::{ClientCertificate, Peer},
    config,
    domain::verification::Provider,
    proto,
};

const LOOKUP: &str = "/idgw.identity.v1.IdentityService/CheckCurp";
const READ: &str = "/idgw.person.v1.PersonService/GetPerson";
const DEFAULT: Duration = Duration::from_secs(30);

fn layer(places: usize) -> CallLayer {
    holding(places, usize::MAX)
}

/// The layer over so many places, and so many bytes that calls may hold.
fn holding(places: usize, bytes: usize) -> CallLayer {
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    let mut watches = Vec::new();
    let door = Door::start(&config::Auth::default(), &policies, None, &mut watches).unwrap();
    CallLayer::new(
        &policies,
        door,
        Admission::new(places, Arc::default()),
        Quota::new(bytes),
        Times {
            default_deadline: DEFAULT,
            request_timeout: DEFAULT,
        },
    )
}

fn request(path: &str, timeout: Option<&str>, peer: [u8; 4]) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request
        .extension(Peer::new(SocketAddr::from((peer, 40_000)), None))
        .body(Body::empty())
        .unwrap()
}

/// Code, reason and billing.
fn told(response: &Response<Body>) -> (Code, String, Option<String>) {
    let status = Status::from_header_map(response.headers()).unwrap();
    let info = status.get_details_error_info().unwrap();
    (
        status.code(),
        info.reason,
        info.metadata.get("billing").cloned(),
    )
}

type Answer = Result<Response<Body>, std::convert::Infallible>;

fn answer() -> Answer {
    Ok(Response::new(Body::empty()))
}

/// Counts what is in flight behind the layer.
#[derive(Clone, Default)]
struct Work(Arc<AtomicU32>);

impl Work {
    fn begin(&self) -> impl Drop + use<> {
        struct Ends(Arc<AtomicU32>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Ends(Arc::clone(&self.0))
    }

    fn running(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A service that never answers.
fn hanging(
    work: &Work,
) -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ use<> {
    let work = work.clone();
    service_fn(move |_| {
        let working = work.begin();
        async move {
            let _working = working;
            pending::<Answer>().await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_less_a_margin_ends_the_call_and_the_work() {
    for (timeout, expected) in [
        (Some("200m"), Duration::from_millis(178)),
        (Some("10S"), Duration::from_millis(9800)),
        (None, DEFAULT),
    ] {
        let work = Work::default();
        let mut service = layer(1).layer(hanging(&work));
        let begun = Instant::now();
        let response = service
            .call(request(LOOKUP, timeout, [1; 4]))
            .await
            .unwrap();
        let took = begun.elapsed();
        assert!(
            took >= expected && took < expected + Duration::from_millis(2),
            "{took:?}"
        );
        let (code, reason, _) = told(&response);
        assert_eq!(
            (code, reason.as_str()),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
        );
        assert_eq!(work.running(), 0, "the work goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_runs_from_the_arrival_however_late_the_call_is_polled() {
    let mut service = layer(1).layer(hanging(&Work::default()));
    let mut call = service.call(request(LOOKUP, Some("100m"), [1; 4]));
    tokio::time::advance(Duration::from_millis(60)).await;
    assert!((&mut call).now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(30)).await;
    // At 90 of 100 ms.
    let response = call.now_or_never().expect("an answer").unwrap();
    assert_eq!(told(&response).0, Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_too_late_does_no_work() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut service = layer(1).layer(service_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { answer() }
    }));
    let response = service
        .call(request(LOOKUP, Some("0S"), [1; 4]))
        .await
        .unwrap();
    assert_eq!(told(&response).0, Code::DeadlineExceeded);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_passed_deadline_may_have_cost_is_told() {
    for (path, sent, settled, billing) in [
        (LOOKUP, false, false, "not_billed"),
        (LOOKUP, true, false, "unknown"),
        (LOOKUP, true, true, "not_billed"),
        (READ, true, false, "not_billed"),
    ] {
        let mut service = layer(1).layer(service_fn(move |request: Request<Body>| async move {
            let call = Arc::clone(request.extensions().get::<Arc<Call>>().unwrap());
            assert!(call.progress.deadline().is_some());
            call.facts.asks(Provider::Accuauth);
            if sent {
                call.progress.sent();
            }
            if settled {
                call.progress.settled();
            }
            pending::<Answer>().await
        }));
        let response = service
            .call(request(path, Some("1S"), [1; 4]))
            .await
            .unwrap();
        assert_eq!(
            told(&response).2.as_deref(),
            Some(billing),
            "{path} {sent} {settled}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_turned_away_at_once_and_health_passes() {
    let work = Work::default();
    let mut service = layer(2).layer(hanging(&work));
    let mut calls: Vec<_> = (0..2)
        .map(|_| service.call(request(LOOKUP, None, [1; 4])))
        .collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    let over = service.call(request(LOOKUP, None, [1; 4]));
    let response = over.now_or_never().expect("at once").unwrap();
    let (code, reason, _) = told(&response);
    assert_eq!(
        (code, reason.as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    let status = Status::from_header_map(response.headers()).unwrap();
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .is_some()
    );
    for passes in [
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/X",
    ] {
        let mut call = service.call(request(passes, None, [1; 4]));
        assert!((&mut call).now_or_never().is_none());
        assert_eq!(work.running(), 3, "{passes}");
    }
    drop(calls);
    assert_eq!(work.running(), 0, "who gives up leaves work behind");
}

#[tokio::test(start_paused = true)]
async fn one_caller_cannot_starve_the_others() {
    let mut service = layer(8).layer(hanging(&Work::default()));
    let mut call = |peer| {
        let mut call = service.call(request(LOOKUP, None, peer));
        (&mut call).now_or_never().is_none().then_some(call)
    };
    let mut greedy: Vec<_> = std::iter::from_fn(|| call([1; 4])).collect();
    assert_eq!(greedy.len(), 8);
    assert!(call([2; 4]).is_none());
    // Of what falls free the greedy one gets nothing before the other has its share.
    greedy.truncate(5);
    assert!(call([1; 4]).is_none());
    let modest: Vec<_> = std::iter::from_fn(|| call([2; 4])).collect();
    assert_eq!(modest.len(), 3);
}

/// A service that takes a second and answers with replies of these sizes in turn, for which a provider was paid if
/// that can be.
fn replying<const N: usize>(
    sizes: [usize; N],
    asked: &Arc<AtomicU32>,
) -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ use<N> {
    let asked = Arc::clone(asked);
    service_fn(move |request: Request<Body>| {
        let call = Arc::clone(request.extensions().get::<Arc<Call>>().unwrap());
        call.facts.asks(Provider::Accuauth);
        call.progress.sent();
        let number = asked.fetch_add(1, Ordering::Relaxed) as usize;
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Response::new(Body::new("x".repeat(sizes[number % N]))))
        }
    })
}

/// Of 100,000 bytes.
#[tokio::test(start_paused = true)]
async fn a_reply_that_was_paid_for_waits_for_room_and_no_other_call_is_paid_for_meanwhile() {
    let asked = Arc::default();
    let sizes = [40_000, 45_000, 5000, 5000];
    let mut service = holding(9, 100_000).layer(replying(sizes, &asked));
    let mut call = |peer| service.call(request(LOOKUP, Some("1M"), peer));
    let is_ok = |response: &Response<Body>| Status::from_header_map(response.headers()).is_none();
    let unread = call([1; 4]).await.unwrap();
    let mut waits = call([1; 4]);
    let while_it = Duration::from_secs(10);
    assert!(tokio::time::timeout(while_it, &mut waits).await.is_err());
    // There would be room for the next one of that caller, and another has it.
    let refused = call([1; 4]).await.unwrap();
    let overloaded = (Code::ResourceExhausted, "OVERLOADED".to_owned(), None);
    assert_eq!(told(&refused), overloaded);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(is_ok(&call([2; 4]).await.unwrap()));
    assert!(is_ok(&unread));
    drop(unread);
    let waited = waits.await.unwrap();
    assert!(is_ok(&waited));
    assert!(is_ok(&call([1; 4]).await.unwrap()));
    let reply = waited.into_body().collect().await.unwrap();
    assert_eq!(reply.to_bytes().len(), sizes[1]);
}

#[tokio::test(start_paused = true)]
async fn a_paid_reply_that_finds_no_room_is_not_called_free_and_a_free_one_is_refused_at_once() {
    // The reply that is one too many comes after a second. It waits for room until the deadline.
    for (path, too_many, after, code, reason, billing) in [
        (
            LOOKUP,
            1,
            19,
            Code::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            "unknown",
        ),
        // There is no room to wait in for more than one.
        (
            LOOKUP,
            2,
            1,
            Code::Unknown,
            "PROVIDER_OUTCOME_UNKNOWN",
            "unknown",
        ),
        (
            READ,
            1,
            1,
            Code::ResourceExhausted,
            "OVERLOADED",
            "not_billed",
        ),
    ] {
        let mut service = holding(9, 100_000).layer(replying([30_000], &Arc::default()));
        let begun = Instant::now();
        let calls = (0..2 + too_many).map(|_| service.call(request(path, Some("20S"), [1; 4])));
        let mut calls: futures_util::stream::FuturesUnordered<_> = calls.collect();
        let mut taken = Vec::new();
        let refused = loop {
            let response = calls.next().await.unwrap().unwrap();
            match Status::from_header_map(response.headers()) {
                None => taken.push(response),
                Some(_) => break response,
            }
        };
        let (code, reason) = (code, reason.to_owned());
        assert_eq!(told(&refused), (code, reason, Some(billing.to_owned())));
        assert_eq!(begun.elapsed().as_secs(), after, "{path} {too_many}");
        assert_eq!(taken.len(), 2);
    }
}

#[tokio::test]
async fn a_defect_is_internal_and_what_was_out_may_have_been_charged() {
    for (path, sent, billing) in [
        (LOOKUP, true, "unknown"),
        (LOOKUP, false, "not_billed"),
        (READ, true, "not_billed"),
    ] {
        let defect = service_fn(move |request: Request<Body>| async move {
            let call = Arc::clone(request.extensions().get::<Arc<Call>>().unwrap());
            call.facts.asks(Provider::Accuauth);
            if sent {
                call.progress.sent();
            }
            if path.starts_with('/') {
                panic!("a name, perhaps");
            }
            answer()
        });
        let mut service = layer(1).layer(defect);
        for _ in 0..2 {
            let call = service.call(request(path, None, [1; 4]));
            let response = call.await.expect("an answer");
            let (code, reason, told) = told(&response);
            assert_eq!((code, reason.as_str()), (Code::Internal, "INTERNAL"));
            assert_eq!(told.as_deref(), Some(billing), "{path} {sent}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_good_no_more_is_good_for_no_call_and_no_look_at_health() {
    let refused: Arc<dyn ClientCertificate> = Arc::new(crate::server::tls::tests::refused());
    for path in [
        LOOKUP,
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let mut service = layer(1).layer(service_fn(async |_| answer()));
        let mut request = request(path, None, [127, 0, 0, 1]);
        let address = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let peer = Peer::new(address, Some(Arc::clone(&refused)));
        request.extensions_mut().insert(peer);
        let response = service.call(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Unauthenticated, "{path}");
    }
}
