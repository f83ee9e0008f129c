//! Why a caller is not let in, as a closed list of words.
//!
//! Log, trace, metric and audit have the exact word. The caller gets a coarser one ([`Cause::told`]): what exactly
//! is wrong with a credential would help whoever tries to make one.

macro_rules! causes {
    ($($(#[$about:meta])* $cause:ident = $word:literal, $told:expr;)*) => {
        /// Why a caller is not identified, or may not call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Cause { $($(#[$about])* $cause),* }

        impl Cause {
            /// Every cause.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$cause),*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$cause => $word),* }
            }

            /// What the caller is told; nothing where it is not its credential that is at fault.
            #[must_use]
            pub const fn told(self) -> Option<Told> {
                match self { $(Self::$cause => $told),* }
            }
        }
    };
}

/// What a caller is told of its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// There is none.
    NoCredential,
    /// It was good.
    Expired,
    /// It is not good.
    Invalid,
}

impl Told {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
        }
    }

    /// The same in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoCredential => "the call has no credential",
            Self::Expired => "its credential has expired",
            Self::Invalid => "its credential is not valid here",
        }
    }
}

causes! {
    /// No credential that a mode of `auth.mode` reads.
    NoCredential = "no_credential", Some(Told::NoCredential);
    /// A token or a client certificate whose time is over.
    Expired = "expired", Some(Told::Expired);
    /// A token whose time has not come.
    NotYetValid = "not_yet_valid", Some(Told::Invalid);
    /// A token for somebody else.
    Audience = "audience", Some(Told::Invalid);
    /// A token of an issuer that is not configured.
    Issuer = "issuer", Some(Told::Invalid);
    /// A token under a key that is not in the issuer's key set, or a preshared key that is not listed.
    UnknownKey = "unknown_key", Some(Told::Invalid);
    /// A token whose signature does not hold.
    Signature = "signature", Some(Told::Invalid);
    /// A token under an algorithm that is not configured.
    Algorithm = "algorithm", Some(Told::Invalid);
    /// A token that is no access token: an ID token, a logout token, a refresh token.
    TokenType = "token_type", Some(Told::Invalid);
    /// What cannot be read: two credentials, no token, a claim of a wrong type.
    Malformed = "malformed", Some(Told::Invalid);
    /// A good credential without a name that can be used.
    Identity = "identity", Some(Told::Invalid);
    /// A preshared key that can be guessed.
    WeakKey = "weak_key", Some(Told::Invalid);
    /// A client certificate that was revoked, or whose CA is trusted no more.
    Certificate = "certificate", Some(Told::Invalid);
    /// A sidecar's header from an address that is not in `auth.mesh.peers`.
    UntrustedPeer = "untrusted_peer", Some(Told::Invalid);
    /// A credential of a kind that no mode of `auth.mode` reads.
    Unsupported = "unsupported", Some(Told::Invalid);
    /// The keys that would tell whether the credential is good are not available.
    KeysUnavailable = "keys_unavailable", None;
    /// No rule of the policy file is about the caller.
    NoRule = "no_rule", None;
    /// Rules are about the caller, and none grants the RPC.
    NotGranted = "not_granted", None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_told_one_of_three_words_and_never_the_exact_one() {
        for cause in Cause::ALL {
            let Some(told) = cause.told() else {
                continue;
            };
            let exact = matches!(cause, Cause::NoCredential | Cause::Expired);
            assert_eq!(told.as_str() == cause.as_str(), exact, "{cause:?}");
            assert_eq!(told == Told::Invalid, !exact, "{cause:?}");
        }
    }
}
