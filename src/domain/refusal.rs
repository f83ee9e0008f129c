//! What a refused caller is told beside the kind of its [`Failure`](super::failure::Failure): which budget is spent,
//! which fields it may not see, which scope it needs, or why Redis could not be used. Names of the contract and of the
//! policy file, words of a closed set, and numbers: nothing that the caller wrote.

/// Most fields that are named: a mask may have thousands.
pub const MOST_FIELDS: usize = 8;

/// Why a caller was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// One of its budgets is spent.
    Budget(Budget),
    /// Its mask asks for fields that it may not see: the first [`MOST_FIELDS`] of them.
    Fields(Vec<Hidden>),
    /// No rule grants it the scope that the RPC needs.
    Scope(Box<str>),
    /// What the gateway shares with other replicas was not there, for this reason.
    Store(&'static str),
}

/// A budget of a caller, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Which one.
    pub quota: Quota,
    /// How much the policy file allows.
    pub limit: u64,
    /// How much of that is left.
    pub remaining: u64,
}

/// A field that a caller may not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Its path in the response.
    pub path: String,
    /// The data class that it needs, in the policy file's word; none if the rule's `fields` leave it out.
    pub class: Option<&'static str>,
}

/// A budget of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Calls in a minute.
    CallsPerMinute,
    /// Calls in a day that a provider may charge for.
    ChargedCallsPerDay,
}

impl Quota {
    /// The word for it, as in the policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallsPerMinute => "calls_per_minute",
            Self::ChargedCallsPerDay => "charged_calls_per_day",
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::CallsPerMinute | Self::ChargedCallsPerDay => "calls",
        }
    }
}

impl Hidden {
    /// What it takes to see it, as a phrase.
    #[must_use]
    pub fn needs(&self) -> String {
        match self.class {
            Some(class) => format!("{} needs the data class {class}", self.path),
            None => format!("{} is not among the fields of the caller's rule", self.path),
        }
    }
}
