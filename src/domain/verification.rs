//! What a verification answers, apart from the registry's record.
//!
//! The records themselves are the contract's own messages: they are already typed, documented and
//! redacted, and a second copy would only be mapped one to one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Defines the companies: a variant, its name, its place in [`Provider::ALL`]. None of the three can be forgotten.
macro_rules! providers {
    ($($(#[$about:meta])* $name:ident = $word:literal,)*) => {
        /// A company that the gateway asks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Provider {
            $($(#[$about])* $name,)*
        }

        impl Provider {
            /// Every provider.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The name that callers and operators see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

providers! {
    /// Verifik: Peru's foreigners, and person records.
    Verifik = "verifik",
    /// YouVerify: Kenya.
    Youverify = "youverify",
    /// AccuAuth: Mexico.
    Accuauth = "accuauth",
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a provider's answers are about real people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// The provider's production service.
    #[default]
    Live,
    /// A test service: every verification has ENVIRONMENT_SANDBOX.
    Sandbox,
}

impl Environment {
    /// The word of configuration and audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }
}

/// About whom each provider answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environments([Environment; Provider::ALL.len()]);

impl Environments {
    /// What `one` says of each.
    #[must_use]
    pub fn of_each(one: impl FnMut(Provider) -> Environment) -> Self {
        Self(Provider::ALL.map(one))
    }

    /// About whom one answers.
    #[must_use]
    pub fn of(self, provider: Provider) -> Environment {
        let mut all = Provider::ALL.into_iter().zip(self.0);
        let found = all.find(|(known, _)| *known == provider);
        // There always is one: `ALL` holds every provider.
        found.map_or(Environment::Live, |(_, environment)| environment)
    }
}

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The registry holds the number.
    Found,
    /// The registry does not hold it. An answer, not a fault.
    NotFound,
    /// The provider calls the number malformed or invalid.
    InvalidIdentifier,
    /// The provider's status is none that its document lists.
    Inconclusive,
}

impl Outcome {
    /// The word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::InvalidIdentifier => "invalid_identifier",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What the provider's document says of the price of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billing {
    /// It is charged.
    Billed,
    /// It is free.
    NotBilled,
    /// The document does not say, or it is not known what happened.
    Unknown,
}

impl Billing {
    /// The word for logs and error details.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::NotBilled => "not_billed",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a verification's answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The provider was asked for this call.
    Provider,
    /// The answer to an identical call in flight.
    Coalesced,
    /// A kept answer.
    Cache,
    /// An answer that an earlier call of the same caller paid for and did not get, or gets again.
    Recovered,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [
        Self::Provider,
        Self::Coalesced,
        Self::Cache,
        Self::Recovered,
    ];

    /// The word for logs, spans and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Coalesced => "coalesced",
            Self::Cache => "cache",
            Self::Recovered => "recovered",
        }
    }
}

/// The id of one verification: a UUIDv7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationId(Uuid);

impl VerificationId {
    /// A new id.
    #[must_use]
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }
}

impl From<VerificationId> for Uuid {
    fn from(id: VerificationId) -> Self {
        id.0
    }
}

impl fmt::Display for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A provider's answer to a lookup, read.
#[derive(Clone)]
pub struct Verified<R> {
    /// What was found.
    pub outcome: Outcome,
    /// The provider's id of the answer.
    pub reference: Option<String>,
    /// The provider's code for the result.
    pub code: Option<String>,
    /// The provider's words for the result.
    pub message: Option<String>,
    /// What the provider's document says of the price.
    pub billing: Billing,
    /// The record, only with [`Outcome::Found`].
    pub record: Option<Box<R>>,
    /// What the provider's document does not list.
    pub drift: Drift,
}

/// What in an answer the provider's document does not list: reported once by who asked, never by an adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drift {
    /// A code or status of the result.
    pub code: bool,
    /// A value of an enumerated field.
    pub value: bool,
    /// A field.
    pub field: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_keeps_its_own_environment() {
        for sandbox in Provider::ALL {
            let environments = Environments::of_each(|provider| match provider == sandbox {
                true => Environment::Sandbox,
                false => Environment::Live,
            });
            let found = Provider::ALL.into_iter();
            let found = found.filter(|p| environments.of(*p) == Environment::Sandbox);
            assert_eq!(found.collect::<Vec<_>>(), [sandbox]);
        }
    }
}
