//! A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

mod channel;
mod service_config;

use std::{error::Error, time::Duration};

use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use channel::Identification;
use service_config::ServiceConfig;

/// The stubs.
mod proto {
    pub mod gateway {
        pub mod v1 {
            tonic::include_proto!("idgw.gateway.v1");
        }
    }
    pub mod identity {
        pub mod v1 {
            tonic::include_proto!("idgw.identity.v1");
        }
    }
    pub mod person {
        pub mod v1 {
            tonic::include_proto!("idgw.person.v1");
        }
    }
}

use proto::{
    identity::v1::{
        CheckCurpRequest, KenyaIdType, ScrubKenyaIdRequest, VerifyPeForeignerIdRequest,
        identity_service_client::IdentityServiceClient,
    },
    person::v1::{
        CreatePersonRequest, GetPersonRequest, Person, person_service_client::PersonServiceClient,
    },
};

/// What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
fn explain(status: &Status) -> String {
    let mut text = code_name(status.code()).to_owned();
    if status.code() == Code::DeadlineExceeded {
        // It has details only if the gateway's answer was quicker than the library's own clock.
        return text;
    }
    if let Some(info) = status.get_details_error_info() {
        text += &format!(" {}", info.reason);
        if let (Some(provider), Some(billing)) =
            (info.metadata.get("provider"), info.metadata.get("billing"))
        {
            text += &format!(" by {provider}, {billing}");
        }
    }
    if let Some(bad) = status.get_details_bad_request() {
        let mut fields: Vec<_> = bad
            .field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        fields.sort();
        text += &format!(" in {}", fields.join(", "));
    }
    if let Some(delay) = status
        .get_details_retry_info()
        .and_then(|retry| retry.retry_delay)
    {
        text += &format!(", again after {} s", delay.as_secs());
    }
    text
}

/// The name of a code in gRPC's documents.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The explanation of a call that must fail.
fn refused<T>(result: Result<Response<T>, Status>) -> Result<String, Box<dyn Error>> {
    match result {
        Ok(_) => Err("the call should have been refused".into()),
        Err(status) => Ok(explain(&status)),
    }
}

/// A request with a deadline.
fn within<T>(seconds: u64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(seconds));
    request
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let identification = Identification::from_env()?;
    println!("trace: {}", identification.trace_id());
    let service_config = ServiceConfig::from_env()?;
    let channel = channel::connect()?;
    let mut identities =
        IdentityServiceClient::with_interceptor(channel.clone(), identification.clone());
    let persons = PersonServiceClient::with_interceptor(channel, identification);

    // A verification. The answer says what was found, who said it, and what it cost.
    let curp = |curp: &str| CheckCurpRequest {
        curp: curp.to_owned(),
        ..Default::default()
    };
    let answer = identities
        .check_curp(within(10, curp("RAZR811011HVZXPB01")))
        .await?
        .into_inner();
    let (found, record) = (
        answer.verification.unwrap_or_default(),
        answer.record.unwrap_or_default(),
    );
    println!(
        "found: {} by {}, {}, {}",
        found.outcome().as_str_name(),
        found.provider,
        found.billing().as_str_name(),
        record.status().as_str_name()
    );

    // Nobody by that number: a successful call, not an error.
    let kenyan = ScrubKenyaIdRequest {
        id: "00000000".to_owned(),
        id_type: KenyaIdType::NationalId.into(),
        subject_consent: true,
        ..Default::default()
    };
    let answer = identities
        .scrub_kenya_id(within(10, kenyan.clone()))
        .await?
        .into_inner();
    let nobody = answer.verification.unwrap_or_default();
    println!(
        "nobody: {} by {}",
        nobody.outcome().as_str_name(),
        nobody.provider
    );

    // Errors, read by their details. The message is for people; programs go by code and reason.
    let bad = VerifyPeForeignerIdRequest {
        document_number: "?".to_owned(),
        birthdate: "2999-01-01".to_owned(),
        ..Default::default()
    };
    println!(
        "bad request: {}",
        refused(identities.verify_pe_foreigner_id(within(10, bad)).await)?
    );
    let no_consent = ScrubKenyaIdRequest {
        subject_consent: false,
        ..kenyan.clone()
    };
    println!(
        "no consent: {}",
        refused(identities.scrub_kenya_id(within(10, no_consent)).await)?
    );
    let down = identities
        .check_curp(within(10, curp("DOWN900101HDFSND09")))
        .await;
    println!("provider down: {}", refused(down)?);
    let slow = ScrubKenyaIdRequest {
        id: "900002002".to_owned(),
        ..kenyan
    };
    println!(
        "too slow: {}",
        refused(identities.scrub_kenya_id(within(1, slow)).await)?
    );

    // A create can be sent again with its request_id: it returns the first answer.
    let create = CreatePersonRequest {
        person: Some(Person {
            given_name: Some("Grace".to_owned()),
            family_name: Some("Muster".to_owned()),
            ..Default::default()
        }),
        request_id: Uuid::new_v4().to_string(),
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = persons
            .clone()
            .create_person(within(10, create.clone()))
            .await?
            .into_inner();
        ids.push(answer.person.unwrap_or_default().id);
    }
    println!(
        "created: {}",
        if ids[0] == ids[1] { "once" } else { "twice" }
    );

    // A read is free: after UNAVAILABLE it is repeated as the service config says. tonic knows no service config;
    // src/service_config.rs does what the other languages' libraries do by themselves.
    let get_person = async |id: String| {
        let call = || async {
            persons
                .clone()
                .get_person(within(
                    10,
                    GetPersonRequest {
                        id: id.clone(),
                        view: 0,
                    },
                ))
                .await
        };
        service_config
            .call("idgw.person.v1.PersonService", "GetPerson", call)
            .await
    };
    let read = get_person(ids[0].clone())
        .await?
        .into_inner()
        .person
        .unwrap_or_default();
    println!(
        "read: {} {}",
        read.given_name(),
        read.verification_status().as_str_name()
    );
    let failing = get_person("person_outofservice".to_owned()).await;
    println!("read, provider down: {}", refused(failing)?);

    let limited = identities
        .check_curp(within(10, curp("MUCH900101HDFSND01")))
        .await;
    println!("rate limit: {}", refused(limited)?);
    Ok(())
}
