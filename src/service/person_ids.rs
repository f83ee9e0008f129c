//! What callers call a person record, and whether it is theirs.
//!
//! To who may use all records an id is the provider's own, and a handle is read as the id in it. To others
//! an id is a handle of one of their owners; another's, or a bare id, is a record that is not there, and
//! nobody is asked.

use std::sync::Arc;

use crate::{
    access::persons::Records,
    call::Call,
    domain::{
        failure::{Failure, Kind},
        person::PersonId,
        verification::Provider,
    },
    proto::person::v1::Person,
    sharing::{Handles, handles},
};

/// A record as a caller names it.
#[derive(Debug)]
pub enum Named {
    /// A record that the caller may use, and its owner.
    Usable(PersonId, Option<Arc<str>>),
    /// A record that is not there, as far as the caller is told; with the id, if it names one.
    Missing(Option<PersonId>),
}

impl Named {
    /// Reads the id that a caller sent.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn read(text: &str, call: &Call, handles: &Handles) -> Result<Self, &'static str> {
        let id = handles::id_in(text);
        let owners = match call.records() {
            Records::All => {
                let id = id.map_or_else(|| PersonId::parse(text), Ok)?;
                return Ok(Self::Usable(id, None));
            }
            Records::Own(owners) => owners,
        };
        check(text)?;
        let owner = owners.iter().find(|owner| handles.is_owners(owner, text));
        Ok(match (owner, id) {
            (Some(owner), Some(id)) => Self::Usable(id, Some(Arc::clone(owner))),
            (_, id) => Self::Missing(id.or_else(|| PersonId::parse(text).ok())),
        })
    }

    /// The id that is named, for the audit, whether the caller may use it or not.
    pub const fn id(&self) -> Option<&PersonId> {
        match self {
            Self::Usable(id, _) | Self::Missing(Some(id)) => Some(id),
            Self::Missing(None) => None,
        }
    }

    /// The record and its owner.
    ///
    /// # Errors
    ///
    /// [`Kind::PersonNotFound`].
    pub fn usable(self) -> Result<(PersonId, Option<Arc<str>>), Failure> {
        match self {
            Self::Usable(id, owner) => Ok((id, owner)),
            Self::Missing(_) => Err(Failure::before_sending(
                Kind::PersonNotFound,
                Provider::Verifik,
            )),
        }
    }
}

/// What a handle may be made of.
fn check(text: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if text.is_empty() {
        return Err("is required");
    }
    if text.len() > 255 || !text.bytes().all(allowed) {
        return Err("must be at most 255 letters, digits, `.`, `_`, `~` and `-`");
    }
    Ok(())
}

/// The person under the id that its owner's callers know.
///
/// # Errors
///
/// [`Kind::Malformed`] if the provider gave it an id that nobody could use.
pub fn told(
    mut person: Person,
    owner: Option<&Arc<str>>,
    handles: &Handles,
) -> Result<Person, Failure> {
    if let Some(owner) = owner {
        let malformed = |_| Failure::after_sending(Kind::Malformed, Provider::Verifik);
        let id = PersonId::parse(&person.id).map_err(malformed)?;
        person.id = handles.handle(owner, &id);
    }
    Ok(person)
}

/// Who owns what the caller creates; none where records have no owners.
pub fn owner(call: &Call) -> Option<Arc<str>> {
    match call.records() {
        Records::All => None,
        Records::Own(owners) => owners.first().map(Arc::clone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_1_to_255_letters_digits_and_marks() {
        let long = "a".repeat(255);
        for right in ["a", "Az09._~-", &long] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        let longer = "a".repeat(256);
        for wrong in ["", " ", "a/b", "a%", "é", &longer] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
