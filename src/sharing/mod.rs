//! What calls share: a provider call in flight, an answer that is kept or waits for its caller, the outcome of a
//! `request_id`.
//!
//! A room of its own between `service` and `transport`. The transport knows requests and bytes; what
//! is shared here is an answer that was read: its outcome decides how long it may be kept, and the
//! raw bytes, which hold more than anybody asked for, are never kept. The service knows callers:
//! their deadlines, masks and ids never come in here.
//!
//! | file | subject |
//! |---|---|
//! | [`flights`] | identical lookups in flight share one provider call |
//! | [`answers`] | answers kept in this process, and in Redis for all replicas |
//! | [`kept`] | the form and the lifetime of a kept answer |
//! | [`left`] | answers that wait for callers who went without them |
//! | [`paid`] | the form of what a caller finds later, failures included |
//! | [`once`] | a `request_id` means one request at all replicas |
//! | [`turns`] | one change of a person record at a time |
//! | [`handles`] | what callers get instead of a person's id, and page tokens |
//! | [`remote`] | the connection to Redis, which may be down |
//! | [`store`] | what a protocol between replicas needs of Redis |
//! | [`keys`] | keyed hashes for names, encryption for values |

pub mod answers;
pub mod flights;
pub mod handles;
pub mod kept;
pub mod keys;
pub mod left;
pub mod once;
pub mod paid;
pub mod remote;
pub mod settings;
pub mod store;
pub mod turns;

pub use answers::Answers;
pub use flights::Flights;
pub use handles::Handles;
pub use kept::{Age, Kept, Lifetimes};
pub use keys::{Keys, Name};
pub use left::Left;
pub use once::Once;
pub use remote::Remote;
pub use turns::Turns;
