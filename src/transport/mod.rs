//! The one way out: sends what the adapters build and brings back what the provider answers.

mod address;
mod answer_memory;
mod body;
pub mod breaker;
mod budget;
mod bulkhead;
pub mod client;
pub mod credentials;
mod density;
pub mod guard;
pub mod hold;
pub mod message;
pub mod progress;
pub mod rate;
pub mod retry;
pub mod settings;
mod silence;
pub mod tls;
pub mod upstream;
mod window;

pub use credentials::Credentials;
pub use message::{Answer, Priced, Request};
pub use progress::{Part, Progress};
pub use upstream::Upstream;
