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
pub mod well_known;

include!(concat!(env!("OUT_DIR"), "/redacted_debug.rs"));

/// What each message shows to whom may see only some of its fields.
mod filtered {
    use crate::access::fields::{Fields, Filtered, Numbers, is_whole, reencoded};

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
