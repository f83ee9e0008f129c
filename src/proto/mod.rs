//! The generated contract, and the descriptor set it was generated from.

use std::sync::OnceLock;

use prost_reflect::DescriptorPool;

/// The descriptor set of the contract, with method options and imports, as `protox` wrote it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Package `gateway`.
pub mod gateway {
    /// Package `idgw.gateway.v1`: what each RPC may do.
    pub mod v1 {
        #![allow(missing_docs, clippy::all)]
        tonic::include_proto!("idgw.gateway.v1");
    }
}

/// Package `identity`.
pub mod identity {
    /// Package `idgw.identity.v1`: verifications.
    pub mod v1 {
        #![allow(missing_docs, clippy::all)]
        tonic::include_proto!("idgw.identity.v1");
    }
}

/// Package `person`.
pub mod person {
    /// Package `idgw.person.v1`: person records.
    pub mod v1 {
        #![allow(missing_docs, clippy::all)]
        tonic::include_proto!("idgw.person.v1");
    }
}

pub mod codec;
pub mod field_paths;
pub mod fields;
pub mod lookup_request;
pub mod well_known;

include!(concat!(env!("OUT_DIR"), "/lookup_requests.rs"));
include!(concat!(env!("OUT_DIR"), "/redacted_debug.rs"));

/// What each message shows to whom may see only some of its fields.
mod filtered {
    use super::fields::{Fields, Filtered, Numbers, is_whole, reencoded};

    include!(concat!(env!("OUT_DIR"), "/filtered.rs"));
}

/// The contract's descriptors, decoded once.
///
/// # Panics
///
/// Never in a build that passed its tests: the bytes are part of the program.
#[must_use]
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proto JSON writes the paths of a field mask in camel case, and every reader turns them back.
    #[test]
    fn every_field_has_a_way_back_from_its_name_in_json() {
        let ours = descriptors().all_messages();
        let ours = ours.filter(|message| message.package_name().starts_with("idgw."));
        let mut seen = 0;
        for field in ours.flat_map(|message| message.fields().collect::<Vec<_>>()) {
            let mut back = String::new();
            for letter in field.json_name().chars() {
                if letter.is_ascii_uppercase() {
                    back.push('_');
                }
                back.push(letter.to_ascii_lowercase());
            }
            assert_eq!(back, field.name(), "{}", field.full_name());
            seen += 1;
        }
        assert!(seen > 150, "{seen}");
    }
}
