//! What was paid for reaches its caller, though it went without it.

use std::time::Duration;

use identity_gateway::{
    config::Settings,
    proto::identity::v1::{CheckCurpRequest, CheckCurpResponse, Source},
    setting::Span,
};
use jiff::Timestamp;
use prost::{Message as _, bytes::Bytes};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::kit::replica::*;

/// How a caller goes.
#[derive(Debug, Clone, Copy)]
pub enum Goes {
    /// Its deadline passes.
    InTime,
    /// It cancels.
    Cancels,
    /// Its connection breaks.
    Breaks,
}

/// A call that goes once the provider has so many requests: it got no answer.
async fn goes(gateway: &Gateway, provider: &Provider, how: Goes, request: CheckCurpRequest) {
    let before = provider.requests();
    match how {
        Goes::InTime => {
            let status = gateway.late(request).await;
            assert_eq!(status.code(), Code::DeadlineExceeded);
        }
        Goes::Cancels => {
            let call = gateway.curp_soon(request);
            provider.has_requests(before + 1).await;
            call.abort();
            let _cancelled = call.await;
        }
        Goes::Breaks => {
            // A channel of its own, which goes with its only call.
            let mut alone = gateway.another().await;
            let call = tokio::spawn(async move { alone.check_curp(request).await });
            provider.has_requests(before + 1).await;
            call.abort();
            let _broken = call.await;
        }
    }
    gateway.has_heard_all().await;
}

fn with_document() -> CheckCurpRequest {
    CheckCurpRequest {
        include_document: true,
        ..curp()
    }
}

fn document(answer: &CheckCurpResponse) -> Option<&[u8]> {
    answer.record.as_ref()?.document.as_deref()
}

#[tokio::test]
async fn a_caller_that_went_gets_the_answer_once_and_it_costs_nothing() {
    for how in [Goes::InTime, Goes::Cancels, Goes::Breaks] {
        let provider = Provider::start().await;
        let gateway = Gateway::start(&provider).await;
        provider.hold();
        goes(&gateway, &provider, how, curp()).await;
        provider.release();
        provider.has_answered(1).await;
        assert_eq!(provider.given_up(), 0, "{how:?}: it is finished");
        let answer = gateway.curp(curp()).await;
        let recovered = verification(&answer);
        assert_eq!(recovered.source(), Source::Recovered, "{how:?}");
        assert_eq!(recovered.provider_reference(), "req-1", "{how:?}");
        assert_eq!(answer.record.as_ref().unwrap().given_name(), GIVEN_NAME);
        assert_eq!(provider.requests(), 1, "{how:?}");
        // It was delivered.
        assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
        assert_eq!(provider.requests(), 2, "{how:?}");
    }
}

