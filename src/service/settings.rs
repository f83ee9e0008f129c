//! The settings of the RPCs: how a CURP is checked, and person records.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request_ids::Bounds;
use crate::{
    domain::redaction::Secret,
    setting::{Span, redacted},
    sharing::{keys, once},
    transport::settings::Upstream,
};

/// How a CURP is checked before it is sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CurpRules {
    /// What a CURP must satisfy before it is sent to the provider, which may charge for it.
    pub check: CurpCheck,
}

/// What a CURP must satisfy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CurpCheck {
    /// Format, a date that exists in its century, and the check digit.
    #[default]
    Strict,
    /// Format only: registries are known to contain irregular ones.
    Shape,
}

/// Lookups.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lookups {
    /// How long the outcome of a lookup with a `request_id` is stored, so that a retry gets it again and nothing is
    /// paid twice. At least as long as a lookup may take: the provider's `queue_timeout`, `timeout` and 5 s
    /// of backoff for each of its `max_attempts`, plus 2 s.
    #[schemars(extend("x-min" = "1ms", "x-max" = "720h"))]
    pub request_id_ttl: Span,
    /// Most outcomes of lookups stored in this process; beyond that the oldest are dropped early
    /// (`idgw_request_ids_dropped_total`), and a retry of one calls the provider again, unless Redis has it. Lookups
    /// in flight are not counted.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub request_id_capacity: u64,
    /// Most bytes of these outcomes in this process; beyond that the oldest answers are dropped, but not their
    /// ids: a retry gets UNKNOWN `PROVIDER_OUTCOME_UNKNOWN` and costs nothing, unless Redis has the answer. An
    /// answer takes about 1 KiB, a CURP's with its PDF 100 KiB.
    #[schemars(range(min = 0, max = 1_099_511_627_776_i64))]
    pub request_id_max_bytes: u64,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            request_id_ttl: Span::seconds(15 * 60),
            request_id_capacity: 100_000,
            request_id_max_bytes: 64 * 1024 * 1024,
        }
    }
}

impl Lookups {
    /// How much is kept in this process.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds {
            capacity: self.request_id_capacity,
            max_bytes: usize::try_from(self.request_id_max_bytes).unwrap_or(usize::MAX),
            ttl: self.request_id_ttl.get(),
        }
    }

    /// What is wrong with the lifetime, given how long a lookup may take at a provider of this name: the key, and
    /// the problem.
    #[must_use]
    pub fn problem(&self, provider: &str, upstream: &Upstream) -> Option<(&'static str, String)> {
        let shortest = upstream.longest_call().saturating_add(once::GRACE);
        (self.request_id_ttl.get() < shortest).then(|| {
            let problem = format!(
                "is shorter than {}, which a lookup may take with providers.{provider}.queue_timeout, \
                 providers.{provider}.timeout and providers.{provider}.max_attempts: a retry could be charged \
                 while the first lookup is still running",
                Span::new(shortest)
            );
            ("lookups.request_id_ttl", problem)
        })
    }
}

/// Person records.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Persons {
    /// How long the outcome of a create is stored, so that a retry with the same `request_id` gets it again.
    /// At least as long as a create may take: Verifik's `queue_timeout`, `timeout` and 5 s of backoff for
    /// each of its `max_attempts`, plus 2 s.
    #[schemars(extend("x-min" = "1ms", "x-max" = "720h"))]
    pub request_id_ttl: Span,
    /// Most outcomes of creates stored in this process; beyond that the oldest are dropped early
    /// (`idgw_request_ids_dropped_total`). Creates in flight are not counted.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub request_id_capacity: u64,
    /// The key for page tokens and for the person handles of callers whose policy rule says `persons =
    /// "own"`: 32 bytes or more, in base64 or as text, the same at all replicas. If not set, it is derived
    /// from `cache.key` or from Verifik's token, and changing that invalidates every handle.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub handle_key: Option<Secret>,
    /// A file that contains the key, instead of `handle_key`; read at start.
    #[schemars(with = "PathBuf")]
    pub handle_key_file: Option<PathBuf>,
    /// Previous keys, separated by spaces: handles made with them remain valid. The secret from which the
    /// handle key was derived before `handle_key` was set counts as one.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub old_handle_keys: Option<Secret>,
    /// A file that contains the previous keys, instead of `old_handle_keys`; read at start.
    #[schemars(with = "PathBuf")]
    pub old_handle_keys_file: Option<PathBuf>,
}

impl Default for Persons {
    fn default() -> Self {
        Self {
            request_id_ttl: Span::seconds(24 * 3600),
            request_id_capacity: 100_000,
            handle_key: None,
            handle_key_file: None,
            old_handle_keys: None,
            old_handle_keys_file: None,
        }
    }
}

impl Persons {
    /// How much is kept in this process.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds {
            capacity: self.request_id_capacity,
            max_bytes: usize::MAX,
            ttl: self.request_id_ttl.get(),
        }
    }

    /// What is wrong with a lifetime, given how long a create may take: the key, and the problem.
    fn lifetime_problem(&self, verifik: &Upstream) -> Option<(&'static str, String)> {
        let shortest = verifik.longest_call().saturating_add(once::GRACE);
        (self.request_id_ttl.get() < shortest).then(|| {
            let problem = format!(
                "is shorter than {}, which a create may take with providers.verifik.queue_timeout, \
                 providers.verifik.timeout and providers.verifik.max_attempts: a retry could create a second \
                 person while the first create is still running",
                Span::new(shortest)
            );
            ("persons.request_id_ttl", problem)
        })
    }

    /// What is wrong with the keys of handles: the keys, and the problem.
    fn key_problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        let newest = self.handle_key.iter();
        let newest = newest.map(|key| ("persons.handle_key", key.expose()));
        let older = self.old_handle_keys.iter().flat_map(|keys| {
            let keys = keys.expose().split_whitespace();
            keys.map(|key| ("persons.old_handle_keys", key))
        });
        let all = newest.chain(older);
        all.filter_map(|(name, key)| Some((name, keys::master(key).err()?.to_string())))
    }

    /// What the schema cannot say, given the way to where the records are: the keys, and the problem.
    #[must_use]
    pub fn problems(&self, verifik: &Upstream) -> Vec<(&'static str, String)> {
        let lifetime = self.lifetime_problem(verifik);
        self.key_problems().chain(lifetime).collect()
    }
}
