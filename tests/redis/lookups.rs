//! What was paid for at one replica is found at another, and a `request_id` of a lookup holds at all of them.

use std::time::Duration;

use identity_gateway::{
    config::Settings,
    proto::identity::v1::{CheckCurpRequest, Source},
    setting::Span,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::creates::connected;
use crate::kit::{
    companies, eventually_in, gateway,
    redis_server::{KEY, Redis, redis},
    replica::*,
};

const CURP_RPC: &str = "idgw.identity.v1.IdentityService/CheckCurp";

/// Two replicas over one provider, both connected; and how many requests it has had by then.
async fn two(redis: &Redis) -> (Provider, Gateway, Gateway, usize) {
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one, &two]).await;
    let before = provider.requests();
    (provider, one, two, before)
}

fn with_id(id: Uuid) -> CheckCurpRequest {
    CheckCurpRequest {
        request_id: id.to_string(),
        ..curp()
    }
}

/// A call that goes without its answer.
async fn goes(gateway: &Gateway, request: CheckCurpRequest) -> Status {
    let status = gateway.late(request).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    status
}

async fn keys(redis: &Redis, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let all = redis.dump().await.into_iter();
    let all = all.map(|(key, value)| (String::from_utf8(key).unwrap(), value));
    // Beside an answer there are marks and numbers.
    let all = all.filter(|(key, _)| !prefix.contains("left") || key.ends_with('}'));
    all.filter(|(key, _)| key.starts_with(prefix)).collect()
}

async fn reason(gateway: &Gateway, request: CheckCurpRequest) -> (Code, String) {
    let status = gateway.identity.clone().check_curp(request).await;
    let status = status.expect_err("a failure");
    let info = status.get_details_error_info().unwrap();
    (status.code(), info.reason)
}

#[tokio::test]
async fn an_answer_that_came_too_late_at_one_replica_is_found_at_another_once_and_is_sealed() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    provider.hold();
    // Two calls at a time: one after the other they would be a call and its repeat.
    tokio::join!(goes(&one, curp()), goes(&one, curp()));
    provider.release();
    eventually_in(async || keys(&redis, "idgw:left:").await.len() == 1).await;
    for (key, value) in keys(&redis, "idgw:left:").await {
        let text = String::from_utf8_lossy(&value).into_owned();
        assert!(!text.contains(GIVEN_NAME) && !text.contains(CURP), "{text}");
        assert!(!key.contains(CURP), "{key}");
    }
    for (gateway, expected) in [
        (&two, Source::Recovered),
        (&one, Source::Recovered),
        (&two, Source::Provider),
    ] {
        assert_eq!(source(&gateway.curp(curp()).await), expected);
    }
    assert_eq!(provider.requests(), before + 2);
    assert_eq!(keys(&redis, "idgw:left:").await, []);
}

#[tokio::test]
async fn a_repeat_elsewhere_waits_for_what_is_on_its_way_within_its_own_deadline() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    provider.hold();
    goes(&one, curp()).await;
    let late = goes(&two, curp()).await;
    if let Some(info) = late.get_details_error_info() {
        assert_eq!(info.metadata["billing"], "unknown");
        assert!(info.metadata.contains_key("recoverable_until"), "{info:?}");
    }
    let patient = two.curp_soon(curp());
    two.has_heard_all().await;
    provider.release();
    let answer = patient.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&answer), Source::Coalesced);
    assert_eq!(provider.requests(), before + 1);
    // It was delivered.
    assert_eq!(source(&one.curp(curp()).await), Source::Provider);
}

/// One caller, the same question at two replicas at a time, and nobody goes: one request, too.
#[tokio::test]
async fn the_same_call_at_two_replicas_is_one_request() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    provider.hold();
    let first = one.curp_soon(curp());
    provider.has_requests(before + 1).await;
    let second = two.curp_soon(curp());
    two.has_heard_all().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    provider.release();
    for (call, expected) in [(first, Source::Provider), (second, Source::Coalesced)] {
        assert_eq!(source(&call.await.unwrap().unwrap().into_inner()), expected);
    }
    assert_eq!(provider.requests(), before + 1);
    assert_eq!(source(&two.curp(curp()).await), Source::Provider);
}

