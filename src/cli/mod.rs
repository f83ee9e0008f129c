//! The commands of the program, one file each.

pub mod args;
pub mod audit;
pub mod audit_find;
pub mod call;
pub mod check_config;
pub mod completions;
pub mod health;
mod look_in;
mod printable;
pub mod program;
pub mod sandbox;
pub mod serve;
pub mod terminal;
