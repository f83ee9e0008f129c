//! The settings of what calls share: kept answers, and the Redis through which replicas share them.
//!
//! The lifetimes are upper bounds: a caller's `max_age` decides, and nothing is kept for a caller that
//! sets none.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Keys, remote::Parts};
use crate::{
    domain::redaction::Secret,
    setting::{Span, redacted},
};

/// How Redis is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One server, or a name that leads to the primary.
    #[default]
    Single,
    /// Redis Cluster or Valkey Cluster: `cache.url` names one or several of its nodes, the others are found.
    Cluster,
    /// Servers under Sentinel: `cache.url` names the Sentinels, `cache.sentinel_master` what they watch.
    Sentinel,
}

/// What is paid for once.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Paid {
    /// How long an answer waits for a caller that did not: its deadline passed, it cancelled, or its connection
    /// broke. A request that has been sent and may be charged is finished without its callers, and the answer is
    /// given to the next identical lookup of the same caller, which costs nothing. It is stored as cached
    /// answers are, within `cache.max_bytes` or in Redis. 0 switches this off: a request is cancelled with its
    /// last caller, and a retry is charged again.
    #[schemars(extend("x-min" = "0s", "x-max" = "24h"))]
    pub recover_ttl: Span,
}

impl Default for Paid {
    fn default() -> Self {
        Self {
            recover_ttl: Span::seconds(120),
        }
    }
}

/// The cache of answers for callers who set `max_age`, and what replicas share.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The URL of a Redis or Valkey server, such as `rediss://user:password@cache.internal:6379/0`; `rediss`
    /// is over TLS. Several hosts are separated by commas: `redis://one:6379,two:6379,three:6379`. Replicas then
    /// share cached answers and request ids. Without it, each process has its own. Requires `key`. A secret,
    /// because it may contain a password.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub url: Option<Secret>,
    /// A file that contains the URL, instead of `url`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub url_file: Option<PathBuf>,
    /// How Redis is set up.
    pub mode: Mode,
    /// The user (ACL) at Redis, if the URL does not name it.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub username: Option<Secret>,
    /// A file that contains the user, instead of `username`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub username_file: Option<PathBuf>,
    /// The password at Redis, if the URL does not contain it.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub password: Option<Secret>,
    /// A file that contains the password, instead of `password`; reloaded when it changes, and at every new
    /// connection.
    #[schemars(with = "PathBuf")]
    pub password_file: Option<PathBuf>,
    /// The name under which the Sentinels know the primary, often `mymaster`. Required with `mode = "sentinel"`.
    #[schemars(with = "String")]
    pub sentinel_master: Option<String>,
    /// The user at the Sentinels, if they have users; `username` and `password` are for the servers.
    #[schemars(with = "String")]
    pub sentinel_username: Option<String>,
    /// The password at the Sentinels, if they want one.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub sentinel_password: Option<Secret>,
    /// A file that contains the password at the Sentinels, instead of `sentinel_password`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub sentinel_password_file: Option<PathBuf>,
    /// PEM file of the CAs that Redis's certificate is verified against, instead of the system's; reloaded when it
    /// changes. Requires `rediss`.
    #[schemars(with = "PathBuf")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate chain that is shown to Redis (mTLS); reloaded when it changes. Requires `rediss`
    /// and `client_key_file`.
    #[schemars(with = "PathBuf")]
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of the private key of `client_certificate_file`.
    #[schemars(with = "PathBuf")]
    pub client_key_file: Option<PathBuf>,
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
    /// the process, and without Redis also `sharing.recover_ttl`.
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
            mode: Mode::Single,
            username: None,
            username_file: None,
            password: None,
            password_file: None,
            sentinel_master: None,
            sentinel_username: None,
            sentinel_password: None,
            sentinel_password_file: None,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
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
        let mut problems: Vec<(&'static str, String)> = match &self.url {
            Some(_) => self.way(),
            None => self.without_url(),
        };
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

    /// What needs a URL and has none.
    fn without_url(&self) -> Vec<(&'static str, String)> {
        // One whose file cannot be read is told of that.
        if self.url_file.is_some() {
            return Vec::new();
        }
        let needless = [
            ("cache.mode", self.mode != Mode::Single),
            ("cache.username", self.username.is_some()),
            ("cache.password", self.password.is_some()),
            ("cache.sentinel_master", self.sentinel_master.is_some()),
            ("cache.sentinel_username", self.sentinel_username.is_some()),
            ("cache.sentinel_password", self.sentinel_password.is_some()),
            ("cache.ca_file", self.ca_file.is_some()),
            (
                "cache.client_certificate_file",
                self.client_certificate_file.is_some(),
            ),
            ("cache.client_key_file", self.client_key_file.is_some()),
        ];
        let needless = needless.into_iter().filter(|(_, is_set)| *is_set);
        let problem = "is about Redis, and cache.url is not set";
        needless.map(|(key, _)| (key, problem.to_owned())).collect()
    }

    /// What is wrong with the way to Redis.
    fn way(&self) -> Vec<(&'static str, String)> {
        let parts = match Parts::read(self) {
            Ok(parts) => parts,
            Err(problem) => return vec![problem],
        };
        let (hosts, database, has_user, has_password) = parts.said();
        let is_sentinel = self.mode == Mode::Sentinel;
        let (certificate, key) = (&self.client_certificate_file, &self.client_key_file);
        let (certificate, key) = (certificate.is_some(), key.is_some());
        let is_plain = !parts.is_over_tls();
        let no_sentinel = "is about Sentinel, and cache.mode is not sentinel";
        let no_tls = "needs TLS: cache.url must begin with rediss://";
        let rules = [
            (
                "cache.mode",
                self.mode == Mode::Single && hosts > 1,
                "is single, and cache.url names several hosts: set it to cluster or sentinel",
            ),
            (
                "cache.url",
                self.mode == Mode::Cluster && database != 0,
                "names a database, and a cluster has only 0",
            ),
            (
                "cache.username",
                self.username.is_some() && has_user,
                "is set, and cache.url names a user; set only one of them",
            ),
            (
                "cache.password",
                self.password.is_some() && has_password,
                "is set, and cache.url contains a password; set only one of them",
            ),
            (
                "cache.username",
                self.username.is_some() && self.password.is_none() && !has_password,
                "needs cache.password",
            ),
            (
                "cache.sentinel_master",
                is_sentinel && self.sentinel_master.is_none(),
                "is required: cache.mode is sentinel",
            ),
            (
                "cache.sentinel_master",
                !is_sentinel && self.sentinel_master.is_some(),
                no_sentinel,
            ),
            (
                "cache.sentinel_username",
                !is_sentinel && self.sentinel_username.is_some(),
                no_sentinel,
            ),
            (
                "cache.sentinel_password",
                !is_sentinel && self.sentinel_password.is_some(),
                no_sentinel,
            ),
            (
                "cache.sentinel_username",
                is_sentinel && self.sentinel_username.is_some() && self.sentinel_password.is_none(),
                "needs cache.sentinel_password",
            ),
            ("cache.ca_file", is_plain && self.ca_file.is_some(), no_tls),
            (
                "cache.client_certificate_file",
                is_plain && certificate,
                no_tls,
            ),
            (
                "cache.client_key_file",
                certificate && !key,
                "is required: client_certificate_file is set",
            ),
            (
                "cache.client_certificate_file",
                key && !certificate,
                "is required: client_key_file is set",
            ),
        ];
        let broken = rules.into_iter().filter(|(_, is_broken, _)| *is_broken);
        broken
            .map(|(key, _, problem)| (key, problem.to_owned()))
            .collect()
    }
}