/// A reply that HTTP/2 has taken is not one that its caller has.
#[tokio::test]
async fn an_answer_that_comes_back_from_the_door_waits_for_its_caller() {
    for how in [Goes::InTime, Goes::Cancels, Goes::Breaks] {
        let provider = Provider::start().await;
        let gateway = Gateway::start(&provider).await;
        // Not a byte of a body is taken.
        let stream = tokio::net::TcpStream::connect(gateway.address())
            .await
            .unwrap();
        let mut client = h2::client::Builder::new();
        client.initial_window_size(0);
        let (mut client, mut connection) = client.handshake::<_, Bytes>(stream).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        let connection = tokio::spawn(connection);
        let mut request =
            http::Request::post("http://gateway/idgw.identity.v1.IdentityService/CheckCurp")
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        if let Goes::InTime = how {
            request = request.header("grpc-timeout", "700m");
        }
        let (response, mut stream) = client
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        let message = curp().encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        stream
            .send_data([&[0][..], &length, &message].concat().into(), true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        match how {
            Goes::InTime => {
                let reset = body.data().await.unwrap().unwrap_err();
                assert!(reset.is_remote() && reset.is_reset(), "{reset}");
            }
            Goes::Cancels => {
                stream.send_reset(h2::Reason::CANCEL);
                pings.ping(h2::Ping::opaque()).await.unwrap();
            }
            Goes::Breaks => {
                connection.abort();
                let _broken = connection.await;
                drop((client, body, stream, pings));
                gateway.has_heard_all().await;
            }
        }
        assert_eq!(
            source(&gateway.curp(curp()).await),
            Source::Recovered,
            "{how:?}"
        );
        assert_eq!(
            source(&gateway.curp(curp()).await),
            Source::Provider,
            "{how:?}"
        );
        assert_eq!(provider.requests(), 2, "{how:?}");
    }
}

#[tokio::test]
async fn the_error_says_until_when_the_answer_can_be_had() {
    let provider = Provider::start().await;
    let ttl = Duration::from_secs(300);
    let gateway = Gateway::with(&provider, |settings| {
        settings.sharing.recover_ttl = Span::new(ttl);
    })
    .await;
    provider.hold();
    let asked = Timestamp::now();
    let status = gateway.late(curp()).await;
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["billing"], "unknown");
    let until: Timestamp = info.metadata["recoverable_until"].parse().unwrap();
    let left = Duration::try_from(until.duration_since(asked)).unwrap();
    // The provider's own time, and the lifetime.
    let timeout = Settings::default().providers.accuauth.timeout.get();
    let most = timeout + ttl;
    assert!(
        (most - Duration::from_secs(2)..=most + Duration::from_secs(2)).contains(&left),
        "{left:?}"
    );
    assert!(
        status.message().contains("without another charge"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_repeat_joins_what_is_on_its_way_and_is_then_owed_nothing() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    goes(&gateway, &provider, Goes::InTime, curp()).await;
    let repeat = gateway.curp_soon(curp());
    gateway.has_heard_all().await;
    provider.release();
    let answer = repeat.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&answer), Source::Coalesced);
    assert_eq!(provider.requests(), 1);
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
}

#[tokio::test]
async fn each_call_that_went_is_answered_once() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    let calls = [(); 3].map(|()| gateway.late(curp()));
    futures_util::future::join_all(calls).await;
    provider.release();
    provider.has_answered(1).await;
    for expected in [
        Source::Recovered,
        Source::Recovered,
        Source::Recovered,
        Source::Provider,
    ] {
        assert_eq!(source(&gateway.curp(curp()).await), expected);
    }
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn the_repeat_says_what_it_wants_of_the_answer() {
    for (first, repeat, has_document) in [
        (curp(), with_document(), true),
        (with_document(), curp(), false),
        (with_document(), with_document(), true),
    ] {
        let provider = Provider::start().await;
        let gateway = Gateway::start(&provider).await;
        provider.hold();
        goes(&gateway, &provider, Goes::InTime, first).await;
        provider.release();
        provider.has_answered(1).await;
        let answer = gateway.curp(repeat).await;
        assert_eq!(source(&answer), Source::Recovered);
        assert_eq!(document(&answer).is_some(), has_document);
        assert_eq!(provider.requests(), 1);
    }
}

/// An answer of the provider, and what a repeat is told: the failure's reason, and whether the provider is asked.
#[tokio::test]
async fn a_failure_waits_for_its_caller_only_if_it_may_have_been_charged() {
    let quota = json!({"status": "OUT_OF_QUOTA"});
    let garbage = json!("nothing of the kind");
    for (status, body, reason, is_asked_again) in [
        (200, garbage, "PROVIDER_RESPONSE_MALFORMED", false),
        (502, json!("bad gateway"), "PROVIDER_OUTCOME_UNKNOWN", false),
        (402, quota, "PROVIDER_QUOTA_EXHAUSTED", true),
    ] {
        let (provider, gateway) = left(status, body, |_| {}).await;
        let status = gateway.identity.clone().check_curp(curp()).await;
        let status = status.expect_err(reason);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, reason);
        assert_eq!(
            provider.requests(),
            1 + usize::from(is_asked_again),
            "{reason}"
        );
        // Told once.
        let _status = gateway.identity.clone().check_curp(curp()).await;
        assert_eq!(
            provider.requests(),
            2 + usize::from(is_asked_again),
            "{reason}"
        );
    }
}

