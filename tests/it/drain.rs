//! SIGTERM: everyone hears of it, and no call is lost.

use std::time::Duration;

use identity_gateway::proto::identity::v1::{
    Outcome, VerifyPeForeignerIdRequest, VerifyPeForeignerIdResponse,
    identity_service_client::IdentityServiceClient,
};
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    it::{
        scenarios::{calls, verifik},
        stage::Stage,
        table::Setting,
    },
    kit::{gateway::Gateway, provider::Does, wire::json},
};

const IN_FLIGHT: usize = 200;
const PROVIDER_TAKES: Duration = Duration::from_secs(2);
const SERVICES: [&str; 3] = [
    "",
    "idgw.identity.v1.IdentityService",
    "idgw.person.v1.PersonService",
];

async fn channel(gateway: &Gateway) -> Channel {
    let address = format!("http://{}", gateway.grpc);
    Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn stage(lame_duck: &str, drain_timeout: &str) -> Stage {
    Stage::with(
        Setting::Usual,
        vec![
            ("IDGW_SERVER__LAME_DUCK", lame_duck.to_owned()),
            ("IDGW_SERVER__DRAIN_TIMEOUT", drain_timeout.to_owned()),
        ],
    )
    .await
}

async fn verify(channel: Channel, number: usize) -> Result<VerifyPeForeignerIdResponse, Status> {
    let request = VerifyPeForeignerIdRequest {
        document_number: format!("{number:09}"),
        birthdate: "1993-08-16".to_owned(),
        ..VerifyPeForeignerIdRequest::default()
    };
    let answered = IdentityServiceClient::new(channel)
        .verify_pe_foreigner_id(request)
        .await;
    answered.map(tonic::Response::into_inner)
}

fn slow_answer() -> Does {
    Does::Waits(PROVIDER_TAKES, json(200, verifik::found()))
}

/// What a watch hears until it ends.
async fn watch(channel: Channel, service: &str) -> Vec<ServingStatus> {
    let service = service.to_owned();
    let request = HealthCheckRequest { service };
    let mut stream = HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let mut heard = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        heard.push(answer.status());
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_loses_none_of_200_calls_in_flight_and_watches_hear_of_it() {
    let mut stage = stage("1s", "20s").await;
    let channels = [channel(&stage.gateway).await, channel(&stage.gateway).await];
    let mut watches = JoinSet::new();
    for service in SERVICES {
        let channel = channels[0].clone();
        watches.spawn(async move { watch(channel, service).await });
    }
    stage.provider.next(vec![slow_answer(); IN_FLIGHT + 1]);
    let mut calls = JoinSet::new();
    for number in 0..IN_FLIGHT {
        calls.spawn(verify(channels[number % 2].clone(), number));
    }
    assert!(
        stage
            .provider
            .until(|(requests, _)| requests == IN_FLIGHT)
            .await
    );
    assert_eq!(stage.gateway.admin("/readyz").await.0, 200);

    stage.gateway.terminate();
    for heard in watches.join_all().await {
        assert_eq!(heard, [ServingStatus::Serving, ServingStatus::NotServing]);
    }
    assert_eq!(stage.gateway.admin("/readyz").await.0, 503);
    assert_eq!(stage.gateway.admin("/livez").await.0, 200);
    // The lame duck still takes calls.
    calls.spawn(verify(channels[1].clone(), IN_FLIGHT));

    let answers = calls.join_all().await;
    assert_eq!(answers.len(), IN_FLIGHT + 1);
    for answer in answers {
        let verification = answer.unwrap().verification.unwrap();
        assert_eq!(verification.outcome(), Outcome::Found);
    }
    let exit = stage
        .gateway
        .exit(Duration::from_secs(10))
        .await
        .expect("it goes");
    assert_eq!(exit.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_gateway_takes_no_new_connection_and_ends_at_its_timeout() {
    let mut stage = stage("50ms", "700ms").await;
    let channel = channel(&stage.gateway).await;
    stage.provider.next([Does::Hangs]);
    let call = tokio::spawn(verify(channel, 1));
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    let mark = stage.gateway.log.mark();
    stage.gateway.terminate();
    let draining = "draining: new calls are refused, calls in flight finish";
    assert!(stage.gateway.log.line(mark, draining).await.is_some());
    assert_eq!(stage.gateway.admin("/livez").await.0, 200);
    assert_eq!(stage.gateway.admin("/readyz").await.0, 503);
    let exit = stage
        .gateway
        .exit(Duration::from_secs(10))
        .await
        .expect("it goes");
    assert_eq!(exit.code(), Some(0));
    assert!(call.await.unwrap().is_err());
    assert!(
        tokio::net::TcpStream::connect(stage.gateway.grpc)
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_signals_hurry_a_gateway_that_has_time() {
    let mut stage = stage("10m", "1h").await;
    let client = stage.gateway.client.clone();
    let get = calls::get();
    stage.provider.next([Does::Hangs]);
    let call = tokio::spawn(async move { client.call(get.method, &get.request).await });
    assert!(stage.provider.until(|(requests, _)| requests == 1).await);
    for message in [
        "lame duck: health is NOT_SERVING, new calls are still accepted",
        "draining: new calls are refused, calls in flight finish",
    ] {
        let mark = stage.gateway.log.mark();
        stage.gateway.terminate();
        assert!(
            stage.gateway.log.line(mark, message).await.is_some(),
            "{message}"
        );
    }
    stage.gateway.terminate();
    let exit = stage
        .gateway
        .exit(Duration::from_secs(10))
        .await
        .expect("it goes");
    assert_eq!(exit.code(), Some(0));
    assert!(call.await.unwrap().is_err());
}
