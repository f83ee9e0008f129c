//! What replicas share through a real Redis, and what happens without it.
//!
//! `REDIS=required cargo test --test inside redis` needs `redis-server` on the path and fails without it.
//! Where the variable is not set these tests say so and prove nothing, so that `cargo test` works on
//! a machine without Redis. It does not begin with `IDGW_`: a gateway that a test starts would refuse
//! an unknown key.

mod answers;
mod budgets;
mod causes;
mod cluster;
mod creates;
mod credentials;
mod lookups;
mod persons;
mod sentinel;
