//! The certificate of the client at the other end of a connection, for as long as the connection lasts.
//!
//! The handshake says that it was good then. Connections live for days, so it is tested again with every call: against
//! the CAs and revocation lists that are in force now, and against the clock. What the signatures are was worked out
//! before, unless something changed: the verdict is kept until the first certificate or list expires.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::trust::Trust;
use crate::{
    auth::peer::{self, Waiting},
    x509::Certificate,
};

/// So long before its certificate ends a client is asked to come over a new connection, with the new one that it
/// has by then: then none of its calls fails. With little time left at the beginning it is a quarter of that.
const AHEAD: Duration = Duration::from_secs(5);
/// A timer does not see that somebody sets the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A client's certificate, and those between it and its CA.
pub struct ClientCertificate {
    chain: Box<[CertificateDer<'static>]>,
    trust: watch::Receiver<Arc<Trust>>,
    verdict: Mutex<Option<Verdict>>,
}

/// That it was good.
struct Verdict {
    under: Arc<Trust>,
    until: SystemTime,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl peer::ClientCertificate for ClientCertificate {
    fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    fn is_good(&self) -> bool {
        self.good_until(SystemTime::now()).is_some()
    }

    fn about_to_end(&self) -> Waiting<'_> {
        let opened = SystemTime::now();
        Box::pin(self.wait(move |until| {
            let lasts = until.duration_since(opened).unwrap_or_default();
            until.checked_sub(AHEAD.min(lasts / 4)).unwrap_or(until)
        }))
    }

    fn ended(&self) -> Waiting<'_> {
        Box::pin(self.wait(|until| until))
    }
}

impl ClientCertificate {
    /// What a client showed in its handshake, its own certificate first.
    #[must_use]
    pub(super) fn new(chain: &[CertificateDer<'_>], trust: watch::Receiver<Arc<Trust>>) -> Self {
        Self {
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            trust,
            verdict: Mutex::default(),
        }
    }

    async fn wait(&self, moment: impl Fn(SystemTime) -> SystemTime) {
        let mut trust = self.trust.clone();
        loop {
            trust.borrow_and_update();
            let now = SystemTime::now();
            let left = self
                .good_until(now)
                .and_then(|until| moment(until).duration_since(now).ok())
                .filter(|left| !left.is_zero());
            let Some(left) = left else {
                return;
            };
            tokio::select! {
                changed = trust.changed() => if changed.is_err() {
                    // The process ends.
                    std::future::pending::<()>().await;
                },
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// Until when it is good if nothing changes; none if it is not.
    fn good_until(&self, now: SystemTime) -> Option<SystemTime> {
        let trust = Arc::clone(&self.trust.borrow());
        // Nothing panics under the lock.
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        let known = verdict
            .as_ref()
            .filter(|verdict| Arc::ptr_eq(&verdict.under, &trust) && now < verdict.until);
        if let Some(known) = known {
            return Some(known.until);
        }
        *verdict = None;
        if !trust.takes(&self.chain, now) {
            return None;
        }
        let until = self.first_end(now, trust.crl_expires)?;
        *verdict = Some(Verdict {
            under: trust,
            until,
        });
        Some(until)
    }

    /// When the first of the certificates and lists ends; none if a certificate does not say. Those that have ended took
    /// no part in the verdict.
    fn first_end(&self, now: SystemTime, crl_expires: Option<SystemTime>) -> Option<SystemTime> {
        let mut first = crl_expires.filter(|end| *end > now);
        for certificate in &self.chain {
            // The last second belongs to it.
            let end = Certificate::read(certificate)?.not_after + Duration::from_secs(1);
            if end > now {
                first = Some(first.map_or(end, |first| first.min(end)));
            }
        }
        Some(first.unwrap_or(now))
    }
}
