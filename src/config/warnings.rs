//! Set-ups that are accepted and still open or broken: what `serve` warns of at start, and `check-config` shows. A sentence
//! names its key and never its value.

use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use super::settings::Settings;
use crate::{
    auth::AuthMode,
    domain::verification::Provider,
    provider::settings::ProviderState,
    telemetry::{names::setup, token},
};

/// A token that ends within this time needs somebody today.
const SOON: Duration = Duration::from_secs(24 * 60 * 60);
/// Networks that are larger than 10.0.0.0/8 or fc00::/7 hold more than a cluster's sidecars.
const LARGEST: (u8, u8) = (8, 7);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its name in the log: one of [`setup::ALL`].
    pub name: &'static str,
    /// The key that it is about.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

fn warning(name: &'static str, key: impl Into<String>, problem: impl Into<String>) -> Warning {
    let (key, problem) = (key.into(), problem.into());
    Warning { name, key, problem }
}

impl Settings {
    /// Of the ports and of who may call.
    #[must_use]
    pub fn warnings_of_callers(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        let (auth, public) = (&self.auth, !self.server.listen.ip().is_loopback());
        if public && !auth.identifies() {
            found.push(warning(
                setup::OPEN_TO_ALL,
                "auth.mode",
                "is none, and server.listen is not a loopback address: whoever reaches the port may call, and spend",
            ));
        }
        let bearer = |mode: &AuthMode| matches!(mode, AuthMode::Jwt | AuthMode::Keys);
        if public && auth.mode.iter().any(bearer) && self.server.tls.cert_file.is_none() {
            found.push(warning(
                setup::BEARER_IN_PLAINTEXT,
                "server.tls.cert_file",
                "is not set, and callers send tokens or keys to an address that is not loopback: unless a sidecar \
                 encrypts, whoever is on the way can read and use them",
            ));
        }
        let everybody = |peer: &String| {
            let largest = |net: &IpNet| match net {
                IpNet::V4(_) => LARGEST.0,
                IpNet::V6(_) => LARGEST.1,
            };
            peer.parse::<IpNet>()
                .is_ok_and(|net| net.prefix_len() < largest(&net))
        };
        if auth.mode.contains(&AuthMode::Mesh) && auth.mesh.peers.iter().any(everybody) {
            found.push(warning(
                setup::MESH_TRUSTS_EVERYBODY,
                "auth.mesh.peers",
                "contains a network such as 0.0.0.0/0: everybody in it can claim to be any caller; name the sidecar's \
                 address only",
            ));
        }
        if !self.admin.listen.ip().is_loopback() {
            found.push(warning(
                setup::ADMIN_OPEN,
                "admin.listen",
                "is not a loopback address: the port has no authentication, and shows metrics and changes the log's \
                 filter; keep a network policy or firewall before it",
            ));
        }
        found
    }

    /// Of the providers, at this time.
    #[must_use]
    pub fn warnings_of_providers(&self, now: SystemTime) -> Vec<Warning> {
        let providers = &self.providers;
        let states = providers.states();
        if states
            .iter()
            .all(|(_, state)| *state == ProviderState::NotConfigured)
        {
            return vec![warning(
                setup::NO_CREDENTIAL,
                "providers",
                "have no credential, not one of them: every lookup fails with PROVIDER_NOT_CONFIGURED",
            )];
        }
        let expiring = Provider::ALL.into_iter().filter_map(|provider| {
            let end = token::expiry(providers.token(provider)?)?;
            let key = format!("providers.{provider}.token");
            match end.duration_since(now) {
                Err(_) => Some(warning(
                    setup::TOKEN_EXPIRED,
                    key,
                    "has expired: the provider refuses every request (PROVIDER_CREDENTIALS_REJECTED)",
                )),
                Ok(left) if left < SOON => Some(warning(
                    setup::TOKEN_EXPIRES,
                    key,
                    format!("expires within a day, in {} minutes", left.as_secs() / 60),
                )),
                Ok(_) => None,
            }
        });
        expiring.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::config::{Sources, load};

    const NOW: u64 = 1_800_000_000;

    fn names(env: &[(&str, &str)]) -> Vec<&'static str> {
        let env = env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let sources = Sources {
            env: env.collect(),
            ..Sources::default()
        };
        let settings = load(sources).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let mut found = settings.warnings_of_callers();
        found.extend(settings.warnings_of_providers(now));
        for Warning { name, key, problem } in &found {
            assert!(setup::ALL.iter().any(|(known, _)| known == name), "{name}");
            assert!(!problem.contains("canary") && !key.contains("canary"));
        }
        found.into_iter().map(|warning| warning.name).collect()
    }

