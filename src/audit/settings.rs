//! The settings of the audit (docs/audit.md).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{redaction::Secret, weak_key},
    setting::{Span, redacted},
};

/// The audit log: who asked about whom, with the identifier as a keyed hash.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where audit records go: one for every verification and every read and write of a person.
    pub sink: AuditSink,
    /// Whether each record is also exported to the collector, as an OTLP log
    /// (`OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`). It is a copy: `required` refers
    /// to `sink` only, and a failed export is counted but fails no call.
    pub otlp: bool,
    /// The file that records are appended to, where `sink` is `file`. Rotated files stand beside it with a
    /// sequence number, the lock file with the suffix `.lock`.
    #[schemars(with = "PathBuf")]
    pub path: Option<PathBuf>,
    /// The key of the hashes that replace identifiers, at least 32 characters. Required where `sink` is
    /// `file`, so that hashes can be compared across restarts; without it they can be compared within one
    /// process only.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub key: Option<Secret>,
    /// A file that contains the key, instead of `key`; read at start.
    #[schemars(with = "PathBuf")]
    pub key_file: Option<PathBuf>,
    /// The key of the hash chain, at least 32 characters: without it nobody can forge a record that `audit
    /// verify` accepts. If not set, it is derived from `key`; with neither, the chain is not keyed.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub chain_key: Option<Secret>,
    /// A file that contains the chain's key, instead of `chain_key`; read at start.
    #[schemars(with = "PathBuf")]
    pub chain_key_file: Option<PathBuf>,
    /// Whether a call that cannot be recorded is refused (AUDIT_UNAVAILABLE) before the provider is called.
    /// If false, records that cannot be written are lost, and counted.
    pub required: bool,
    /// Whether recorded calls must state their purpose in the metadata `x-purpose`.
    pub purpose_required: bool,
    /// When records are synced to disk (fsync).
    pub fsync: Fsync,
    /// Size in bytes at which the file is rotated.
    #[schemars(range(min = 4096, max = 1_073_741_824))]
    pub max_file_bytes: u64,
    /// How many rotated files are kept; the oldest is deleted first. Archive them before that.
    #[schemars(range(min = 1, max = 100_000))]
    pub keep_files: usize,
    /// How many records may be queued for writing; a further one is lost, or its call refused.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: usize,
    /// Where `required` is true: how long a call waits for its record before it is refused.
    #[schemars(extend("x-min" = "1ms", "x-max" = "1m"))]
    pub write_timeout: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sink: AuditSink::Off,
            otlp: false,
            path: None,
            key: None,
            key_file: None,
            chain_key: None,
            chain_key_file: None,
            required: false,
            purpose_required: false,
            fsync: Fsync::Interval,
            max_file_bytes: 64 * 1024 * 1024,
            keep_files: 30,
            queue: 8192,
            write_timeout: Span::seconds(1),
        }
    }
}

impl Settings {
    /// What the schema cannot say: the keys, and the problem.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        if self.sink == AuditSink::File {
            let path = self.path.as_ref();
            if path.is_none_or(|path| path.file_name().is_none()) {
                problem(
                    "audit.path",
                    "is required and must name a file: audit.sink is file",
                );
            }
            if self.key.is_none() {
                problem(
                    "audit.key",
                    "is required: audit.sink is file, and without a key hashes cannot be compared across restarts",
                );
            }
        }
        // A key that can be guessed gives away every number behind a hash, and makes any chain.
        for (name, key) in [
            ("audit.key", &self.key),
            ("audit.chain_key", &self.chain_key),
        ] {
            match key.as_ref().map(|key| key.expose().as_bytes()) {
                Some(key) if key.len() < weak_key::SHORTEST => {
                    problem(name, "is shorter than 32 characters");
                }
                Some(key) if weak_key::is_weak(key) => {
                    problem(name, "is too easy to guess: generate it at random");
                }
                _ => {}
            }
        }
        if self.required && self.sink == AuditSink::Off {
            problem(
                "audit.required",
                "is true, and audit.sink is off: every call would be refused",
            );
        }
        if self.otlp && self.sink == AuditSink::Off {
            problem(
                "audit.otlp",
                "is true, and audit.sink is off: the collector gets copies of what the sink holds",
            );
        }
        problems
    }
}

/// Where audit records go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditSink {
    /// Nowhere.
    #[default]
    Off,
    /// To standard output, one JSON object a line, with `"message":"audit"`.
    Stdout,
    /// To files.
    File,
}

/// When records are synced to disk (fsync).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// After every write, before it counts as written; records written together share one fsync.
    Each,
    /// Within a second: a power failure loses at most that.
    #[default]
    Interval,
    /// Left to the operating system: a power failure may lose half a minute, a crash of the process nothing.
    Never,
}
