//! A lookup with a `request_id` is paid for once, however often it is asked for.

use identity_gateway::proto::identity::v1::{
    CheckCurpRequest, ScrubKenyaIdRequest, Source, VerifyPeDniRequest,
};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::kit::replica::*;

fn with_id(id: Uuid) -> CheckCurpRequest {
    CheckCurpRequest {
        request_id: id.to_string(),
        ..curp()
    }
}

async fn fails(gateway: &Gateway, request: CheckCurpRequest) -> (Code, String, Status) {
    let status = gateway.identity.clone().check_curp(request).await;
    let status = status.expect_err("a failure");
    let info = status.get_details_error_info().unwrap();
    (status.code(), info.reason, status)
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_asks_nobody() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let id = Uuid::now_v7();
    let first = gateway.curp(with_id(id)).await;
    assert_eq!(source(&first), Source::Provider);
    assert_eq!(first.record.as_ref().unwrap().document, None);
    provider.answers(200, curp_answer("1"));
    // As often as it likes, and what it wants of the answer is its own.
    for include_document in [false, true, false] {
        let request = CheckCurpRequest {
            include_document,
            ..with_id(id)
        };
        let repeat = gateway.curp(request).await;
        let (verification, first) = (verification(&repeat), verification(&first));
        assert_eq!(verification.source(), Source::Recovered);
        assert_ne!(verification.id, first.id);
        assert_eq!(verification.checked_at, first.checked_at);
        assert_eq!(verification.billing, first.billing);
        let record = repeat.record.as_ref().unwrap();
        assert_eq!(record.given_name(), GIVEN_NAME);
        assert_eq!(record.document.is_some(), include_document);
    }
    let aged = CheckCurpRequest {
        request_id: id.to_string(),
        read_mask: mask("verification.source"),
        ..curp_aged(3600)
    };
    assert_eq!(source(&gateway.curp(aged).await), Source::Recovered);
    assert_eq!(provider.requests(), 1);
    // Another id is another call.
    assert_eq!(
        source(&gateway.curp(with_id(Uuid::now_v7())).await),
        Source::Provider
    );
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn a_repeat_while_the_first_runs_waits_for_it_and_one_without_an_id_shares_it() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let id = Uuid::now_v7();
    provider.hold();
    let first = gateway.curp_soon(with_id(id));
    provider.has_requests(1).await;
    let repeat = gateway.curp_soon(with_id(id));
    let other_id = gateway.curp_soon(with_id(Uuid::now_v7()));
    let without = gateway.curp_soon(curp());
    gateway.has_heard_all().await;
    provider.release();
    for (call, expected) in [
        (first, Source::Provider),
        (repeat, Source::Coalesced),
        (other_id, Source::Coalesced),
        (without, Source::Coalesced),
    ] {
        assert_eq!(source(&call.await.unwrap().unwrap().into_inner()), expected);
    }
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn another_content_under_the_same_id_is_refused_and_costs_nothing() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let id = Uuid::now_v7();
    gateway.curp(with_id(id)).await;
    let other = CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..with_id(id)
    };
    let (code, reason, status) = fails(&gateway, other).await;
    assert_eq!(
        (code, reason.as_str()),
        (Code::InvalidArgument, "REQUEST_ID_REUSED")
    );
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "request_id");
    // Another RPC, too.
    let dni = VerifyPeDniRequest {
        document_number: "12345678".to_owned(),
        request_id: id.to_string(),
        ..VerifyPeDniRequest::default()
    };
    let status = gateway
        .identity
        .clone()
        .verify_pe_dni(dni)
        .await
        .unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "REQUEST_ID_REUSED");
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn metadata_is_the_repeats_own() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let id = Uuid::now_v7().to_string();
    let request = |text: &str| {
        let kind = Some(prost_types::value::Kind::StringValue(text.to_owned()));
        let fields = [("case".to_owned(), prost_types::Value { kind })].into();
        ScrubKenyaIdRequest {
            metadata: Some(prost_types::Struct { fields }),
            request_id: id.clone(),
            ..kenya()
        }
    };
    for (text, expected) in [("one", Source::Provider), ("two", Source::Recovered)] {
        let answer = gateway.identity.clone().scrub_kenya_id(request(text)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(answer.verification.unwrap().source(), expected);
        assert_eq!(answer.metadata, request(text).metadata);
    }
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn what_is_no_id_is_refused() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    for request_id in ["canary", "00000000-0000-0000-0000-000000000000"] {
        let request = CheckCurpRequest {
            request_id: request_id.to_owned(),
            ..curp()
        };
        let (code, reason, status) = fails(&gateway, request).await;
        assert_eq!(
            (code, reason.as_str()),
            (Code::InvalidArgument, "INVALID_FIELD")
        );
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "request_id");
        assert!(!format!("{status:?}").contains("canary"));
    }
    assert_eq!(provider.requests(), 0);
}

