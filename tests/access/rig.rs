//! A gateway with a policy file, and callers with preshared keys.

use std::path::PathBuf;

use identity_gateway::{proto, sandbox, sha256::Sha256};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::kit::gateway::Gateway;

pub const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
pub const KENYA: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";
pub const GET: &str = "idgw.person.v1.PersonService/GetPerson";
pub const LIST: &str = "idgw.person.v1.PersonService/ListPersons";
pub const CREATE: &str = "idgw.person.v1.PersonService/CreatePerson";

/// The preshared key of a caller.
pub fn key(name: &str) -> String {
    format!("the preshared key of {name}, for tests only")
}

/// The line of the keys' file for a key.
pub fn line(name: &str, key: &str) -> String {
    let digest = Sha256::digest(key);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {hash}\n")
}

/// A rule for one caller.
pub fn rule(name: &str, what: &str) -> String {
    format!("[[allow]]\nname = '{name}-rule'\nidentities = ['{name}']\n{what}\n")
}

/// A gateway that knows callers by preshared keys.
pub struct Rig {
    pub gateway: Gateway,
    pub directory: TempDir,
}

impl Rig {
    pub async fn start(policy: &str, callers: &[&str], more: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let lines: String = callers.iter().map(|name| line(name, &key(name))).collect();
        std::fs::write(path("keys"), lines).unwrap();
        std::fs::write(path("policy.toml"), policy).unwrap();
        let own = [
            ("IDGW_AUTH__MODE", "keys".to_owned()),
            ("IDGW_AUTH__KEYS__FILE", path("keys")),
            ("IDGW_AUTH__POLICY_FILE", path("policy.toml")),
            ("IDGW_SERVER__RELOAD_INTERVAL", "200ms".to_owned()),
        ];
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let gateway = Gateway::sandbox(own.into_iter().chain(more)).await;
        Self { gateway, directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a good response says of the caller's budgets.
    pub async fn head(&self, caller: &str, method: &str, request: &Value) -> Vec<String> {
        let bearer = format!("Bearer {}", key(caller));
        let client = &self.gateway.client;
        let metadata = [("authorization", bearer.as_str())];
        let (head, _) = client
            .call_seen(method, request, None, &metadata)
            .await
            .unwrap();
        let values = head.get_all("idgw-budget-remaining").iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// A call with the caller's key.
    pub async fn call(&self, caller: &str, method: &str, request: &Value) -> Result<Value, Status> {
        let bearer = format!("Bearer {}", key(caller));
        let metadata = [("authorization", bearer.as_str())];
        self.gateway
            .client
            .call_as(method, request, &metadata)
            .await
    }
}

/// Every RPC of the contract, with a request that the sandbox answers with OK.
pub fn rpcs() -> Vec<(String, Value)> {
    let services = proto::descriptors().services();
    let services = services
        .filter(|service| ["idgw.identity.v1", "idgw.person.v1"].contains(&service.package_name()));
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let rpcs = methods.map(|method| {
        let path = format!("{}/{}", method.parent_service().full_name(), method.name());
        let answered = |row: &&sandbox::Row| row.method == path && row.gives.starts_with("OK");
        let row = sandbox::table().iter().find(answered);
        let row = row.unwrap_or_else(|| panic!("the sandbox answers {path} with nothing good"));
        (path, serde_json::from_str(row.request).unwrap())
    });
    rpcs.collect()
}

/// Code and reason of a refusal, which must be the gateway's own.
pub fn refusal(answered: &Result<Value, Status>) -> (Code, String) {
    let status = answered.as_ref().expect_err("a refusal was expected");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "identity-gateway");
    (status.code(), info.reason)
}
