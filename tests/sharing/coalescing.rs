//! Identical lookups in flight share one provider call.

use std::collections::HashSet;

use identity_gateway::proto::identity::v1::{Billing, CheckCurpRequest, Outcome, Source};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::kit::replica::*;

#[tokio::test]
async fn many_identical_calls_are_one_request_and_each_has_its_own_id() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    let first = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let calls: Vec<_> = (0..50).map(|_| gateway.curp_soon(curp())).collect();
    let other = gateway.curp_soon(CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..curp()
    });
    provider.has_requests(2).await;
    gateway.has_heard_all().await;
    provider.release();

    let first = first.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&first), Source::Provider);
    let mut ids = HashSet::from([verification(&first).id.clone()]);
    for call in calls {
        let answer = call.await.unwrap().unwrap().into_inner();
        let verification = verification(&answer);
        assert_eq!(verification.source(), Source::Coalesced);
        assert_eq!(verification.billing(), Billing::Billed);
        assert_eq!(verification.provider_reference(), "req-1");
        assert_eq!(answer.record, first.record);
        assert!(ids.insert(verification.id.clone()), "an id of its own");
    }
    assert_eq!(
        source(&other.await.unwrap().unwrap().into_inner()),
        Source::Provider
    );
    assert_eq!(provider.requests(), 2);

    // It was shared, not kept.
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
    assert_eq!(provider.requests(), 3);
}

#[tokio::test]
async fn who_cancels_takes_nothing_from_the_others_and_the_last_leaves_it_behind() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    let starter = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let joiners: Vec<_> = (0..10).map(|_| gateway.curp_soon(curp())).collect();
    gateway.has_heard_all().await;
    starter.abort();
    for (number, joiner) in joiners.iter().enumerate() {
        if number % 2 == 0 {
            joiner.abort();
        }
    }
    gateway.has_heard_all().await;
    assert_eq!(provider.given_up(), 0, "somebody still waits");
    provider.release();
    for (number, joiner) in joiners.into_iter().enumerate() {
        if number % 2 == 1 {
            let answer = joiner.await.unwrap().unwrap().into_inner();
            assert_eq!(source(&answer), Source::Coalesced);
        }
    }
    assert_eq!(provider.requests(), 1);

    // Of somebody else: for those who went, the first answer waits.
    let other = || CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..curp()
    };
    provider.hold();
    let (one, two) = (gateway.curp_soon(other()), gateway.curp_soon(other()));
    provider.has_requests(2).await;
    gateway.has_heard_all().await;
    one.abort();
    two.abort();
    gateway.has_heard_all().await;
    assert_eq!(provider.given_up(), 0, "it may have been charged");
    provider.release();
    provider.has_answered(2).await;
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn each_caller_keeps_its_deadline_and_hears_that_the_cost_is_unknown() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    let patient = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let status = gateway.late(curp()).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DEADLINE_EXCEEDED");
    assert_eq!(info.metadata["billing"], "unknown");
    assert!(info.metadata.contains_key("verification_id"));
    provider.release();
    let answer = patient.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&answer), Source::Provider);
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn an_error_is_shared_and_each_has_its_own_verification_id() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.answers(402, serde_json::json!({"status": "OUT_OF_QUOTA"}));
    provider.hold();
    let first = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let calls: Vec<_> = (0..5).map(|_| gateway.curp_soon(curp())).collect();
    gateway.has_heard_all().await;
    provider.release();
    let mut ids = HashSet::new();
    for call in calls.into_iter().chain([first]) {
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "PROVIDER_QUOTA_EXHAUSTED");
        assert!(ids.insert(info.metadata["verification_id"].clone()));
    }
    assert_eq!(ids.len(), 6);
    assert_eq!(provider.requests(), 1);

    // An error is not kept, whatever the age.
    provider.answers(200, curp_answer("0"));
    assert_eq!(
        source(&gateway.curp(curp_aged(3600)).await),
        Source::Provider
    );
}

#[tokio::test]
async fn each_caller_gets_what_its_mask_names_and_only_who_asks_gets_the_document() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let with_document = || CheckCurpRequest {
        include_document: true,
        ..curp()
    };
    for starts_with in [curp(), with_document()] {
        let before = provider.requests();
        provider.hold();
        let first = gateway.curp_soon(starts_with);
        provider.has_requests(before + 1).await;
        let plain = gateway.curp_soon(curp());
        let full = gateway.curp_soon(with_document());
        let masked = gateway.curp_soon(CheckCurpRequest {
            read_mask: mask("record.given_name"),
            ..with_document()
        });
        gateway.has_heard_all().await;
        provider.release();
        first.await.unwrap().unwrap();
        let plain = plain.await.unwrap().unwrap().into_inner();
        assert_eq!(plain.record.unwrap().document, None);
        let full = full.await.unwrap().unwrap().into_inner();
        assert_eq!(source(&full), Source::Coalesced);
        assert_eq!(verification(&full).outcome(), Outcome::Found);
        assert_eq!(full.record.unwrap().document(), b"%PDF-1.4".as_slice());
        let masked = masked.await.unwrap().unwrap().into_inner();
        assert_eq!(masked.verification, None);
        let record = masked.record.unwrap();
        assert_eq!(record.given_name(), GIVEN_NAME);
        assert_eq!(record.document, None);
        assert_eq!(provider.requests(), before + 1);
    }
}

#[tokio::test]
async fn kenyan_calls_that_differ_in_metadata_share_and_each_gets_its_own_back() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let request = |text: &str| {
        let kind = Some(prost_types::value::Kind::StringValue(text.to_owned()));
        let fields = [("case".to_owned(), prost_types::Value { kind })].into();
        identity_gateway::proto::identity::v1::ScrubKenyaIdRequest {
            metadata: Some(prost_types::Struct { fields }),
            ..kenya()
        }
    };
    provider.hold();
    let soon = |text: &'static str| {
        let mut identity = gateway.identity.clone();
        let request = request(text);
        tokio::spawn(async move { identity.scrub_kenya_id(request).await })
    };
    let one = soon("one");
    provider.has_requests(1).await;
    let two = soon("two");
    gateway.has_heard_all().await;
    provider.release();
    let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
    assert_eq!(one.get_ref().metadata, request("one").metadata);
    assert_eq!(two.get_ref().metadata, request("two").metadata);
    assert_eq!(one.get_ref().record, two.get_ref().record);
    let two = two.into_inner().verification.unwrap();
    assert_eq!(two.source(), Source::Coalesced);
    assert_eq!(provider.requests(), 1);
    let sent = provider.bodies().concat();
    assert!(sent.contains("one") && !sent.contains("two"), "{sent}");
}