/// An answer of the provider, and what the repeat is told.
#[tokio::test]
async fn a_failure_frees_the_id_if_it_surely_was_free() {
    let quota = json!({"status": "OUT_OF_QUOTA"});
    let garbage = json!("nothing of the kind");
    for (status, body, is_free) in [
        (402, quota, true),
        (200, garbage, false),
        (502, json!("bad gateway"), false),
    ] {
        let provider = Provider::start().await;
        let gateway = Gateway::start(&provider).await;
        let id = Uuid::now_v7();
        provider.answers(status, body);
        let _failed = fails(&gateway, with_id(id)).await;
        provider.answers(200, curp_answer("0"));
        if is_free {
            assert_eq!(source(&gateway.curp(with_id(id)).await), Source::Provider);
            assert_eq!(provider.requests(), 2);
            continue;
        }
        for _ in 0..2 {
            let (code, reason, status) = fails(&gateway, with_id(id)).await;
            assert_eq!(
                (code, reason.as_str()),
                (Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN")
            );
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["billing"], "unknown");
        }
        assert_eq!(provider.requests(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_went_repeats_its_call_and_is_owed_nothing_after_that() {
    for repeats_with_id in [true, false] {
        let provider = Provider::start().await;
        let gateway = Gateway::start(&provider).await;
        let id = Uuid::now_v7();
        provider.hold();
        let status = gateway.late(with_id(id)).await;
        let info = status.get_details_error_info().unwrap();
        assert!(info.metadata.contains_key("recoverable_until"));
        provider.release();
        provider.has_answered(1).await;
        let repeat = if repeats_with_id { with_id(id) } else { curp() };
        assert_eq!(source(&gateway.curp(repeat).await), Source::Recovered);
        assert_eq!(provider.requests(), 1);
        // It was delivered; the id is still good for it.
        assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
        assert_eq!(source(&gateway.curp(with_id(id)).await), Source::Recovered);
        assert_eq!(provider.requests(), 2);
    }
}

/// What waits for a place has not left: it goes with its caller, and its id is free.
#[tokio::test]
async fn what_has_not_left_goes_with_its_caller_and_frees_the_id() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.providers.accuauth.max_in_flight = 1;
        settings.providers.accuauth.queue_timeout = identity_gateway::setting::Span::seconds(5);
    })
    .await;
    provider.hold();
    let first = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let queued = CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..with_id(Uuid::now_v7())
    };
    let call = gateway.curp_soon(queued.clone());
    gateway.has_heard_all().await;
    call.abort();
    let _cancelled = call.await;
    gateway.has_heard_all().await;
    provider.release();
    first.await.unwrap().unwrap();
    gateway.has_heard_all().await;
    assert_eq!(provider.requests(), 1, "nobody waits for it");
    assert_eq!(source(&gateway.curp(queued).await), Source::Provider);
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn an_answer_that_had_to_go_is_not_paid_for_again() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.lookups.request_id_max_bytes = 0
    })
    .await;
    let id = Uuid::now_v7();
    gateway.curp(with_id(id)).await;
    let (code, reason, _) = fails(&gateway, with_id(id)).await;
    assert_eq!(
        (code, reason.as_str()),
        (Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN")
    );
    assert_eq!(provider.requests(), 1);
}
