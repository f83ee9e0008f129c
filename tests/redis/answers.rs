//! Kept answers at all replicas: shared, unreadable for others, and never in the way.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use identity_gateway::{
    config::Environment,
    domain::redaction::Secret,
    proto::identity::v1::{CheckCurpRequest, Source},
};

use super::creates::{REQUEST_ID, connected, create};
use crate::kit::{
    redis_server::{KEY, Redis, redis},
    replica::*,
};

fn other(number: usize, max_age: i64) -> CheckCurpRequest {
    CheckCurpRequest {
        curp: OTHER_CURPS[number].to_owned(),
        ..curp_aged(max_age)
    }
}

#[tokio::test]
async fn an_answer_that_one_replica_fetched_serves_the_other() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    let two = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one, &two]).await;
    let (keys, before) = (redis.dump_at_rest().await.len(), provider.requests());
    one.curp(curp()).await;
    let first = one.curp(curp_aged(60)).await;
    assert_eq!(source(&first), Source::Provider, "nothing was kept before");
    redis.holds(keys + 1).await;

    let second = two.curp(curp_aged(60)).await;
    let (there, here) = (verification(&first), verification(&second));
    assert_eq!(here.source(), Source::Cache);
    assert_ne!(here.id, there.id);
    assert_eq!(here.checked_at, there.checked_at);
    assert_eq!(here.provider_reference, there.provider_reference);
    assert_eq!(here.billing, there.billing);
    assert_eq!(second.record, first.record);
    assert_eq!(provider.requests(), before + 2);

    // What came from there is kept here too.
    drop(redis);
    assert_eq!(source(&two.curp(curp_aged(60)).await), Source::Cache);
}

#[tokio::test]
async fn another_key_or_environment_or_a_spoilt_value_is_a_miss_and_no_error() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    connected(&[&one]).await;
    let keys = redis.dump_at_rest().await.len();
    one.curp(curp_aged(60)).await;
    one.curp(other(0, 60)).await;
    redis.holds(keys + 2).await;

    let sandbox = Gateway::with(&provider, |settings| {
        redis.shared()(settings);
        settings.providers.accuauth.environment = Environment::Sandbox;
    });
    let stranger = Gateway::with(&provider, |settings| {
        redis.shared()(settings);
        settings.cache.key = Some(Secret::new(KEY.replace("this", "that")));
    });
    for gateway in [sandbox.await, stranger.await] {
        connected(&[&gateway]).await;
        assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Provider);
    }

    let mut all = redis.dump_at_rest().await;
    all.retain(|(key, _)| key.starts_with(b"idgw:answer:"));
    let mut connection = redis.connection().await;
    for (place, (key, value)) in all.iter().enumerate() {
        // Moved, cut, changed, replaced.
        let (_, next) = &all[(place + 1) % all.len()];
        let cut = &value[..value.len() / 2];
        for spoilt in [next.as_slice(), cut, b"", b"\x01\x02"] {
            let set = redis::cmd("SET").arg(key).arg(spoilt).to_owned();
            set.exec_async(&mut connection).await.unwrap();
            let fresh = Gateway::with(&provider, |settings| {
                redis.shared()(settings);
                // So that it leaves what was spoilt as it is.
                settings.cache.found_ttl = "1ms".parse().unwrap();
            });
            let fresh = fresh.await;
            connected(&[&fresh]).await;
            for request in [curp_aged(60), other(0, 60)] {
                let answer = fresh.curp(request).await;
                assert!(answer.record.is_some());
            }
        }
    }
}

