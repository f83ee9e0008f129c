//! `max_age`: which answers are kept, for whom, and for how long.

use std::time::Duration;

use identity_gateway::{
    config::Span,
    domain::redaction::Secret,
    proto::identity::v1::{Billing, CheckCurpRequest, Outcome, Source},
};

use crate::kit::replica::*;

#[tokio::test]
async fn an_answer_is_kept_if_its_call_set_max_age_and_served_to_who_accepts_its_age() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    // Unset and zero: always the provider, and nothing is kept.
    for request in [curp(), curp_aged(0), curp(), curp_aged(0)] {
        assert_eq!(source(&gateway.curp(request).await), Source::Provider);
    }
    let first = gateway.curp(curp_aged(60)).await;
    assert_eq!(source(&first), Source::Provider);
    assert_eq!(provider.requests(), 5);

    let kept = gateway.curp(curp_aged(60)).await;
    let (before, after) = (verification(&first), verification(&kept));
    assert_eq!(after.source(), Source::Cache);
    assert_ne!(after.id, before.id);
    assert_eq!(after.checked_at, before.checked_at);
    assert_eq!(after.provider_reference, before.provider_reference);
    assert_eq!(after.billing(), Billing::Billed);
    assert_eq!(after.environment, before.environment);
    assert_eq!(kept.record, first.record);
    assert_eq!(provider.requests(), 5);

    // What is kept is for those who accept it.
    assert_eq!(source(&gateway.curp(curp()).await), Source::Provider);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Cache);
    assert_eq!(source(&gateway.curp(curp_aged(1)).await), Source::Provider);
    assert_eq!(provider.requests(), 7);
}

/// The credential in force says whose account is asked: what one account was told, or is about to be
/// told, is no answer of another's.
#[tokio::test]
async fn after_a_change_of_account_nothing_of_the_old_one_is_served_or_joined() {
    let provider = Provider::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let account = |secret: &str| std::fs::write(file.path(), secret).unwrap();
    account("first");
    let path = file.path().to_owned();
    let gateway = Gateway::with(&provider, |settings| {
        settings.server.reload_interval = "100ms".parse().unwrap();
        settings.providers.accuauth.api_secret = Some(Secret::new("first"));
        settings.providers.accuauth.api_secret_file = Some(path);
    })
    .await;
    gateway.curp(curp_aged(3600)).await;
    assert_eq!(source(&gateway.curp(curp_aged(3600)).await), Source::Cache);
    account("second");
    let asked_again = async {
        while source(&gateway.curp(curp_aged(3600)).await) == Source::Cache {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked_again)
        .await
        .expect("the old account's answer is served");
    assert_eq!(source(&gateway.curp(curp_aged(3600)).await), Source::Cache);

    let before = provider.requests();
    provider.hold();
    let first = gateway.curp_soon(curp());
    provider.has_requests(before + 1).await;
    account("third");
    let mut others = Vec::new();
    let asked_again = async {
        while provider.requests() == before + 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            others.push(gateway.curp_soon(curp()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked_again)
        .await
        .expect("the old account's call is joined");
    provider.release();
    for call in others.into_iter().chain([first]) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn each_outcome_has_its_own_lifetime() {
    let provider = Provider::start().await;
    let gateway = Gateway::with(&provider, |settings| {
        settings.cache.found_ttl = Span::seconds(3600);
        settings.cache.not_found_ttl = Span::seconds(3);
        settings.cache.invalid_ttl = Span::seconds(0);
    })
    .await;
    let ask = async |number: usize| {
        let request = CheckCurpRequest {
            curp: OTHER_CURPS.get(number).copied().unwrap_or(CURP).to_owned(),
            ..curp_aged(3600)
        };
        gateway.curp(request).await
    };
    for (number, code, outcome, again) in [
        (0, "1", Outcome::NotFound, Source::Cache),
        (1, "2", Outcome::InvalidIdentifier, Source::Provider),
        (2, "9", Outcome::Inconclusive, Source::Provider),
        (3, "0", Outcome::Found, Source::Cache),
    ] {
        provider.answers(200, curp_answer(code));
        let first = ask(number).await;
        assert_eq!(source(&first), Source::Provider, "{outcome:?}");
        assert_eq!(verification(&first).outcome(), outcome);
        assert_eq!(source(&ask(number).await), again, "{outcome:?}");
    }
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(source(&ask(0).await), Source::Provider);
    assert_eq!(source(&ask(3).await), Source::Cache);
}

#[tokio::test]
async fn the_document_is_kept_only_for_who_asks_for_it() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let with_document = || CheckCurpRequest {
        include_document: true,
        ..curp_aged(60)
    };
    assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Provider);
    let full = gateway.curp(with_document()).await;
    assert_eq!(source(&full), Source::Provider, "kept without the document");
    let kept = gateway.curp(with_document()).await;
    assert_eq!(source(&kept), Source::Cache);
    assert_eq!(kept.record.unwrap().document(), b"%PDF-1.4".as_slice());
    let plain = gateway.curp(curp_aged(60)).await;
    assert_eq!(source(&plain), Source::Cache);
    assert_eq!(plain.record.unwrap().document, None);
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn an_answer_is_kept_if_any_of_those_who_waited_for_it_set_max_age() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    provider.hold();
    let starter = gateway.curp_soon(curp());
    provider.has_requests(1).await;
    let joiner = gateway.curp_soon(curp_aged(60));
    gateway.has_heard_all().await;
    provider.release();
    starter.await.unwrap().unwrap();
    let joiner = joiner.await.unwrap().unwrap().into_inner();
    assert_eq!(source(&joiner), Source::Coalesced);
    assert_eq!(source(&gateway.curp(curp_aged(60)).await), Source::Cache);
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn callers_that_come_one_after_the_other_without_a_pause_pay_once() {
    let provider = Provider::start().await;
    let gateway = Gateway::start(&provider).await;
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let mut identity = gateway.identity.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(number * 100)).await;
                identity.check_curp(curp_aged(60)).await.unwrap()
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(provider.requests(), 1);
}
