//! The gRPC server and what stands around it: listeners, layers, health, admin port, leaving.

mod admin;
mod admin_port;
mod admission;
mod call_layer;
mod compression;
mod connections;
mod crowd;
mod deadline;
mod delivery;
mod grpc_only;
mod health;
mod holding;
mod lifecycle;
mod listener;
mod memory;
mod page;
mod passing;
mod quota;
mod reflection;
mod slow_body;
mod start;
mod stream;
mod tls;
mod unread;

pub use lifecycle::Lifecycle;
pub use start::{Interrupt, ServeError, Serving, bind};
