//! Who may call what, see what, and how often: the built gateway over real sockets.

mod budgets;
mod commands;
mod documents;
mod masks;
mod mesh;
mod persons;
mod records;
mod refusals;
pub mod rig;
mod rotation;
mod settings;
mod share;
mod strangers;
mod walk;
