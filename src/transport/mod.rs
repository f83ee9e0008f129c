//! The one way out: sends what the adapters build and brings back what the provider answers.

pub mod message;
pub mod upstream;

pub use message::{Answer, Priced, Request};
pub use upstream::Upstream;