    /// A token of Verifik's form that ends so many seconds from now.
    fn token(left: i64) -> String {
        let end = i64::try_from(NOW).unwrap() + left;
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"canary","exp":{end}}}"#));
        format!("e30.{claims}.c2ln")
    }

    const TOKEN: (&str, &str) = ("IDGW_PROVIDERS__YOUVERIFY__TOKEN", "canary");
    const NONE: (&str, &str) = ("IDGW_AUTH__MODE", "none");

    #[test]
    fn what_is_open_or_broken_is_named_and_what_is_not_is_not() {
        let verifik = "IDGW_PROVIDERS__VERIFIK__TOKEN";
        let public = ("IDGW_SERVER__LISTEN", "0.0.0.0:50051");
        let policy = tempfile::NamedTempFile::new().unwrap();
        let policy = ("IDGW_AUTH__POLICY_FILE", policy.path().to_str().unwrap());
        let key = "canary:".to_owned() + &"0".repeat(64);
        let key = ("IDGW_AUTH__KEYS__HASHES", key.replace(':', " "));
        let keys = ("IDGW_AUTH__MODE", "keys");
        let key = (key.0, key.1.as_str());
        let header = ("IDGW_AUTH__MESH__HEADERS", "l5d-client-id");
        let mesh = ("IDGW_AUTH__MODE", "mesh");
        let cert = ("IDGW_SERVER__TLS__CERT_FILE", "/canary.crt");
        let cert_key = ("IDGW_SERVER__TLS__KEY_FILE", "/canary.key");
        for (env, expected) in [
            (&[NONE, TOKEN][..], &[][..]),
            (&[TOKEN], &[]),
            (&[NONE, TOKEN, public], &[setup::OPEN_TO_ALL]),
            (
                &[NONE, TOKEN, ("IDGW_SERVER__LISTEN", "[::]:1")],
                &[setup::OPEN_TO_ALL],
            ),
            (&[NONE, TOKEN, ("IDGW_SERVER__LISTEN", "[::1]:1")], &[]),
            (
                &[NONE, TOKEN, ("IDGW_ADMIN__LISTEN", "10.0.0.1:1")],
                &[setup::ADMIN_OPEN],
            ),
            (&[keys, key, policy, TOKEN], &[]),
            (
                &[keys, key, policy, TOKEN, public],
                &[setup::BEARER_IN_PLAINTEXT],
            ),
            (&[keys, key, policy, TOKEN, public, cert, cert_key], &[]),
            (
                &[
                    mesh,
                    header,
                    policy,
                    TOKEN,
                    public,
                    ("IDGW_AUTH__MESH__PEERS", "127.0.0.6,10.0.0.0/8,fc00::/7"),
                ],
                &[],
            ),
            (
                &[
                    mesh,
                    header,
                    policy,
                    TOKEN,
                    ("IDGW_AUTH__MESH__PEERS", "127.0.0.6,0.0.0.0/0"),
                ],
                &[setup::MESH_TRUSTS_EVERYBODY],
            ),
            (
                &[
                    mesh,
                    header,
                    policy,
                    TOKEN,
                    ("IDGW_AUTH__MESH__PEERS", "::/0"),
                ],
                &[setup::MESH_TRUSTS_EVERYBODY],
            ),
            (
                &[
                    mesh,
                    header,
                    policy,
                    TOKEN,
                    ("IDGW_AUTH__MESH__PEERS", "128.0.0.0/1"),
                ],
                &[setup::MESH_TRUSTS_EVERYBODY],
            ),
            (&[NONE], &[setup::NO_CREDENTIAL]),
            (&[NONE, (verifik, &token(-1))], &[setup::TOKEN_EXPIRED]),
            (&[NONE, (verifik, &token(86_399))], &[setup::TOKEN_EXPIRES]),
            (&[NONE, (verifik, &token(86_401))], &[]),
            (
                &[NONE, ("IDGW_PROVIDERS__YOUVERIFY__TOKEN", &token(-1))],
                &[setup::TOKEN_EXPIRED],
            ),
        ] {
            assert_eq!(
                names(env),
                expected,
                "{:?}",
                env.iter().map(|(key, _)| key).collect::<Vec<_>>()
            );
        }
    }
}
