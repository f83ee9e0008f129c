//! The settings of what calls share: kept answers, and the Redis through which replicas share them.
//!
//! The lifetimes are upper bounds: a caller's `max_age` decides, and nothing is kept for a caller that
//! sets none.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Keys;
use crate::{
    domain::redaction::Secret,
    setting::{Span, redacted},
};

/// The ways in which Redis and Valkey are written in a URL.
const SCHEMES: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];

/// The cache of answers for callers who set `max_age`, and what replicas share.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The URL of a Redis or Valkey server, such as `rediss://user:password@cache.internal:6379/0`; `rediss`
    /// is over TLS. Replicas then share cached answers and request ids. Without it, each process has its own.
    /// Requires `key`. A secret, because it may contain a password.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub url: Option<Secret>,
    /// A file that contains the URL, instead of `url`; read at start.
    #[schemars(with = "PathBuf")]
    pub url_file: Option<PathBuf>,
    /// The key with which cache keys are hashed and values are encrypted before they leave the process: 32
    /// bytes or more, in base64 or as text, the same at all replicas. Changing it empties the cache.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub key: Option<Secret>,
    /// A file that contains the key, instead of `key`; read at start.
    #[schemars(with = "PathBuf")]
    pub key_file: Option<PathBuf>,
    /// How long a lookup may wait for Redis before it goes to the provider. Redis answers in about a
    /// millisecond within one network, a provider takes hundreds: 20 ms loses few cache hits and adds little
    /// to a miss.
    #[schemars(extend("x-min" = "1ms", "x-max" = "1s"))]
    pub timeout: Span,
    /// Most bytes of cached answers in this process; the least recently used are evicted first. An answer
    /// takes about 1 KiB, with a CURP's PDF 100 KiB: 64 MiB hold tens of thousands. 0 disables the cache in
    /// the process.
    #[schemars(range(min = 0, max = 1_099_511_627_776_i64))]
    pub max_bytes: u64,
    /// Longest time that a found record is cached. A status can be withdrawn at any time, and a day covers
    /// the repeated lookups of one onboarding. 0 caches none.
    #[schemars(extend("x-min" = "0s", "x-max" = "720h"))]
    pub found_ttl: Span,
    /// Longest time that "not found" is cached: short, so that a person who has been registered since is not
    /// rejected for long. 0 caches none.
    #[schemars(extend("x-min" = "0s", "x-max" = "720h"))]
    pub not_found_ttl: Span,
    /// Longest time that "invalid number" is cached. It hardly ever changes, but a provider's own fault can
    /// look the same. 0 caches none.
    #[schemars(extend("x-min" = "0s", "x-max" = "720h"))]
    pub invalid_ttl: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            key: None,
            key_file: None,
            timeout: Span::new(std::time::Duration::from_millis(20)),
            max_bytes: 64 * 1024 * 1024,
            found_ttl: Span::seconds(24 * 3600),
            not_found_ttl: Span::seconds(600),
            invalid_ttl: Span::seconds(3600),
        }
    }
}

impl Settings {
    /// What is wrong beyond what the schema can say: the keys, and the problems.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Some(url) = &self.url
            && !is_redis(url.expose())
        {
            let expected =
                "expected a URL such as redis://host:6379 or rediss://user:password@host:6379/0";
            problems.push(("cache.url", expected.to_owned()));
        }
        match &self.key {
            Some(key) => {
                if let Err(problem) = Keys::derived(key.expose()) {
                    problems.push(("cache.key", problem.to_string()));
                }
            }
            None if self.url.is_some() => problems.push((
                "cache.key",
                "is required: cache.url is set, and nothing leaves this process unencrypted"
                    .to_owned(),
            )),
            None => {}
        }
        problems
    }
}

fn is_redis(text: &str) -> bool {
    let known = |url: &Url| SCHEMES.contains(&url.scheme()) && url.host_str().is_some();
    // A fragment could only be `#insecure`: TLS without looking at certificates.
    text.parse::<Url>().is_ok_and(|url| {
        known(&url) && url.fragment().is_none() && redis::Client::open(url).is_ok()
    })
}