/// Who cancels and asks elsewhere at once is faster than what its first replica tells the others.
#[tokio::test]
async fn a_repeat_elsewhere_that_is_faster_than_the_cancellation_waits_too() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    for round in 0..20 {
        let request = || CheckCurpRequest {
            curp: companies::curp_of(round),
            ..curp()
        };
        provider.hold();
        let first = one.curp_soon(request());
        provider.has_requests(before + round + 1).await;
        let repeat = two.curp_soon(request());
        first.abort();
        two.has_heard_all().await;
        provider.release();
        let answer = repeat.await.unwrap().unwrap().into_inner();
        assert_eq!(source(&answer), Source::Coalesced);
    }
    assert_eq!(provider.requests(), before + 20);
}

#[tokio::test]
async fn a_free_failure_is_nobodys_and_a_repeat_elsewhere_asks() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    provider.answers(402, serde_json::json!({"status": "OUT_OF_QUOTA"}));
    provider.hold();
    goes(&one, curp()).await;
    let patient = two.curp_soon(curp());
    two.has_heard_all().await;
    provider.release();
    provider.has_answered(before + 1).await;
    let status = patient.await.unwrap().expect_err("no quota");
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "PROVIDER_QUOTA_EXHAUSTED"
    );
    assert_eq!(provider.requests(), before + 2);
}

#[tokio::test]
async fn without_its_redis_a_replica_keeps_the_answer_itself() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let (provider, one, _two, before) = two(&redis).await;
    provider.hold();
    goes(&one, curp()).await;
    redis.kill();
    provider.release();
    provider.has_answered(before + 1).await;
    assert_eq!(source(&one.curp(curp()).await), Source::Recovered);
    assert_eq!(provider.requests(), before + 1);
}

/// A Redis that is full answers, and keeps nothing.
#[tokio::test]
async fn a_redis_that_takes_no_more_costs_nothing_at_the_replica_that_has_the_answer() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = self::two(&redis).await;
    let limit = async |bytes: u64| {
        let set = redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .to_owned();
        let () = set
            .query_async(&mut redis.connection().await)
            .await
            .unwrap();
    };
    provider.hold();
    limit(1).await;
    goes(&one, curp()).await;
    provider.release();
    provider.has_answered(before + 1).await;
    assert_eq!(source(&one.curp(curp()).await), Source::Recovered);
    // Once there is room again, the others find what still waits.
    provider.hold();
    goes(&one, curp()).await;
    provider.release();
    provider.has_answered(before + 2).await;
    limit(0).await;
    eventually_in(async || !keys(&redis, "idgw:left:").await.is_empty()).await;
    assert_eq!(source(&two.curp(curp()).await), Source::Recovered);
    assert_eq!(provider.requests(), before + 2);
}

/// A process that keeps no answers itself passes them on.
#[tokio::test]
async fn without_a_cache_of_its_own_a_replica_moves_the_answer_all_the_same() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let shared = redis.shared();
    let one = Gateway::with(&provider, |settings| {
        shared(settings);
        settings.cache.max_bytes = 0;
    })
    .await;
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one, &two]).await;
    let before = provider.requests();
    provider.hold();
    goes(&one, curp()).await;
    provider.release();
    eventually_in(async || !keys(&redis, "idgw:left:").await.is_empty()).await;
    assert_eq!(source(&two.curp(curp()).await), Source::Recovered);
    assert_eq!(provider.requests(), before + 1);
}

#[tokio::test]
async fn what_nobody_fetches_is_erased_when_its_time_is_over() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let shared = redis.shared();
    let change = |settings: &mut Settings| {
        shared(settings);
        settings.sharing.recover_ttl = Span::new(Duration::from_secs(1));
    };
    let one = Gateway::with(&provider, change).await;
    connected(&[&one]).await;
    provider.hold();
    goes(&one, curp()).await;
    provider.release();
    eventually_in(async || !keys(&redis, "idgw:left:").await.is_empty()).await;
    eventually_in(async || keys(&redis, "idgw:left:").await.is_empty()).await;
    assert_eq!(source(&one.curp(curp()).await), Source::Provider);
}

