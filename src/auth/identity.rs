//! Who calls: a name that one of the modes vouches for.
//!
//! A name is no personal data of the people asked about, but a token's subject may be an employee: it
//! goes into the audit's record, and into the log line of a caller that is refused, whose operator has to find it.
//! Else logs and spans say the name of the policy file's rule, so `Debug` tells only how the caller is known.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::settings::AuthMode;

/// Longest name, in bytes. A SPIFFE id may be longer by its standard, and is none in practice.
const LONGEST: usize = 512;

/// A name, and the mode that vouches for it. The same name from another mode is another caller.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    mode: AuthMode,
    name: Box<str>,
}

impl Identity {
    /// The name, if it can be written down: printable ASCII, no space at an end, at most 512 bytes.
    #[must_use]
    pub fn new(mode: AuthMode, name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let fits = (1..=LONGEST).contains(&name.len()) && plain && name.trim() == name;
        fits.then(|| Self {
            mode,
            name: name.into(),
        })
    }

    /// How it is known.
    #[must_use]
    pub const fn mode(&self) -> AuthMode {
        self.mode
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.mode.as_str())
    }
}

/// An identified caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// What its token says it may do; empty without a token. Only the policy file gives this a meaning.
    pub token_scopes: BTreeSet<Box<str>>,
}

impl Caller {
    /// A caller without a token.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            token_scopes: BTreeSet::new(),
        }
    }

    /// Whoever reaches the port, where nobody is identified.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(Identity {
            mode: AuthMode::None,
            name: "anonymous".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_written_down() {
        for (name, fits) in [
            ("spiffe://bank.example/ns/payments/sa/api", true),
            ("CN=payments,O=Example Bank", true),
            ("", false),
            (" payments", false),
            ("payments\n", false),
            ("pagós", false),
            ("a\u{7f}", false),
        ] {
            let known = Identity::new(AuthMode::Keys, name);
            assert_eq!(known.is_some(), fits, "{name:?}");
        }
        assert!(Identity::new(AuthMode::Keys, &"a".repeat(512)).is_some());
        assert!(Identity::new(AuthMode::Keys, &"a".repeat(513)).is_none());
    }

    #[test]
    fn debug_does_not_tell_the_name() {
        let caller = Caller::new(Identity::new(AuthMode::Jwt, "canary").unwrap());
        assert!(!format!("{caller:?}").contains("canary"));
    }
}
