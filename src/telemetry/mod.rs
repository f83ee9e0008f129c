//! What operators see of a call: one log line, without personal data.

pub mod call_facts;
pub mod logging;
