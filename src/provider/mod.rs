//! The adapters: what to send to each provider and how to read its answer, as pure functions.
//!
//! They are lenient in what they read (a missing, null or odd value makes the field absent) and
//! strict in what they promise (an answer without what its document always has is malformed).

pub mod accuauth;
mod base64;
mod country;
pub mod error_body;
mod lenient;
pub mod verifik;
pub mod youverify;
