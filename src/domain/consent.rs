//! The consent of the person whose data is looked up.

/// Proof that the caller said the person consented. It cannot be made from `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectConsent(());

impl SubjectConsent {
    /// The consent, if there is one.
    #[must_use]
    pub fn given(said: bool) -> Option<Self> {
        said.then_some(Self(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_cannot_be_made_from_false() {
        assert!(SubjectConsent::given(false).is_none());
        assert!(SubjectConsent::given(true).is_some());
    }
}
