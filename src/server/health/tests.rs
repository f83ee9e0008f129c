//! What checks and watches hear, in paused time.

use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::*;

const ALL: [&str; 6] = [
    "",
    "idgw.identity.v1.IdentityService",
    "idgw.person.v1.PersonService",
    "provider/verifik",
    "provider/accuauth",
    "provider/nobody",
];

/// Verifik is configured, AccuAuth is not.
fn health() -> (HealthService, Lifecycle, watch::Sender<Circuit>) {
    let circuit = watch::Sender::new(Circuit::Closed);
    let lifecycle = Lifecycle::default();
    let circuits = vec![(Provider::Verifik, circuit.subscribe())];
    (
        HealthService::new(lifecycle.clone(), circuits),
        lifecycle,
        circuit,
    )
}

fn ask(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest {
        service: service.to_owned(),
    })
}

async fn check(health: &HealthService, service: &str) -> Option<ServingStatus> {
    match health.check(ask(service)).await {
        Ok(answer) => Some(answer.get_ref().status()),
        Err(status) => {
            assert_eq!(status.code(), tonic::Code::NotFound);
            None
        }
    }
}

async fn watching(health: &HealthService, service: &str) -> Watch {
    health.watch(ask(service)).await.unwrap().into_inner()
}

/// What the watch says next, if it says something within a second.
async fn heard(watch: &mut Watch) -> Option<Option<ServingStatus>> {
    let next = tokio::time::timeout(Duration::from_secs(1), watch.next());
    let next = next.await.ok()?;
    Some(next.map(|answer| answer.unwrap().status()))
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_shows_in_its_provider_and_nowhere_else() {
    use ServingStatus::{NotServing, Serving};
    let (health, _lifecycle, circuit) = health();
    let until = Instant::now() + Duration::from_secs(2);
    for (state, verifik) in [
        (Circuit::Closed, Serving),
        (Circuit::Open { until }, NotServing),
        (Circuit::HalfOpen, NotServing),
        (Circuit::Closed, Serving),
    ] {
        circuit.send_replace(state);
        assert_eq!(
            check(&health, "provider/verifik").await,
            Some(verifik),
            "{state:?}"
        );
        for service in SERVICES {
            assert_eq!(check(&health, service).await, Some(Serving), "{service}");
        }
        for service in ["provider/accuauth", "provider/", "verifik"] {
            assert_eq!(check(&health, service).await, None, "{service}");
        }
    }
    circuit.send_replace(Circuit::Open { until });
    tokio::time::advance(Duration::from_secs(2)).await;
    // A call would be let through now: who waits for SERVING must not wait for ever.
    assert_eq!(check(&health, "provider/verifik").await, Some(Serving));
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_a_provider_hears_every_change() {
    use ServingStatus::{NotServing, Serving};
    let (health, _lifecycle, circuit) = health();
    let mut watch = watching(&health, "provider/verifik").await;
    let mut process = watching(&health, "").await;
    assert_eq!(heard(&mut watch).await, Some(Some(Serving)));
    assert_eq!(heard(&mut process).await, Some(Some(Serving)));
    assert_eq!(heard(&mut watch).await, None, "nothing new");
    let until = Instant::now() + Duration::from_millis(1500);
    circuit.send_replace(Circuit::Open { until });
    assert_eq!(heard(&mut watch).await, Some(Some(NotServing)));
    assert_eq!(heard(&mut watch).await, None, "the open time is not over");
    assert_eq!(heard(&mut watch).await, Some(Some(Serving)));
    circuit.send_replace(Circuit::HalfOpen);
    assert_eq!(heard(&mut watch).await, Some(Some(NotServing)));
    circuit.send_replace(Circuit::Closed);
    assert_eq!(heard(&mut watch).await, Some(Some(Serving)));
    assert_eq!(heard(&mut process).await, None, "the process is well");
}

#[tokio::test(start_paused = true)]
async fn a_leaving_process_tells_every_watch_and_ends_it() {
    use ServingStatus::{NotServing, ServiceUnknown, Serving};
    let (health, lifecycle, circuit) = health();
    let mut watches = Vec::new();
    for service in ALL {
        let mut watch = watching(&health, service).await;
        let known = check(&health, service).await.is_some();
        let first = if known { Serving } else { ServiceUnknown };
        assert_eq!(heard(&mut watch).await, Some(Some(first)), "{service}");
        assert_eq!(heard(&mut watch).await, None, "{service} stays open");
        watches.push((service, known, watch));
    }
    lifecycle.enter(Phase::LameDuck);
    for (service, known, mut watch) in watches {
        if known {
            assert_eq!(heard(&mut watch).await, Some(Some(NotServing)), "{service}");
        }
        assert_eq!(heard(&mut watch).await, Some(None), "{service} ends");
    }
    circuit.send_replace(Circuit::HalfOpen);
    circuit.send_replace(Circuit::Closed);
    assert_eq!(check(&health, "provider/verifik").await, Some(NotServing));
}
