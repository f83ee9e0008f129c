//! With whom a caller shares answers, kept or in flight.
//!
//! A shared answer tells who gets it that another has asked, when, and under which reference at the
//! provider. So callers share with those who fall under the same rule of the policy file, or under
//! another rule that states the same `share`. Where callers are not identified there is nobody to
//! keep apart.

use std::sync::Arc;

/// A group of callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Share {
    /// All callers, where none is identified.
    #[default]
    Everybody,
    /// Those who fall under this rule.
    Rule(Arc<str>),
    /// Those whose rules state this name.
    Named(Arc<str>),
}

impl Share {
    /// What tells it from all other groups.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Everybody => [b"everybody", b""],
            Self::Rule(name) => [b"rule", name.as_bytes()],
            Self::Named(name) => [b"named", name.as_bytes()],
        }
    }
}
