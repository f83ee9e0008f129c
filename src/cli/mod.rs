//! The commands of the program, one file each.

pub mod call;
pub mod check_config;
pub mod health;
