//! What a gRPC library with service config does by itself: repeats a call by the `retryPolicy` of its RPC.

use std::{collections::BTreeSet, env, error::Error, fs, time::Duration};

use serde::Deserialize;
use tonic::{Response, Status};

/// The part of a service config that is about single RPCs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConfig {
    method_config: Vec<MethodConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MethodConfig {
    name: Vec<MethodName>,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Deserialize)]
struct MethodName {
    service: String,
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Seconds,
    max_backoff: Seconds,
    backoff_multiplier: f64,
    retryable_status_codes: BTreeSet<String>,
}

/// A duration as proto JSON writes it, such as `1.5s`.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct Seconds(f64);

impl TryFrom<String> for Seconds {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let seconds = text
            .strip_suffix('s')
            .and_then(|number| number.parse().ok());
        seconds
            .map(Self)
            .ok_or_else(|| format!("{text} is not a duration"))
    }
}

impl ServiceConfig {
    pub fn from_env() -> Result<Self, Box<dyn Error>> {
        let file = env::var("GATEWAY_SERVICE_CONFIG")
            .unwrap_or_else(|_| "../../deploy/client/service-config.json".to_owned());
        Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
    }

    /// Makes a call, and again as the policy of its RPC allows. An RPC without a policy is called once.
    pub async fn call<T>(
        &self,
        service: &str,
        method: &str,
        call: impl AsyncFn() -> Result<Response<T>, Status>,
    ) -> Result<Response<T>, Status> {
        let policy = self.retry_policy(service, method);
        let mut attempt = 1;
        loop {
            let result = call().await;
            let (Some(policy), Err(status)) = (policy, &result) else {
                return result;
            };
            let retryable = policy
                .retryable_status_codes
                .contains(crate::code_name(status.code()));
            if !retryable || attempt >= policy.max_attempts {
                return result;
            }
            tokio::time::sleep(policy.backoff(attempt)).await;
            attempt += 1;
        }
    }

    fn retry_policy(&self, service: &str, method: &str) -> Option<&RetryPolicy> {
        self.method_config
            .iter()
            .find(|config| {
                config
                    .name
                    .iter()
                    .any(|name| name.service == service && name.method == method)
            })
            .and_then(|config| config.retry_policy.as_ref())
    }
}

impl RetryPolicy {
    /// The wait after an attempt, a fifth more or less by chance so that callers do not come back together.
    fn backoff(&self, attempt: u32) -> Duration {
        let full = self.initial_backoff.0 * self.backoff_multiplier.powf(f64::from(attempt - 1));
        let chance = f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255.0;
        Duration::from_secs_f64(full.min(self.max_backoff.0) * (0.8 + 0.4 * chance))
    }
}
