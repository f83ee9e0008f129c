//! What calls share within one process, seen from outside: one provider call for many callers, and
//! answers kept for those who accept them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[allow(dead_code)]
mod bench;
mod cache;
mod coalescing;
