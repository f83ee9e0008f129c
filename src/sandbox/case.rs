//! Magic ids: what each does, and what the table says of it.

use super::faults::Fault;
use super::reply::Reply;

/// A magic id.
pub(super) struct Case {
    /// What is asked for: a number, or a word in its place.
    pub id: &'static str,
    pub effect: Effect,
    /// What the sandbox answers, as the table says it.
    pub answer: &'static str,
    /// What the gateway makes of it. `OK` stands for a call that succeeds, whatever the outcome.
    pub gives: &'static str,
}

/// What a magic id does: answers something else, or spoils the answer that was due.
pub(super) enum Effect {
    Answer(fn() -> Reply),
    Spoil(Fault),
}

impl Effect {
    /// The reply, given the one that was due. `due` is run only if it is the answer, so that a
    /// refused request changes nothing.
    pub fn apply(&self, due: impl FnOnce() -> Reply) -> Reply {
        match self {
            Self::Answer(answer) => answer(),
            Self::Spoil(fault) => due().spoilt(*fault),
        }
    }
}

/// An id that is answered otherwise.
pub(super) const fn case(
    id: &'static str,
    reply: fn() -> Reply,
    answer: &'static str,
    gives: &'static str,
) -> Case {
    let effect = Effect::Answer(reply);
    Case {
        id,
        effect,
        answer,
        gives,
    }
}

/// An id whose answer is spoilt on its way. `ok` is what the gateway makes of the whole one.
pub(super) const fn spoilt(id: &'static str, fault: Fault, ok: &'static str) -> Case {
    Case {
        id,
        effect: Effect::Spoil(fault),
        answer: fault.answer(),
        gives: fault.gives(ok),
    }
}

/// The case of an id, in the first table that has it.
pub(super) fn find(tables: &[&'static [Case]], id: &str) -> Option<&'static Case> {
    tables.iter().copied().flatten().find(|case| case.id == id)
}

/// What the gateway makes of an answer, where more than one company gives it.
pub(super) mod gives {
    pub const FOUND: &str = "OK OUTCOME_FOUND";
    pub const NOT_FOUND: &str = "OK OUTCOME_NOT_FOUND";
    pub const INCONCLUSIVE: &str = "OK OUTCOME_INCONCLUSIVE";
    pub const REJECTED: &str = "INVALID_ARGUMENT PROVIDER_REJECTED_ARGUMENT";
    pub const CREDENTIALS: &str = "FAILED_PRECONDITION PROVIDER_CREDENTIALS_REJECTED";
    pub const MISCONFIGURED: &str = "FAILED_PRECONDITION PROVIDER_MISCONFIGURED";
    pub const QUOTA: &str = "RESOURCE_EXHAUSTED PROVIDER_QUOTA_EXHAUSTED";
    pub const RATE_LIMITED: &str = "RESOURCE_EXHAUSTED PROVIDER_RATE_LIMITED";
    pub const UNAVAILABLE: &str = "UNAVAILABLE PROVIDER_UNAVAILABLE";
    pub const OUTCOME_UNKNOWN: &str = "UNKNOWN PROVIDER_OUTCOME_UNKNOWN";
}
