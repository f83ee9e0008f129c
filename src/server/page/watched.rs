//! What should not happen, and the metric that counts it: each has a section in the runbook.

use crate::telemetry::{metrics::reading::Series, names};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Somebody has to act now: calls fail, or money or records are lost.
    Alarm,
    /// Somebody should look.
    Warning,
}

/// Something that is counted, and should not happen.
#[derive(Debug)]
pub struct Watched {
    metric: &'static str,
    /// Only series in which this label has one of these values.
    only: Option<(&'static str, &'static [&'static str])>,
    /// How much it matters.
    pub level: Level,
    /// What has happened.
    pub words: &'static str,
    /// The section of the runbook.
    pub section: &'static str,
}

macro_rules! watched {
    ($($level:ident $words:literal, $section:literal: $metric:ident $(where $label:ident in [$($value:literal),+])?;)*) => {
        /// All of them.
        pub const WATCHED: [Watched; [$($section),*].len()] = [$(Watched {
            metric: names::$metric.name,
            only: watched!(@only $($label in [$($value),+])?),
            level: Level::$level,
            words: $words,
            section: $section,
        }),*];
    };
    (@only $label:ident in [$($value:literal),+]) => { Some((names::$label, &[$($value),+])) };
    (@only) => { None };
}

watched! {
    Alarm "Defects (panics) were caught", "IdgwDefect": PANICS;
    Alarm "Audit records were lost, or calls refused because they could not be recorded", "IdgwAuditLoss":
        AUDIT where RECORDED in ["lost", "refused"];
    Alarm "A provider rejects the gateway's credential or route", "IdgwCredentialsRejected":
        FAILURES where REASON in ["PROVIDER_CREDENTIALS_REJECTED", "PROVIDER_MISCONFIGURED"];
    Alarm "A provider's account is out of credit or quota", "IdgwCreditUsedUp":
        FAILURES where REASON in ["PROVIDER_QUOTA_EXHAUSTED"];
    Alarm "Redis lost running request ids: repeats may have been charged again", "IdgwRequestIdsLost": REQUEST_IDS_LOST;
    Warning "Failed calls that may have been charged", "IdgwUnknownCharges":
        FAILURES where REASON in ["PROVIDER_OUTCOME_UNKNOWN", "PROVIDER_RESPONSE_MALFORMED", "PROVIDER_TIMEOUT"];
    Warning "Paid answers that nobody fetched", "IdgwPaidAnswersNotFetched": LEFT where FATE in ["expired"];
    Warning "Calls refused by a limit of the process or of a provider", "IdgwOverloaded":
        REFUSED where LIMIT in ["process", "provider"];
    Warning "Calls refused because their caller's budget is spent", "IdgwBudgetExhausted":
        RULE_REFUSED where REASON in ["BUDGET_EXHAUSTED"];
    Warning "Answers with content that the provider's documentation does not list", "IdgwDrift": DRIFTS;
    Warning "Operations of Redis failed", "IdgwCacheUnavailable": CACHE_FAILURES;
    Warning "Redis failed over or was restarted", "IdgwCachePrimaryChanged": CACHE_PRIMARY_CHANGES;
    Warning "Outcomes of request ids were dropped before their time", "IdgwRequestIdsDropped": REQUEST_IDS_DROPPED;
    Warning "Exports to the OpenTelemetry collector failed", "IdgwTelemetryLost": EXPORT_FAILURES;
}

/// Adds a series to the counts of what it is about.
pub fn count(counts: &mut [u64; WATCHED.len()], series: &Series<'_>) {
    for (watched, count) in WATCHED.iter().zip(counts) {
        let is_one = watched.metric == series.metric
            && watched.only.is_none_or(|(label, values)| {
                series
                    .label(label)
                    .is_some_and(|value| values.contains(&value))
            });
        if is_one {
            *count += series.count();
        }
    }
}
