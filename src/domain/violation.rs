//! What is wrong with a request, collected so that the caller hears of every bad field at once.
//!
//! A violation names the field and the rule, never the value: values are personal data.

use std::borrow::Cow;

/// One bad field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request, such as `person.email`.
    pub field: &'static str,
    /// The rule that is broken, as a phrase that follows the field's name.
    pub rule: Cow<'static, str>,
}

/// The bad fields of one request.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes a bad field.
    pub fn add(&mut self, field: &'static str, rule: impl Into<Cow<'static, str>>) {
        let rule = rule.into();
        self.0.push(Violation { field, rule });
    }

    /// Passes a good value through and notes a bad one.
    pub fn check<T>(
        &mut self,
        field: &'static str,
        value: Result<T, impl Into<Cow<'static, str>>>,
    ) -> Option<T> {
        value.map_err(|rule| self.add(field, rule)).ok()
    }

    /// The violations noted so far, in the order in which they were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Violation> {
        self.0
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
