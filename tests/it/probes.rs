//! Health, the admin port and reflection: what probes and tools ask, without a trace in the log.

use std::time::Duration;

use identity_gateway::proto::identity::v1::CheckCurpRequest;
use prost::{Message as _, bytes::Bytes};
use tokio_stream::once;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    it::{scenarios::calls, stage::Stage, table::Setting},
    kit::wire::says,
};

const CONTRACT: [&str; 2] = [
    "idgw.identity.v1.IdentityService",
    "idgw.person.v1.PersonService",
];

async fn channel(stage: &Stage) -> Channel {
    let address = format!("http://{}", stage.gateway.grpc);
    Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

fn about(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_each_service_and_leaves_no_log_line() {
    let stage = Stage::set(Setting::Usual).await;
    let mark = stage.gateway.log.mark();
    let mut health = HealthClient::new(channel(&stage).await);
    for service in ["", CONTRACT[0], CONTRACT[1]] {
        let answer = health.check(about(service)).await.unwrap();
        assert_eq!(
            answer.into_inner().status(),
            ServingStatus::Serving,
            "{service}"
        );
    }
    let unknown = health.check(about("nobody.v1.Nothing")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    // A watch of an unknown service says so and stays open.
    let mut watch = health
        .watch(about("nobody.v1.Nothing"))
        .await
        .unwrap()
        .into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let more = tokio::time::timeout(Duration::from_millis(200), watch.message()).await;
    assert!(more.is_err(), "{more:?}");

    assert_eq!(stage.gateway.admin("/livez").await.0, 200);
    assert_eq!(stage.gateway.admin("/readyz").await.0, 200);
    assert_eq!(stage.gateway.admin("/nothing").await.0, 404);
    // A call's line comes after every line that the probes could have left.
    stage.provider.next(says(200, serde_json::json!([])));
    stage
        .gateway
        .client
        .call(calls::LIST, &calls::list().request)
        .await
        .unwrap();
    assert!(stage.gateway.log.line(mark, "call").await.is_some());
    assert_eq!(
        stage.gateway.log.since(mark).len(),
        1,
        "{:?}",
        stage.gateway.log.since(mark)
    );
}

macro_rules! services_by_reflection {
    ($name:ident, $version:ident) => {
        async fn $name(channel: Channel) -> Vec<String> {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(channel);
            let answers = client.server_reflection_info(once(request)).await.unwrap();
            let answer = answers.into_inner().message().await.unwrap().unwrap();
            match answer.message_response.unwrap() {
                MessageResponse::ListServicesResponse(list) => list
                    .service
                    .into_iter()
                    .map(|service| service.name)
                    .collect(),
                other => panic!("{other:?}"),
            }
        }
    };
}

services_by_reflection!(by_v1, v1);
services_by_reflection!(by_v1alpha, v1alpha);

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_reflection_name_the_contract_and_health() {
    let stage = Stage::set(Setting::Usual).await;
    for services in [
        by_v1(channel(&stage).await).await,
        by_v1alpha(channel(&stage).await).await,
    ] {
        for service in [CONTRACT[0], CONTRACT[1], "grpc.health.v1.Health"] {
            assert!(
                services.iter().any(|name| name == service),
                "{service} in {services:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_provider_serves_all_the_same() {
    let stage = Stage::set(Setting::Without("verifik")).await;
    let mut health = HealthClient::new(channel(&stage).await);
    for service in ["", CONTRACT[0], CONTRACT[1]] {
        let answer = health.check(about(service)).await.unwrap();
        assert_eq!(
            answer.into_inner().status(),
            ServingStatus::Serving,
            "{service}"
        );
    }
    let found = says(200, crate::it::scenarios::accuauth::found());
    stage.provider.next(found);
    stage
        .gateway
        .client
        .call(calls::CURP, &calls::curp().request)
        .await
        .unwrap();
    stage
        .provider
        .next(says(200, crate::it::scenarios::youverify::found()));
    stage
        .gateway
        .client
        .call(calls::KENYA, &calls::kenya().request)
        .await
        .unwrap();
}

/// A web page's form, grpc-web, JSON over HTTP: nobody is asked, and nothing is paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_grpc_is_told_so_in_the_words_of_http() {
    const CURP: &str = "/idgw.identity.v1.IdentityService/CheckCurp";
    let stage = Stage::set(Setting::Usual).await;
    let message = CheckCurpRequest {
        curp: "AAPR630321HDFLRC09".to_owned(),
        ..CheckCurpRequest::default()
    }
    .encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = Bytes::from([&[0][..], &length, &message].concat());
    let stream = tokio::net::TcpStream::connect(&stage.gateway.grpc)
        .await
        .unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (method, path, content_type, status) in [
        ("POST", CURP, "application/grpc-web+proto", 415),
        ("POST", CURP, "application/json", 415),
        ("POST", CURP, "application/x-www-form-urlencoded", 415),
        ("POST", CURP, "", 415),
        ("GET", CURP, "application/grpc", 405),
        ("GET", "/", "text/html", 405),
        ("POST", "/grpc.health.v1.Health/Check", "text/plain", 415),
    ] {
        let url = format!("http://gateway{path}");
        let mut request = http::Request::builder().method(method).uri(url);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let request = request.body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(frame.clone(), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(
            answer.status().as_u16(),
            status,
            "{method} {path} {content_type}"
        );
        let allowed = answer
            .headers()
            .get("allow")
            .map(|value| value.to_str().unwrap());
        assert_eq!(allowed, (status == 405).then_some("POST"));
        let why = answer.into_body().data().await.unwrap().unwrap();
        assert!(why.starts_with(b"gRPC") || why.starts_with(b"this port takes gRPC"));
    }
    assert_eq!(stage.provider.received().len(), 0);
}
