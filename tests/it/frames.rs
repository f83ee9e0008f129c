//! A request that cannot be read at all is the caller's to mend, and is said like any other bad field.

use identity_gateway::proto::{
    identity::v1::CheckCurpResponse,
    person::v1::{
        CreatePersonRequest, ListPersonsRequest, Person, person_service_client::PersonServiceClient,
    },
};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::it::{stage::Stage, table::Setting};

fn told(status: &Status) -> (Code, String, Vec<String>) {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let fields = status.get_details_bad_request();
    let fields = fields.map(|bad| bad.field_violations).unwrap_or_default();
    (
        status.code(),
        reason.unwrap_or_default(),
        fields.into_iter().map(|bad| bad.field).collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_or_no_message_is_a_bad_field() {
    let stage = Stage::set(Setting::Usual).await;
    let channel = Channel::from_shared(format!("http://{}", stage.gateway.grpc));
    let channel = channel.unwrap().connect().await.unwrap();
    let expected = (
        Code::InvalidArgument,
        "INVALID_FIELD".to_owned(),
        vec!["request".to_owned()],
    );

    let large = CreatePersonRequest {
        person: Some(Person {
            given_name: Some("x".repeat(9 << 20)),
            ..Person::default()
        }),
        ..CreatePersonRequest::default()
    };
    let mut persons = PersonServiceClient::new(channel.clone());
    let refused = persons.create_person(large).await.unwrap_err();
    assert_eq!(told(&refused), expected);

    // A number where the contract has a text.
    let other = ListPersonsRequest {
        page_size: 7,
        ..ListPersonsRequest::default()
    };
    let codec = ProstCodec::<ListPersonsRequest, CheckCurpResponse>::default();
    let path = "/idgw.identity.v1.IdentityService/CheckCurp"
        .parse()
        .unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let refused = client.unary(Request::new(other), path, codec).await;
    assert_eq!(told(&refused.unwrap_err()), expected);

    let lines = stage.gateway.log.since(0);
    let reasons = lines.iter().filter(|line| line["message"] == "call");
    assert!(
        reasons
            .into_iter()
            .all(|line| line["reason"] == "INVALID_FIELD")
    );
    assert!(stage.provider.received().is_empty());
}
