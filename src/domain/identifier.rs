//! What a call is about, as the audit's keyed hash takes it: docs/audit.md lists the kinds.

use std::fmt;

/// An identifier that is about to be hashed. Its `Debug` shows the kind only.
#[derive(Clone, Copy)]
pub struct Identifier<'a> {
    /// The kind of number, such as `mx_curp`: the same digits as another kind are another identifier.
    pub kind: &'static str,
    /// The number.
    pub value: &'a str,
    /// The type of document that the number is of, where a kind has several.
    pub of_type: Option<&'a str>,
}

impl<'a> Identifier<'a> {
    /// A number of a kind.
    #[must_use]
    pub const fn new(kind: &'static str, value: &'a str) -> Self {
        Self {
            kind,
            value,
            of_type: None,
        }
    }
}

impl fmt::Debug for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({} [redacted])", self.kind)
    }
}
