//! Whose person records a caller may use: those of an owner, or all.
//!
//! The provider knows no owners. Under `own` a caller gets handles for ids
//! ([`sharing::handles`](crate::sharing::handles)), and who cannot show an owner's handle finds nobody.

use std::sync::Arc;

use serde::Deserialize;

/// The word of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// The records of the rule's owner.
    Own,
    /// Every record at the provider.
    All,
}

/// Whose records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Those of these owners. What is created belongs to the first.
    Own(Vec<Arc<str>>),
    /// All.
    All,
}

impl Records {
    /// Adds what another rule grants.
    pub fn unite(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Own(owners), Self::Own(others)) => {
                for other in others {
                    if !owners.contains(&other) {
                        owners.push(other);
                    }
                }
            }
            _ => *self = Self::All,
        }
    }
}
