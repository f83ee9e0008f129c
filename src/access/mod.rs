//! What callers may do: which RPCs, which fields of an answer, how often.
//!
//! ```text
//! file    the policy file, read into rules
//! grants  rules → what one caller may do, worked out once for each caller
//! persons whose person records a caller may use
//! fields  the fields of an answer that a caller may see
//! share   with whom a caller shares answers
//! budget  calls a minute and charged calls a day, in this process and through Redis
//! left    what is left of them, by rule, for the status page
//! door    all of it for one call: identified, allowed, within its budget
//! ```

pub mod budget;
pub mod classes;
pub mod door;
pub mod file;
pub mod grants;
pub mod left;
pub mod persons;
pub mod share;
