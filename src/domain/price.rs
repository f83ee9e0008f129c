//! What one billed result of a provider costs, as people write it: `0.35 USD`.
//!
//! An amount is a whole number of billionths of the currency's main unit, never a float: what is added up is exact. Its
//! errors never repeat what was written.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount that is not negative, and a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price {
    amount: Amount,
    /// Three capital letters.
    currency: [u8; 3],
}

/// So many billionths of a currency's main unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

/// What a call added to the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing, in whatever currency.
    Nothing,
    /// One billed result.
    Of(Price),
}

impl Cost {
    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        match self {
            Self::Nothing => Amount(0),
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
    const FORM: &str =
        "an amount of at most nine decimals and an ISO 4217 currency such as 0.35 USD";
    /// The same for JSON schema: what it matches is read, and nothing else.
    const PATTERN: &str =
        "^ *(0*[0-9]{1,9}(\\.[0-9]{0,9}0*)?|0*1000000000(\\.0*)?|\\.[0-9]{1,9}0*) +[A-Z]{3} *$";

    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
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
        if !currency.iter().all(u8::is_ascii_uppercase) {
            return Err(NotAPrice);
        }
        let amount = Amount::read(amount).ok_or(NotAPrice)?;
        Ok(Self { amount, currency })
    }
}

impl Amount {
    const PER_UNIT: u64 = 1_000_000_000;
    /// A thousand millions: many of them can be added up, and one fits into 64 bits.
    const MOST: Self = Self(1_000_000_000 * Self::PER_UNIT);

    /// Digits, with a point among them or none: nothing else, and no more than can be held exactly.
    fn read(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || whole.is_empty() && decimals.is_empty() {
            return None;
        }
        let number = |digits: &str| match digits {
            "" => Some(0),
            digits => digits.parse::<u64>().ok(),
        };
        let units = number(whole.trim_start_matches('0'))?;
        let decimals = decimals.trim_end_matches('0');
        let places = u32::try_from(decimals.len())
            .ok()
            .filter(|places| *places <= 9)?;
        let nanos = number(decimals)? * 10_u64.pow(9 - places);
        let amount = units.checked_mul(Self::PER_UNIT)?.checked_add(nanos)?;
        Some(Self(amount)).filter(|amount| *amount <= Self::MOST)
    }

    /// In whole units, and in billionths of one.
    #[must_use]
    pub fn units_and_nanos(self) -> (i64, i32) {
        let (units, nanos) = (self.0 / Self::PER_UNIT, self.0 % Self::PER_UNIT);
        // Neither comes near its limit: an amount has at most 64 bits.
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        (units, i32::try_from(nanos).unwrap_or(i32::MAX))
    }

    /// For a figure, which is no bill: the nearest number that a metric can hold.
    #[must_use]
    pub fn to_metric(self) -> f64 {
        self.0 as f64 / Self::PER_UNIT as f64
    }
}

impl fmt::Display for Amount {
    /// All that it is, and no more: `0.35`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, nanos) = (self.0 / Self::PER_UNIT, self.0 % Self::PER_UNIT);
        if nanos == 0 {
            return units.fmt(f);
        }
        let decimals = format!("{nanos:09}");
        write!(f, "{units}.{}", decimals.trim_end_matches('0'))
    }
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
            ("0.000000001 USD", (0, 1)),
            ("0.3500000000000 USD", (0, 350_000_000)),
            ("123456789.123456789 USD", (123_456_789, 123_456_789)),
            ("1000000000 USD", (1_000_000_000, 0)),
        ] {
            let price: Price = written.parse().unwrap();
            assert_eq!(price.amount().units_and_nanos(), expected, "{written}");
        }
    }

    #[test]
    fn a_price_is_written_as_it_is_read() {
        for (written, shown) in [
            ("0.35 USD", "0.35 USD"),
            (" 12 MXN ", "12 MXN"),
            ("0 KES", "0 KES"),
            ("007.10 EUR", "7.1 EUR"),
            (".5 USD", "0.5 USD"),
            ("123456789.123456789 USD", "123456789.123456789 USD"),
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
            "1000000000.000000001 USD",
            "0.0000000001 USD",
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