/// A provider that has given this answer to a caller that went.
async fn left(status: u16, body: Value, change: impl FnOnce(&mut Settings)) -> (Provider, Gateway) {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, change).await;
    provider.answers(status, body);
    provider.hold();
    goes(&gateway, &provider, Goes::InTime, curp()).await;
    provider.release();
    provider.has_answered(1).await;
    (provider, gateway)
}

#[tokio::test]
async fn nothing_waits_for_longer_than_its_time() {
    let (provider, gateway) = left(200, curp_answer("0"), |settings| {
        settings.sharing.recover_ttl = Span::new(Duration::from_millis(100));
    })
    .await;
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn switched_off_a_request_goes_with_its_last_caller() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.sharing.recover_ttl = Span::new(Duration::ZERO);
    })
    .await;
    provider.hold();
    let status = gateway.late(curp()).await;
    let info = status.get_details_error_info().unwrap();
    assert!(!info.metadata.contains_key("recoverable_until"));
    eventually(|| provider.given_up() == 1).await;
    provider.release();
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
}

/// What waits for a place at the provider has not left: it costs nothing, and goes with its caller.
#[tokio::test]
async fn what_has_not_left_goes_with_its_caller() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.providers.accuauth.max_in_flight = 1;
        settings.providers.accuauth.queue_timeout = Span::seconds(5);
    })
    .await;
    let other = CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..curp()
    };
    provider.hold();
    let first = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let status = gateway.late(other).await;
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["billing"], "not_billed");
    assert!(!info.metadata.contains_key("recoverable_until"));
    provider.release();
    first.await.unwrap().unwrap();
    gateway.has_heard_all().await;
    assert_eq!(provider.requests(), 1);
}

/// A caller that opens and leaves holds its place for as long as what it began is on its way.
#[tokio::test]
async fn who_went_keeps_its_place_until_its_request_has_ended() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| settings.server.max_in_flight = 3).await;
    provider.hold();
    for curp_of_one in OTHER_CURPS {
        let request = CheckCurpRequest {
            curp: curp_of_one.to_owned(),
            ..curp()
        };
        let status = gateway.late(request).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    let status = gateway.identity.clone().check_curp(curp()).await;
    assert_eq!(
        status.expect_err("no place").code(),
        Code::ResourceExhausted
    );
    provider.release();
    provider.has_answered(3).await;
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
    assert_eq!(provider.requests(), 4);
}

/// What a call adds to the bill, as its reply says.
#[tokio::test]
async fn the_reply_says_what_the_call_has_cost_and_what_was_paid_before_costs_nothing() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.providers.accuauth.price = Some("0.35 USD".parse().unwrap());
    })
    .await;
    let cost = |answer: &CheckCurpResponse| {
        let cost = verification(answer).cost.as_ref().unwrap();
        (cost.currency_code.clone(), cost.units, cost.nanos)
    };
    let paid = ("USD".to_owned(), 0, 350_000_000);
    let nothing = ("USD".to_owned(), 0, 0);
    let id = uuid::Uuid::now_v7().to_string();
    let request = || CheckCurpRequest {
        request_id: id.clone(),
        ..curp_aged(3600)
    };
    for (request, expected_source, expected) in [
        (request(), Source::Provider, &paid),
        (request(), Source::Recovered, &nothing),
        (curp_aged(3600), Source::Cache, &nothing),
        (curp(), Source::Provider, &paid),
    ] {
        let answer = gateway.curp(request).await;
        assert_eq!(source(&answer), expected_source);
        assert_eq!(cost(&answer), *expected, "{expected_source:?}");
    }
    provider.hold();
    goes(&gateway, &provider, Goes::InTime, curp()).await;
    provider.release();
    provider.has_answered(3).await;
    let answer = gateway.curp(curp()).await;
    assert_eq!(source(&answer), Source::Recovered);
    assert_eq!(cost(&answer), nothing);
}
