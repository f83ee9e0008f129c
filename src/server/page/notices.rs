//! What somebody should look at now, with the section of the runbook that says what to do. Expiries, server
//! errors and failed requests are measured as by deploy/observability/prometheus-rules.yaml, over the last ten minutes. Of
//! what should not happen at all one is enough, where an alert may wait for more.

use std::time::Duration;

use super::{
    snapshot::{Account, Circuit, Notice, Reload, Snapshot},
    watched::{Level, WATCHED},
    words::{Count, Share, Span},
};
use crate::{server::lifecycle::Phase, telemetry::reloads::InUse};

const HOUR: i64 = 60 * 60;
/// A token is warned of so many seconds before it expires, …
const TOKEN: i64 = 7 * 24 * HOUR;
/// … and certificates and revocation lists so many.
const CERTIFICATE: i64 = 4 * HOUR;
/// Of less requests than that it is not said that more than half of them fail.
const FEW: u64 = 4;
/// More than 1.44 % of the calls failed: see the alert IdgwErrorBudgetBurn.
const BURN: f64 = 0.0144;

/// What is known of the gateway beside the snapshot.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// How often each of [`WATCHED`] was counted in the last minutes.
    pub watched: Vec<u64>,
    /// Seconds until the server's certificate expires.
    pub certificate: Option<i64>,
    /// Seconds until a revocation list expires.
    pub crl: Option<i64>,
    /// Whether Redis is connected, if there is one.
    pub redis: Option<bool>,
}

const BURNT: &str = "IdgwErrorBudgetBurn";
const CERTIFICATE_ENDS: &str = "IdgwCertificateExpires";
const CRL_ENDS: &str = "IdgwCrlExpires";
const CACHE: &str = "IdgwCacheUnavailable";
const RELOAD: &str = "IdgwReloadRefused";
const BREAKER: &str = "IdgwBreakerOpen";
const DOWN: &str = "IdgwProviderDown";
const TOKEN_ENDS: &str = "IdgwTokenExpires";
#[cfg(test)]
/// The sections that [`of`] leads to, beside those of [`WATCHED`].
const SECTIONS: [&str; 8] = [
    BREAKER,
    DOWN,
    TOKEN_ENDS,
    BURNT,
    CERTIFICATE_ENDS,
    CRL_ENDS,
    CACHE,
    RELOAD,
];

/// All of them, the worst first.
#[must_use]
pub fn of(snapshot: &Snapshot, signs: &Signs) -> Vec<Notice> {
    let reach = Span(snapshot.reach);
    let mut found = Vec::new();
    let leaving = match snapshot.program.phase {
        Phase::Serving => None,
        Phase::LameDuck => {
            Some("The process is leaving: calls are still taken, and health says NOT_SERVING")
        }
        Phase::Draining => {
            Some("The process is leaving: new calls are refused, those in flight finish")
        }
    };
    found.extend(leaving.map(|words| notice(Level::Warning, words, None)));
    for account in &snapshot.accounts {
        found.extend(of_account(account, reach));
    }
    let calls = &snapshot.calls;
    if calls.all > FEW && calls.failed as f64 > calls.all as f64 * BURN {
        let share = Share {
            of: calls.failed,
            all: calls.all,
        };
        let words = format!("{share} of the calls of the last {reach} failed with a server error");
        found.push(notice(Level::Alarm, words, Some(BURNT)));
    }
    for (what, left, section) in [
        (
            "The server's certificate",
            signs.certificate,
            CERTIFICATE_ENDS,
        ),
        ("A certificate revocation list", signs.crl, CRL_ENDS),
    ] {
        found.extend(expiry(what, left, CERTIFICATE, section));
    }
    if signs.redis == Some(false) {
        let words = "Redis is not connected";
        found.push(notice(Level::Alarm, words, Some(CACHE)));
    }
    for Reload { key, in_use, .. } in &snapshot.reloads {
        let (level, words) = match in_use {
            InUse::Newest => continue,
            InUse::Previous => (
                Level::Warning,
                "reload rejected, keeping the previous version",
            ),
            InUse::Nothing => (
                Level::Alarm,
                "no version can be used, and no previous one is in use",
            ),
        };
        found.push(notice(level, format!("{key}: {words}"), Some(RELOAD)));
    }
    for (watched, count) in WATCHED.iter().zip(&signs.watched) {
        if *count > 0 {
            let words = format!("{}: {} in the last {reach}", watched.words, Count(*count));
            found.push(notice(watched.level, words, Some(watched.section)));
        }
    }
    found.sort_by_key(|notice| notice.level != Level::Alarm);
    found
}

/// Every section of the runbook that a notice may lead to.
#[cfg(test)]
pub fn sections() -> impl Iterator<Item = &'static str> {
    let watched = WATCHED.iter().map(|watched| watched.section);
    watched.chain(SECTIONS)
}

fn of_account(account: &Account, reach: Span) -> Vec<Notice> {
    let name = &account.name;
    let mut found = Vec::new();
    match account.circuit {
        Some(Circuit::Open(left)) => {
            let left = Span(left);
            let words = format!("{name}: the circuit is open, calls are refused for {left}");
            found.push(notice(Level::Alarm, words, Some(BREAKER)));
        }
        Some(Circuit::Waiting) => {
            let words = format!("{name}: the circuit was open, the next call tries the provider");
            found.push(notice(Level::Warning, words, Some(BREAKER)));
        }
        Some(Circuit::HalfOpen) => {
            let words = format!("{name}: the circuit is half-open, one call tries the provider");
            found.push(notice(Level::Alarm, words, Some(BREAKER)));
        }
        Some(Circuit::Closed) | None => {}
    }
    let requests = &account.requests;
    if requests.all > FEW && requests.failed * 2 > requests.all {
        let share = Share {
            of: requests.failed,
            all: requests.all,
        };
        let words = format!("{name}: {share} of the requests of the last {reach} failed");
        found.push(notice(Level::Alarm, words, Some(DOWN)));
    }
    let token = format!("{name}: the token");
    found.extend(expiry(&token, account.expires, TOKEN, TOKEN_ENDS));
    found
}

fn expiry(what: &str, left: Option<i64>, soon: i64, section: &'static str) -> Option<Notice> {
    let left = left.filter(|left| *left < soon)?;
    let (level, words) = match u64::try_from(left) {
        Ok(left) => {
            let left = Span(Duration::from_secs(left));
            (Level::Warning, format!("{what} expires in {left}"))
        }
        Err(_) => (Level::Alarm, format!("{what} has expired")),
    };
    Some(notice(level, words, Some(section)))
}

fn notice(level: Level, words: impl Into<String>, section: Option<&'static str>) -> Notice {
    let words = words.into();
    Notice {
        level,
        words,
        section,
    }
}
