//! What one billed result of a provider costs, as people write it: `0.35 USD`.
//!
//! Only figures are made of it: nothing is decided by a price. Its errors never repeat what was written.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount that is not negative, and a currency.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price {
    amount: f64,
    /// Three capital letters.
    currency: [u8; 3],
}

/// What a call added to the bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// Nothing, in whatever currency.
    Nothing,
    /// One billed result.
    Of(Price),
}

impl Cost {
    /// The amount, in the currency's main unit.
    #[must_use]
    pub const fn amount(&self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Of(price) => price.amount,
        }
    }

    /// The currency, of what is not nothing.
    #[must_use]
    pub fn currency(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Of(price) => Some(price.currency()),
        }
    }
}

/// What was written is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {form}", form = Price::FORM)]
pub struct NotAPrice;

impl Price {
    const FORM: &str = "an amount and an ISO 4217 currency such as 0.35 USD";
    /// The same for JSON schema: what it matches is read, and nothing else.
    const PATTERN: &str =
        "^ *(0*[0-9]{1,9}(\\.[0-9]*)?|0*1000000000(\\.0*)?|\\.[0-9]+) +[A-Z]{3} *$";

    /// The amount, in the currency's main unit.
    #[must_use]
    pub const fn amount(&self) -> f64 {
        self.amount
    }

    /// The amount in whole units, and in billionths of one.
    #[must_use]
    pub fn units_and_nanos(&self) -> (i64, i32) {
        // At most 1e9 of them: every step is within what an f64 holds exactly, or rounds to the nearest billionth.
        let units = self.amount.trunc();
        let nanos = ((self.amount - units) * 1e9).round();
        match nanos < 1e9 {
            true => (units as i64, nanos as i32),
            false => (units as i64 + 1, 0),
        }
    }

    /// Three capital letters.
    #[must_use]
    pub fn currency(&self) -> &str {
        str::from_utf8(&self.currency).unwrap_or_default()
    }
}

impl FromStr for Price {
    type Err = NotAPrice;

    fn from_str(text: &str) -> Result<Self, NotAPrice> {
        let (amount, currency) = text.trim_matches(' ').split_once(' ').ok_or(NotAPrice)?;
        let currency = currency.trim_matches(' ').as_bytes();
        let currency: [u8; 3] = currency.try_into().map_err(|_| NotAPrice)?;
        let letters = currency.iter().all(u8::is_ascii_uppercase);
        if !is_amount(amount) || !letters {
            return Err(NotAPrice);
        }
        let amount = amount.parse().map_err(|_| NotAPrice)?;
        Ok(Self { amount, currency })
    }
}

/// Whether it is digits, with a point among them or none, and at most a thousand millions. By its text and not by its
/// value, so that [`Price::PATTERN`] can say the same.
fn is_amount(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole_part = whole.trim_start_matches('0');
    let is_within = whole_part.len() <= 9
        || (whole_part == "1000000000" && decimals.bytes().all(|byte| byte == b'0'));
    digits(whole) && digits(decimals) && is_within && !(whole.is_empty() && decimals.is_empty())
}

impl TryFrom<String> for Price {
    type Error = NotAPrice;

    fn try_from(text: String) -> Result<Self, NotAPrice> {
        text.parse()
    }
}

impl From<Price> for String {
    fn from(price: Price) -> Self {
        price.to_string()
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency())
    }
}

impl JsonSchema for Price {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Price".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "title": Self::FORM, "pattern": Self::PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_units_and_billionths() {
        for (written, expected) in [
            ("0 USD", (0, 0)),
            ("0.35 USD", (0, 350_000_000)),
            ("12 KES", (12, 0)),
            ("1.999999999 USD", (1, 999_999_999)),
            ("0.9999999999 USD", (1, 0)),
            ("1000000000 USD", (1_000_000_000, 0)),
        ] {
            let price: Price = written.parse().unwrap();
            assert_eq!(price.units_and_nanos(), expected, "{written}");
        }
    }

    #[test]
    fn a_price_is_written_as_it_is_read() {
        for (written, shown) in [
            ("0.35 USD", "0.35 USD"),
            (" 12 MXN ", "12 MXN"),
            ("0 KES", "0 KES"),
        ] {
            let price: Price = written.parse().expect(written);
            assert_eq!(price.to_string(), shown);
            assert_eq!(shown.parse(), Ok(price));
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for written in [
            "",
            "0.35",
            "USD",
            "USD 1",
            "-1 USD",
            "1 usd",
            "1 DOLLAR",
            "NaN USD",
            "inf USD",
            "1e3 USD",
            "1,5 EUR",
            "99999999999 USD",
        ] {
            assert_eq!(written.parse::<Price>(), Err(NotAPrice), "{written}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_pattern_of_the_schema_takes_exactly_what_is_read(text in texts()) {
            let pattern = regex::Regex::new(Price::PATTERN).unwrap();
            proptest::prop_assert_eq!(pattern.is_match(&text), text.parse::<Price>().is_ok(), "{:?}", text);
        }
    }

    /// Texts like prices, most of which are.
    fn texts() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let amount = prop_oneof![
            "[0-9]{0,12}(\\.[0-9]{0,12})?",
            "0{0,3}10{8,10}(\\.0{0,3}[0-9]?)?",
            "[0-9.,e+-]{0,6}",
        ];
        (
            " ?",
            amount,
            "[ \t]{0,2}",
            "[A-Za-z]{2,4}|[A-Z]{3}",
            " ?\n?",
        )
            .prop_map(|(before, amount, between, currency, after)| {
                [before, amount, between, currency, after].concat()
            })
    }
}
