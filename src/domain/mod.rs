//! The rules of the field, pure: no I/O, no async, nothing of gRPC or HTTP.

pub mod redaction;
