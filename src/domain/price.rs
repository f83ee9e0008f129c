//! What one billed result of a provider costs, as people write it: `0.35 USD`.
//!
//! Only figures are made of it: nothing is decided by a price. Its errors never repeat what was written.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount that is not negative, and a currency.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Price {
    amount: f64,
    currency: String,
}

/// What was written is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {form}", form = Price::FORM)]
pub struct NotAPrice;

impl Price {
    const FORM: &str = "an amount and an ISO 4217 currency such as 0.35 USD";

    /// The amount, in the currency's main unit.
    #[must_use]
    pub const fn amount(&self) -> f64 {
        self.amount
    }

    /// Three capital letters.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }
}

impl FromStr for Price {
    type Err = NotAPrice;

    fn from_str(text: &str) -> Result<Self, NotAPrice> {
        let (amount, currency) = text.trim().split_once(' ').ok_or(NotAPrice)?;
        let currency = currency.trim();
        let plain = amount.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let amount: f64 = amount.parse().map_err(|_| NotAPrice)?;
        let letters = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        if !plain || !letters || !(0.0..=1e9).contains(&amount) {
            return Err(NotAPrice);
        }
        Ok(Self {
            amount,
            currency: currency.to_owned(),
        })
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
        write!(f, "{} {}", self.amount, self.currency)
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
        json_schema!({ "type": "string", "minLength": 1, "x-form": Self::FORM })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
