//! The gRPC server and what stands around it: listeners, layers, health, admin port, leaving.

mod admin;
mod admission;
mod call_layer;
mod deadline;
mod health;
mod lifecycle;
mod memory;
mod start;
mod unread;

pub use lifecycle::Lifecycle;
pub use start::{ServeError, Serving, bind};