/// Every form of every canary that stands in what Redis holds.
async fn canaries(redis: &Redis) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in redis.dump_at_rest().await {
        let text = [key, value].concat().to_ascii_lowercase();
        for canary in [
            CURP,
            OTHER_CURPS[0],
            KENYA_ID,
            GIVEN_NAME,
            "ARCE",
            REQUEST_ID,
            "%PDF-1.4",
            "accuauth",
            "person_",
        ] {
            let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [canary.to_owned(), hex, STANDARD_NO_PAD.encode(canary)] {
                let form = form.to_ascii_lowercase();
                if text.windows(form.len()).any(|part| part == form.as_bytes()) {
                    found.push(canary.to_owned());
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn redis_holds_no_identifier_and_no_name_in_clear() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, redis.shared()).await;
    create(&gateway, REQUEST_ID, GIVEN_NAME).await.unwrap();
    let with_document = CheckCurpRequest {
        include_document: true,
        ..curp_aged(60)
    };
    gateway.curp(with_document).await;
    gateway.curp(other(0, 60)).await;
    let mut kenyan = kenya();
    kenyan.max_age = curp_aged(60).max_age;
    gateway
        .identity
        .clone()
        .scrub_kenya_id(kenyan)
        .await
        .unwrap();
    // A create, a CURP with and without its document, another CURP, a Kenyan.
    redis.holds(5).await;
    assert_eq!(canaries(&redis).await, Vec::<String>::new());

    // The search itself finds what is there.
    let mut connection = redis.connection().await;
    for (planted, canary) in [
        (format!("x{CURP}x"), CURP),
        (STANDARD_NO_PAD.encode(GIVEN_NAME), GIVEN_NAME),
    ] {
        let set = redis::cmd("SET").arg(&planted).arg("1").to_owned();
        set.exec_async(&mut connection).await.unwrap();
        assert_eq!(canaries(&redis).await, [canary]);
        let get = redis::cmd("RENAME").arg(&planted).arg("value").to_owned();
        get.exec_async(&mut connection).await.unwrap();
        let set = redis::cmd("SET").arg("value").arg(&planted).to_owned();
        set.exec_async(&mut connection).await.unwrap();
        assert_eq!(canaries(&redis).await, [canary]);
        let delete = redis::cmd("DEL").arg("value").to_owned();
        delete.exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn without_its_redis_a_gateway_costs_a_provider_call_and_no_time() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        redis.shared()(settings);
        // More than a call may take by itself on a busy machine: who took that long has waited for Redis.
        settings.cache.timeout = "1s".parse().unwrap();
        // So that each call below is a miss here and asks there.
        settings.cache.max_bytes = 0;
    })
    .await;
    connected(&[&gateway]).await;
    let keys = redis.dump_at_rest().await.len();
    gateway.curp(curp_aged(60)).await;
    redis.holds(keys + 1).await;
    assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Cache);

    // It takes connections and says nothing: three calls wait for their budget, then none does.
    redis.freeze();
    let mut waited = 0;
    for _ in 0..30 {
        let started = Instant::now();
        assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Provider);
        waited += usize::from(started.elapsed() >= Duration::from_secs(1));
    }
    assert!((1..=5).contains(&waited), "{waited} of 30 calls waited");

    // It is back.
    redis.thaw();
    let back = async {
        while source(&gateway.curp(curp_aged(60)).await) != Source::Cache {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .unwrap();

    // It is gone.
    redis.kill();
    for _ in 0..30 {
        let started = Instant::now();
        assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Provider);
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    // Another takes its place.
    let another = Redis::on(redis.port);
    another.is_up().await;
    let back = async {
        while source(&gateway.curp(curp_aged(60)).await) != Source::Cache {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back)
        .await
        .unwrap();
}

/// How old a shared answer is, Redis's clock tells: what a replica's own clock says of the moment is
/// another's word.
#[tokio::test]
async fn the_age_of_a_shared_answer_is_what_redis_says_is_over_of_its_lifetime() {
    let Some(redis) = redis().await else { return };
    let provider = Provider::start().await;
    let one = Gateway::with(&provider, redis.shared()).await;
    let two = Gateway::with(&provider, |settings| {
        redis.shared()(settings);
        settings.cache.max_bytes = 0;
    })
    .await;
    connected(&[&one, &two]).await;
    let before: Vec<_> = redis
        .dump_at_rest()
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    one.curp(curp_aged(60)).await;
    redis.holds(before.len() + 1).await;
    let after = redis.dump_at_rest().await.into_iter().map(|(key, _)| key);
    let key: Vec<_> = after.filter(|key| !before.contains(key)).collect();
    let day = 24 * 3600;
    for (age, max_age, served) in [(0, 60, true), (100, 200, true), (100, 60, false)] {
        let mut connection = redis.connection().await;
        let expire = redis::cmd("EXPIRE").arg(&key[0]).arg(day - age).to_owned();
        let _set: i64 = expire.query_async(&mut connection).await.unwrap();
        let found = source(&two.curp(curp_aged(max_age)).await) == Source::Cache;
        assert_eq!(found, served, "{age} of at most {max_age}");
    }
}
