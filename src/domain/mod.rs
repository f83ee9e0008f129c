//! The rules of the field, pure: no I/O, no async, nothing of gRPC or HTTP.

pub mod cause;
pub mod consent;
pub mod curp;
pub mod date;
pub mod dni;
pub mod failure;
pub mod foreigner_id;
pub mod identifier;
pub mod kenya_id;
pub mod lookup;
pub mod page_token;
pub mod person;
pub mod price;
pub mod printed;
pub mod provider_code;
pub mod redaction;
pub mod refusal;
pub mod verification;
pub mod violation;
pub mod weak_key;
