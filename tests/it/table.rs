//! The words in which the scenario table is written.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{it::cases::Case, kit::provider::Does};

/// How the gateway is configured for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// As it comes, with a credential for each provider.
    Usual,
    /// The providers have 600 ms.
    Impatient,
    /// `ERRORS_ARE_FREE=false` for every provider.
    ErrorsMayCost,
    /// Nobody listens at the providers' addresses.
    Unreachable,
    /// Answers may have 700 bytes.
    SmallAnswers,
    /// One request in flight to each provider, and it is taken.
    OnePlace,
    /// One call in flight in all, and it is taken.
    OneCall,
    /// One request a second to each provider, and it was made.
    OnceASecond,
    /// One failure opens a provider's circuit.
    Fragile,
    /// No credential for this provider.
    Without(&'static str),
    /// Everything that a provider's documents leave open, said in another way.
    Unusual,
    /// `sharing.recover_ttl = 0`: a request goes with its last caller.
    GivesUp,
    /// As it comes, for what a caller leaves behind: no other row shall find it.
    LeftBehind,
}

/// A call of one RPC.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: &'static str,
    pub request: Value,
}

/// What the caller gets.
#[derive(Debug, Clone)]
pub enum Expect {
    Fails(Fails),
    Answers(Answers),
}

/// An error.
#[derive(Debug, Clone)]
pub struct Fails {
    pub case: &'static Case,
    pub http_status: Option<u16>,
    pub provider_code: Option<&'static str>,
    /// `billing` of the `ErrorInfo`, where there is one.
    pub billing: Option<&'static str>,
    /// Seconds of the `RetryInfo`.
    pub retry: Option<u64>,
    /// Fields of the `BadRequest`, in order.
    pub fields: Vec<&'static str>,
    /// Whether it says until when the answer can be had.
    pub recoverable: bool,
}

/// A successful call: JSON pointers into the answer, and what stands there. Null: nothing does.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub Vec<(&'static str, Value)>);

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Whose answer it is.
    pub provider: &'static str,
    /// What happens, in words for the document.
    pub what: &'static str,
    pub setting: Setting,
    pub call: Call,
    pub deadline: Option<Duration>,
    /// A call that went before, and what the provider did with it.
    pub before: Option<(Call, Vec<Does>)>,
    /// What the provider does with each request. Empty: it gets none.
    pub does: Vec<Does>,
    pub expect: Expect,
    /// Whether the document shows it.
    pub shown: bool,
}

impl Row {
    /// A row in the usual setting.
    pub fn new(provider: &'static str, call: Call, what: &'static str, does: Vec<Does>) -> Self {
        Self {
            provider,
            what,
            setting: Setting::Usual,
            call,
            deadline: None,
            before: None,
            does,
            expect: Expect::Answers(Answers::default()),
            shown: true,
        }
    }

    pub fn setting(mut self, setting: Setting) -> Self {
        self.setting = setting;
        self
    }

    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub fn after(mut self, call: Call, does: Vec<Does>) -> Self {
        self.before = Some((call, does));
        self
    }

    /// Whether the setting's only place must be taken by another call.
    pub fn has_blocker(&self) -> bool {
        matches!(self.setting, Setting::OnePlace | Setting::OneCall)
    }

    /// How long the call before the row's own keeps that from the provider, if it does.
    pub fn lasts(&self) -> Option<Duration> {
        let lasts = matches!(self.setting, Setting::OnceASecond | Setting::Fragile);
        lasts.then_some(Duration::from_secs(1))
    }

    /// Whether the gateway refuses the provider's next calls after this row.
    pub fn holds_back(&self) -> bool {
        let limited =
            |fails: &Fails| std::ptr::eq(fails.case, &crate::it::cases::RATE_LIMITED_THERE);
        self.lasts().is_some() || matches!(&self.expect, Expect::Fails(fails) if limited(fails))
    }

    /// Not for the document: a variant of another row.
    pub fn hidden(mut self) -> Self {
        self.shown = false;
        self
    }

    pub fn fails(mut self, fails: Fails) -> Self {
        self.expect = Expect::Fails(fails);
        self
    }

    pub fn answers<const N: usize>(mut self, holds: [(&'static str, Value); N]) -> Self {
        self.expect = Expect::Answers(Answers(holds.into()));
        self
    }

    /// A lookup that is answered: outcome, billing, and what else holds.
    pub fn finds<const N: usize>(
        mut self,
        outcome: &'static str,
        billing: &'static str,
        holds: [(&'static str, Value); N],
    ) -> Self {
        let mut all = vec![
            ("/verification/outcome", json!(format!("OUTCOME_{outcome}"))),
            ("/verification/billing", json!(format!("BILLING_{billing}"))),
            ("/verification/provider", json!(self.provider)),
            ("/verification/source", json!("SOURCE_PROVIDER")),
        ];
        if outcome != "FOUND" {
            all.push(("/record", Value::Null));
        }
        all.extend(holds);
        self.expect = Expect::Answers(Answers(all));
        self
    }
}

impl Fails {
    /// It says until when the answer can be had.
    pub fn recoverable(mut self) -> Self {
        self.recoverable = true;
        self
    }
}

impl Case {
    /// An error answer with this HTTP status, taken as free.
    pub fn answered(&'static self, http_status: u16, provider_code: &'static str) -> Fails {
        Fails {
            http_status: Some(http_status),
            provider_code: Some(provider_code).filter(|code| !code.is_empty()),
            billing: Some("not_billed"),
            retry: self
                .details
                .contains(&crate::it::cases::Detail::Retry)
                .then_some(1),
            ..self.bare()
        }
    }

    /// An error about a provider that did not answer.
    pub fn unanswered(&'static self, billing: &'static str) -> Fails {
        Fails {
            billing: Some(billing),
            retry: self
                .details
                .contains(&crate::it::cases::Detail::Retry)
                .then_some(1),
            ..self.bare()
        }
    }

    /// An error of the request itself.
    pub fn bare(&'static self) -> Fails {
        Fails {
            case: self,
            http_status: None,
            provider_code: None,
            billing: None,
            retry: None,
            fields: Vec::new(),
            recoverable: false,
        }
    }
}

impl Fails {
    pub fn status(mut self, http_status: u16) -> Self {
        self.http_status = Some(http_status);
        self
    }

    pub fn retry(mut self, seconds: u64) -> Self {
        self.retry = Some(seconds);
        self
    }

    pub fn fields<const N: usize>(mut self, fields: [&'static str; N]) -> Self {
        self.fields = fields.into();
        self
    }
}