#[tokio::test]
async fn a_request_id_is_paid_for_once_at_all_replicas() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    let id = Uuid::now_v7();
    provider.hold();
    let first = one.curp_soon(with_id(id));
    provider.has_requests(before + 1).await;
    let second = two.curp_soon(with_id(id));
    let reuse = CheckCurpRequest {
        curp: OTHER_CURPS[0].to_owned(),
        ..with_id(id)
    };
    assert_eq!(
        reason(&two, reuse).await,
        (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned())
    );
    provider.release();
    let first = first.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&first), Source::Provider);
    let second = second.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&second), Source::Coalesced);
    // Also at a replica that has just come, and with what the first did not want.
    let three = Gateway::with(&provider, redis.shared()).await;
    connected(&[&three]).await;
    let before = provider.requests();
    let whole = CheckCurpRequest {
        include_document: true,
        ..with_id(id)
    };
    let late = three.curp(whole).await;
    assert_eq!(source(&late), Source::Recovered);
    assert!(late.record.unwrap().document.is_some());
    assert_eq!(provider.requests(), before);
    for (key, value) in keys(&redis, "idgw:lookup:").await {
        let text = String::from_utf8_lossy(&value).into_owned();
        assert!(
            !text.contains(GIVEN_NAME) && !key.contains(&id.to_string()),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_caller_that_went_finds_what_its_id_brought_at_another_replica() {
    let Some(redis) = redis().await else { return };
    let (provider, one, two, before) = two(&redis).await;
    let id = Uuid::now_v7();
    provider.hold();
    goes(&one, with_id(id)).await;
    let late = goes(&two, with_id(id)).await;
    let info = late.get_details_error_info().unwrap();
    assert!(info.metadata.contains_key("recoverable_until"), "{info:?}");
    let patient = two.curp_soon(with_id(id));
    two.has_heard_all().await;
    provider.release();
    let answer = patient.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&answer), Source::Coalesced);
    assert_eq!(source(&two.curp(with_id(id)).await), Source::Recovered);
    assert_eq!(provider.requests(), before + 1);
}

#[tokio::test]
async fn while_redis_is_down_a_lookup_with_an_id_is_not_sent_and_one_without_is() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let (provider, one, _two, before) = two(&redis).await;
    redis.kill();
    let expected = (Code::Unavailable, "REQUEST_ID_UNAVAILABLE".to_owned());
    assert_eq!(reason(&one, with_id(Uuid::now_v7())).await, expected);
    assert_eq!(provider.requests(), before);
    assert_eq!(source(&one.curp(curp()).await), Source::Provider);
}

#[tokio::test]
async fn a_replica_that_crashed_leaves_an_unknown_outcome_and_never_a_second_request() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let (settings, doomed, id) = (redis.shared(), provider.clone(), Uuid::now_v7());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let crashed = runtime.spawn(async move {
        let one = Gateway::with(&doomed, |it| {
            settings(it);
            it.providers.accuauth.timeout = "2s".parse().unwrap();
            it.providers.accuauth.max_attempts = 1;
        });
        let one = one.await;
        connected(&[&one]).await;
        doomed.hold();
        one.curp(with_id(id)).await
    });
    eventually(|| provider.bodies().iter().any(|body| body.contains(CURP))).await;
    runtime.shutdown_background();
    assert!(crashed.await.is_err());
    provider.release();
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&two]).await;
    let sent = provider.requests();
    let unknown = (Code::Unknown, "PROVIDER_OUTCOME_UNKNOWN".to_owned());
    for _ in 0..2 {
        assert_eq!(reason(&two, with_id(id)).await, unknown);
    }
    assert_eq!(provider.requests(), sent);
}

/// A process that is told to leave finishes what it has sent, and stores it before it exits.
#[tokio::test(flavor = "multi_thread")]
async fn a_draining_process_stores_what_is_on_its_way_before_it_exits() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let mut variables = companies::variables(&format!("http://{}", provider.address));
    variables.extend([
        ("IDGW_CACHE__URL".to_owned(), redis.url()),
        ("IDGW_CACHE__KEY".to_owned(), KEY.to_owned()),
        ("IDGW_SERVER__LAME_DUCK".to_owned(), "0s".to_owned()),
    ]);
    let mut leaving = gateway::Gateway::serve(variables.clone()).await;
    let stays = gateway::Gateway::serve(variables).await;
    let request = serde_json::json!({"curp": CURP});
    provider.hold();
    let hasty = Some(HASTE);
    let late = leaving.client.call_within(CURP_RPC, &request, hasty).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    leaving.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(leaving.runs(), "it waits for the answer");
    provider.release();
    let exit = leaving.exit(Duration::from_secs(10)).await;
    assert!(exit.expect("it exits").success());
    let answer = stays.client.call(CURP_RPC, &request).await.unwrap();
    assert_eq!(
        answer["verification"]["source"], "SOURCE_RECOVERED",
        "{answer}"
    );
    assert_eq!(provider.requests(), 1);
}
