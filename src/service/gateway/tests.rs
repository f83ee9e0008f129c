//! What a process that leaves waits for.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use uuid::Uuid;

use super::*;
use crate::{
    call::Call,
    config::Settings,
    domain::failure::{Failure, Kind},
    domain::redaction::Secret,
    proto,
    service::request_ids::{Asked, Fingerprint},
    sharing::store::Store as _,
};

/// What runs although no call waits for it.
#[derive(Debug, Clone, Copy)]
enum Runs {
    Create,
    Write,
    ToRedis,
}

#[tokio::test(start_paused = true)]
async fn a_process_that_leaves_waits_for_all_that_no_call_waits_for() {
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    for runs in [Runs::Create, Runs::Write, Runs::ToRedis] {
        let mut settings = Settings::default();
        if let Runs::ToRedis = runs {
            // Nobody is there: what is written later is tried again.
            settings.cache.url = Some(Secret::new("redis://127.0.0.1:1"));
        }
        let (gateway, _watches) = Gateway::new(settings.of_service(), policies.clone(), 0).unwrap();
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let work = async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            done.store(true, Ordering::Relaxed);
        };
        match runs {
            Runs::Create => {
                let (print, call) = (Fingerprint::of("m", b"a"), Arc::new(Call::default()));
                let create = |progress: Arc<crate::transport::Progress>| async move {
                    progress.sent();
                    work.await;
                    Err(Failure::new(Kind::Internal))
                };
                let asked = Asked {
                    id: Uuid::now_v7(),
                    fingerprint: print,
                    provider: Provider::Verifik,
                    lease: Duration::from_secs(60),
                    left: Box::new(|_| None),
                };
                let once = gateway.creates.once(asked, &call, create);
                let gave_up = tokio::time::timeout(Duration::from_secs(1), once).await;
                assert!(gave_up.is_err());
            }
            Runs::Write => drop(gateway.writes.spawn(work)),
            Runs::ToRedis => gateway.answers.remote().unwrap().later(work),
        }
        assert!(!is_done.load(Ordering::Relaxed));
        gateway.finished().await;
        assert!(is_done.load(Ordering::Relaxed), "{runs:?}");
    }
}
