//! Budgets that replicas count together, and what they do while Redis is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use identity_gateway::{
    access::budget::{Budgets, Shared},
    auth::identity::Identity,
    config::AuthMode,
    domain::{redaction::Secret, refusal::Quota},
    setting::Span,
    sharing::{Keys, Remote, settings::Settings, store::Store},
};

use crate::kit::redis_server::{KEY, Redis, redis};

const DAY: Quota = Quota::ChargedCallsPerDay;
const BUDGET: Duration = Duration::from_secs(1);

/// A replica's budgets, once it is connected.
async fn replica(redis: &Redis) -> Budgets {
    let settings = Settings {
        url: Some(Secret::new(redis.url())),
        timeout: Span::new(BUDGET),
        ..Settings::default()
    };
    let remote = Remote::new(&settings).unwrap();
    let keys = Arc::new(Keys::derived(KEY).unwrap());
    let up = Store::get(&remote, "nothing").await;
    assert_eq!(up, Ok(None));
    Budgets::new(Some(Shared { remote, keys }))
}

fn caller(name: &str) -> Arc<Identity> {
    Arc::new(Identity::new(AuthMode::Keys, name).unwrap())
}

#[tokio::test]
async fn replicas_share_a_budget() {
    let Some(redis) = redis().await else { return };
    let (one, two) = (replica(&redis).await, replica(&redis).await);
    let canary = caller("canary");
    let mut counted = Vec::new();
    for replica in [&one, &two, &one] {
        counted.push(replica.take(&canary, DAY, 3).await.unwrap());
    }
    assert!(one.take(&canary, DAY, 3).await.is_err());
    assert!(two.take(&canary, DAY, 3).await.is_err());
    // Another caller has its own, and so has another mode's caller of this name.
    let other = Arc::new(Identity::new(AuthMode::Jwt, "canary").unwrap());
    let _counted = two.take(&other, DAY, 3).await.unwrap();
    // What one gives back the other can take.
    counted.pop().unwrap().give_back();
    let mut taken = two.take(&canary, DAY, 3).await;
    for _ in 0..100 {
        if taken.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        taken = two.take(&canary, DAY, 3).await;
    }
    assert!(taken.is_ok(), "what was given back is not there");
    assert!(one.take(&canary, DAY, 3).await.is_err());
    // Nothing in Redis says who it is about, and everything has an end.
    let mut connection = redis.connection().await;
    for (key, _) in redis.dump().await {
        let key = String::from_utf8(key).unwrap();
        assert!(
            key.starts_with("idgw:budget:") && !key.contains("canary"),
            "{key}"
        );
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(left > 0 && left <= 2 * 86_400_000, "{left}");
    }
}

#[tokio::test]
async fn many_calls_at_once_do_not_overdraw_a_shared_budget() {
    let Some(redis) = redis().await else { return };
    let replicas = [
        replica(&redis).await,
        replica(&redis).await,
        replica(&redis).await,
    ];
    let caller = caller("payments");
    let calls = (0..300).map(|number| replicas[number % 3].take(&caller, DAY, 100));
    let taken = futures_util::future::join_all(calls).await;
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 100);
}

#[tokio::test]
async fn while_redis_is_away_each_goes_on_from_what_it_knows_and_waits_for_nothing() {
    let Some(mut redis) = redis().await else {
        return;
    };
    let (one, two) = (replica(&redis).await, replica(&redis).await);
    let caller = caller("payments");
    for replica in [&one, &one, &two] {
        let _counted = replica.take(&caller, DAY, 6).await.unwrap();
    }
    // Silent: no call waits longer than the lookup's budget.
    redis.freeze();
    let begun = Instant::now();
    let _counted = one.take(&caller, DAY, 6).await.unwrap();
    assert!(begun.elapsed() < 4 * BUDGET, "{:?}", begun.elapsed());
    redis.thaw();
    redis.kill();
    // `two` has heard of three; `one` of two, and has counted one more since.
    for (replica, left) in [(&one, 3), (&two, 3)] {
        let mut taken = 0;
        while replica.take(&caller, DAY, 6).await.is_ok() {
            taken += 1;
            assert!(taken <= 6, "it is overdrawn");
        }
        assert_eq!(taken, left);
    }
}
