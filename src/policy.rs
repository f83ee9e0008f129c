//! What each RPC may do, read from the contract's method options.
//!
//! The table stands in the proto files (`idgw.gateway.v1.policy`), where clients can read it too. The
//! program reads it from its own descriptor set and refuses to start if an RPC has no entry.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::proto::gateway::v1::{Charge, Repeat, RpcPolicy};

const EXTENSION: &str = "idgw.gateway.v1.policy";
/// Services of these packages are the contract's own; the others (health, reflection) are not here.
const OURS: &str = "idgw.";

/// What one RPC may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether the provider may charge for it.
    pub charge: Charge,
    /// Whether the gateway may send it again by itself.
    pub repeat: Repeat,
    /// Whether the person concerned must have consented.
    pub requires_consent: bool,
    /// The scope that an authenticated caller needs.
    pub scope: String,
    /// Whether the audit records its calls.
    pub audited: bool,
}

/// A contract whose policy table has a gap.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The RPC has no `idgw.gateway.v1.policy` option.
    #[error("{0} has no idgw.gateway.v1.policy option")]
    Missing(String),
    /// The option does not say everything it must.
    #[error("the idgw.gateway.v1.policy option of {0} does not state its {1}")]
    Incomplete(String, &'static str),
}

/// The policies of all RPCs, by `package.Service/Method`.
#[derive(Debug, Clone)]
pub struct Policies(BTreeMap<String, Policy>);

impl Policies {
    /// Reads the table from a descriptor set.
    ///
    /// # Errors
    ///
    /// If an RPC has no entry, or an incomplete one.
    pub fn from_descriptors(pool: &DescriptorPool) -> Result<Self, PolicyError> {
        pool.services()
            .filter(|service| service.package_name().starts_with(OURS))
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| Ok((path(&method), policy(pool, &method)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The policy of an RPC.
    ///
    /// # Errors
    ///
    /// If the RPC has no entry.
    pub fn get(&self, rpc: &str) -> Result<Policy, PolicyError> {
        let missing = || PolicyError::Missing(rpc.to_owned());
        self.0.get(rpc).cloned().ok_or_else(missing)
    }

    /// Every RPC with its policy.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.0.iter().map(|(rpc, policy)| (rpc.as_str(), policy))
    }
}

fn path(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn policy(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Policy, PolicyError> {
    let rpc = || path(method);
    let options = method.options();
    let value = pool
        .get_extension_by_name(EXTENSION)
        .filter(|extension| options.has_extension(extension))
        .map(|extension| options.get_extension(&extension).into_owned());
    let stated = value
        .as_ref()
        .and_then(prost_reflect::Value::as_message)
        .and_then(|message| RpcPolicy::decode(message.encode_to_vec().as_slice()).ok())
        .ok_or_else(|| PolicyError::Missing(rpc()))?;
    let policy = Policy {
        charge: stated.charge(),
        repeat: stated.repeat(),
        requires_consent: stated.requires_consent,
        scope: stated.scope,
        audited: stated.audited,
    };
    let gap = match &policy {
        Policy {
            charge: Charge::Unspecified,
            ..
        } => Some("charge"),
        Policy {
            repeat: Repeat::Unspecified,
            ..
        } => Some("repeat"),
        Policy { scope, .. } if scope.is_empty() => Some("scope"),
        _ => None,
    };
    gap.map_or(Ok(policy), |gap| Err(PolicyError::Incomplete(rpc(), gap)))
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::proto;

    #[test]
    fn all_ten_rpcs_have_a_policy() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        assert_eq!(policies.iter().count(), 10);
        let scrub = policies
            .get("idgw.identity.v1.IdentityService/ScrubKenyaId")
            .unwrap();
        assert!(scrub.requires_consent);
        assert_eq!(scrub.charge, Charge::PerRequest);
        let list = policies
            .get("idgw.person.v1.PersonService/ListPersons")
            .unwrap();
        assert_eq!((list.charge, list.repeat), (Charge::Never, Repeat::Always));
    }

    /// Without its word in the contract a call would leave no record, and no test beside it would fail.
    #[test]
    fn every_rpc_is_about_people_and_audited() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        for (rpc, policy) in policies.iter() {
            assert!(policy.audited, "{rpc}");
        }
    }

    #[test]
    fn an_rpc_asks_for_consent_exactly_where_consent_is_required() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        for (rpc, policy) in policies.iter() {
            let (service, method) = rpc.split_once('/').unwrap();
            let service = proto::descriptors().get_service_by_name(service).unwrap();
            let method = service.methods().find(|known| known.name() == method);
            let field = method.unwrap().input().get_field_by_name("subject_consent");
            assert_eq!(field.is_some(), policy.requires_consent, "{rpc}");
        }
    }

    #[test]
    fn an_rpc_that_is_free_to_repeat_is_never_charged() {
        let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
        for (rpc, policy) in policies.iter() {
            let free = policy.charge == Charge::Never;
            assert_eq!(policy.repeat == Repeat::Always, free, "{rpc}");
        }
    }

    #[test]
    fn a_contract_with_an_rpc_without_a_policy_is_refused() {
        // Decoding into prost's own types drops the custom options.
        let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
        let refusal = Policies::from_descriptors(&pool).unwrap_err();
        assert!(
            refusal
                .to_string()
                .contains("has no idgw.gateway.v1.policy option"),
            "{refusal}"
        );
    }
}
