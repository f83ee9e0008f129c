//! The commands of the program, one file each.

pub mod call;
pub mod health;
