//! A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

mod channel;
mod service_config;
mod until_answered;

use std::{error::Error, time::Duration};

use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use channel::Identification;
use service_config::ServiceConfig;
use until_answered::until_answered;

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
        CheckCurpRequest, KenyaIdType, ScrubKenyaIdRequest, Source, Verification,
        VerifyPeForeignerIdRequest, identity_service_client::IdentityServiceClient,
    },
    person::v1::{
        BiometricData, CreatePersonRequest, GetPersonRequest, Person, PersonView,
        person_service_client::PersonServiceClient,
    },
};

/// What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
fn explain(status: &Status) -> String {
    let mut text = code_name(status.code()).to_owned();
    if status.code() == Code::DeadlineExceeded {
        // It has details only if the gateway's answer was quicker than the library's own clock.
        return text;
    }
    let info = status.get_details_error_info();
    if info.is_none() {
        // It is not the gateway's: nobody says what it cost, or whether anything was sent.
        text += " without ErrorInfo";
    }
    if let Some(info) = info {
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
fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// A `request_id`: one for each question, kept for as long as it is asked again.
fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Whether an earlier call has paid for the answer. It was there already, or still on its way to that call.
fn is_recovered(verification: &Verification) -> bool {
    matches!(verification.source(), Source::Recovered | Source::Coalesced)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let identification = Identification::from_env()?;
    println!("trace: {}", identification.trace_id());
    let service_config = ServiceConfig::from_env()?;
    let channel = channel::connect(&channel::address())?;
    let identities =
        IdentityServiceClient::with_interceptor(channel.clone(), identification.clone())
            .max_decoding_message_size(channel::LARGEST_REPLY);
    let persons = PersonServiceClient::with_interceptor(channel, identification.clone())
        .max_decoding_message_size(channel::LARGEST_REPLY);

    const LIMIT: Duration = Duration::from_secs(10);

    // tonic knows no service config; src/service_config.rs does what the other languages' libraries do by themselves.
    let identity_service = "idgw.identity.v1.IdentityService";
    let check_curp = async |curp: &str| {
        let request = CheckCurpRequest {
            curp: curp.to_owned(),
            request_id: new_id(),
            ..Default::default()
        };
        let call = async || {
            let request = within(LIMIT, request.clone());
            identities.clone().check_curp(request).await
        };
        service_config
            .call(identity_service, "CheckCurp", call)
            .await
    };
    let scrub_kenya_id = async |request: &ScrubKenyaIdRequest, limit: Duration| {
        let call = async || {
            let request = within(limit, request.clone());
            identities.clone().scrub_kenya_id(request).await
        };
        service_config
            .call(identity_service, "ScrubKenyaId", call)
            .await
    };

    // A verification. The answer says what was found, who said it, and what it cost.
    let answer = check_curp("RAZR811011HVZXPB01").await?.into_inner();
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
    let kenyan = |id: &str, subject_consent: bool| ScrubKenyaIdRequest {
        id: id.to_owned(),
        id_type: KenyaIdType::NationalId.into(),
        subject_consent,
        request_id: new_id(),
        ..Default::default()
    };
    let answer = scrub_kenya_id(&kenyan("00000000", true), LIMIT).await?;
    let nobody = answer.into_inner().verification.unwrap_or_default();
    println!(
        "nobody: {} by {}",
        nobody.outcome().as_str_name(),
        nobody.provider
    );

    // Errors, read by their details. The message is for people; programs go by code and reason.
    let bad = VerifyPeForeignerIdRequest {
        document_number: "?".to_owned(),
        birthdate: "2999-01-01".to_owned(),
        request_id: new_id(),
        ..Default::default()
    };
    let bad = identities
        .clone()
        .verify_pe_foreigner_id(within(LIMIT, bad))
        .await;
    println!("bad request: {}", refused(bad)?);
    let no_consent = scrub_kenya_id(&kenyan("1234567", false), LIMIT).await;
    println!("no consent: {}", refused(no_consent)?);
    let down = check_curp("DOWN900101HDFSND09").await;
    println!("provider down: {}", refused(down)?);

    // A registry that takes longer than the call may: the same call again gets what the first one has paid for.
    let slow = kenyan("900002001", true);
    let mut errors = Vec::new();
    let answer = until_answered(
        Duration::from_secs(1),
        |status| errors.push(status),
        async |limit| scrub_kenya_id(&slow, limit).await,
    )
    .await?;
    let late = answer.into_inner().verification.unwrap_or_default();
    println!(
        "too slow: {}, then {}, {}",
        errors.first().map(explain).unwrap_or_default(),
        late.outcome().as_str_name(),
        if is_recovered(&late) {
            "recovered"
        } else {
            "asked again"
        }
    );

    // A create can be sent again with its request_id: it returns the first answer.
    let create = CreatePersonRequest {
        person: Some(Person {
            given_name: Some("Grace".to_owned()),
            family_name: Some("Muster".to_owned()),
            biometric_data: Some(BiometricData {
                face_image: Some(vec![0; 5 << 20]),
                ..Default::default()
            }),
            ..Default::default()
        }),
        request_id: new_id(),
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = persons
            .clone()
            .create_person(within(LIMIT, create.clone()))
            .await?
            .into_inner();
        ids.push(answer.person.unwrap_or_default().id);
    }
    println!(
        "created: {}",
        if ids[0] == ids[1] { "once" } else { "twice" }
    );

    // A read is free: after UNAVAILABLE it is repeated as the service config says.
    let get_person = async |id: String| {
        let call = || async {
            persons
                .clone()
                .get_person(within(
                    LIMIT,
                    GetPersonRequest {
                        id: id.clone(),
                        view: PersonView::Full.into(),
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
    let image = read.biometric_data.as_ref().map(BiometricData::face_image);
    println!(
        "read: {} {}, an image of {} MiB",
        read.given_name(),
        read.verification_status().as_str_name(),
        image.map_or(0, <[u8]>::len) >> 20
    );
    let failing = get_person("person_outofservice".to_owned()).await;
    println!("read, provider down: {}", refused(failing)?);

    let limited = check_curp("MUCH900101HDFSND01").await;
    println!("rate limit: {}", refused(limited)?);

    // No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
    // was sent: so it is asked again with the same request_id, which never pays twice.
    let nowhere = channel::connect("localhost:1")?;
    let mut nowhere = IdentityServiceClient::with_interceptor(nowhere, identification);
    let asked = CheckCurpRequest {
        curp: "RAZR811011HVZXPB01".to_owned(),
        request_id: new_id(),
        ..Default::default()
    };
    let unanswered = nowhere.check_curp(within(LIMIT, asked)).await;
    println!("gateway down: {}", refused(unanswered)?);
    Ok(())
}
