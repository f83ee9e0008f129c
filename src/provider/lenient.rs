//! Readers for JSON that says one thing in many ways.
//!
//! Providers write numbers as strings and strings as numbers, and mean "none" by null, `""`,
//! `"NotSpecified"` or `"not_available"`. Each reader takes any JSON value and gives none where it
//! finds nothing usable; only broken JSON is an error. Use with `#[serde(default)]` on the struct.

use std::{borrow::Cow, fmt, marker::PhantomData};

use jiff::{Timestamp, civil::Date};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use crate::domain::date;

/// Words that mean "none" (findings.md).
const NONE_WORDS: [&str; 2] = ["NotSpecified", "not_available"];

/// What a reader makes of each kind of JSON value. What it does not name is none.
trait Shape<'de>: Sized {
    fn none() -> Self;

    fn text(_: Cow<'de, str>) -> Self {
        Self::none()
    }

    fn integer(_: i64) -> Self {
        Self::none()
    }

    fn number(_: f64) -> Self {
        Self::none()
    }

    fn flag(_: bool) -> Self {
        Self::none()
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::none())
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::none())
    }
}

/// Reads any JSON value into a shape.
fn read<'de, D: Deserializer<'de>, T: Shape<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Ok(T::integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok(i64::try_from(number).map_or_else(|_| T::none(), T::integer))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Ok(T::number(number))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<T, E> {
        Ok(T::flag(flag))
    }

    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        Ok(T::none())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}

/// A value without parts.
enum Scalar<'de> {
    None,
    Text(Cow<'de, str>),
    Integer(i64),
    Number(f64),
    Flag(bool),
}

impl<'de> Shape<'de> for Scalar<'de> {
    fn none() -> Self {
        Self::None
    }

    fn text(text: Cow<'de, str>) -> Self {
        Self::Text(text)
    }

    fn integer(number: i64) -> Self {
        Self::Integer(number)
    }

    fn number(number: f64) -> Self {
        Self::Number(number)
    }

    fn flag(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Scalar<'_> {
    fn into_text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Text(text) => means_something(&text).then(|| text.into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(flag.to_string()),
        }
    }

    fn into_integer(self) -> Option<i32> {
        match self {
            Self::Text(text) => whole(text.trim()),
            Self::Integer(number) => i32::try_from(number).ok(),
            // `2.0` is a whole number too; the cast is exact for those that come back unchanged.
            #[allow(clippy::cast_possible_truncation)]
            Self::Number(number) => {
                let whole = number as i32;
                (f64::from(whole) - number).abs().eq(&0.0).then_some(whole)
            }
            Self::None | Self::Flag(_) => None,
        }
    }
}

/// The text without the white space around it.
fn trim(text: &str) -> &str {
    // Most texts have none, and show it by their first and last byte.
    let bare = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    match bare(bytes.first()) && bare(bytes.last()) {
        true => text,
        false => text.trim(),
    }
}

fn means_something(text: &str) -> bool {
    let text = trim(text);
    !text.is_empty()
        && !NONE_WORDS
            .iter()
            .any(|none| text.eq_ignore_ascii_case(none))
}

/// A text, as given; a number or a flag as its text.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Scalar::deserialize(deserializer).map(Scalar::into_text)
}

/// A text without the white space around it.
pub fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = text(deserializer)?;
    Ok(text.map(|text| match trim(&text) {
        bare if bare.len() < text.len() => bare.to_owned(),
        _ => text,
    }))
}

/// A number, also as a text.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite()),
        // A score or a counter: far below the integers that f64 cannot hold.
        #[allow(clippy::cast_precision_loss)]
        Scalar::Integer(number) => Some(number as f64),
        Scalar::Number(number) => Some(number),
        Scalar::None | Scalar::Flag(_) => None,
    })
}

/// A whole number, also as a text.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    Scalar::deserialize(deserializer).map(Scalar::into_integer)
}

/// How many there are of something: a whole number that is not negative, also as `"10.0"` or `"1,024"`. What a fraction
/// or a debt would mean here nobody knows: they are none.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let count = match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => whole(&ungrouped(text.trim())),
        other => other.into_integer(),
    };
    Ok(count.filter(|count| *count >= 0))
}

/// A whole number in digits; `10.0` is one too.
pub fn whole(text: &str) -> Option<i32> {
    let (number, zeros) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0');
    is_whole.then(|| number.parse().ok()).flatten()
}

/// A number without the commas that stand between its thousands.
fn ungrouped(text: &str) -> Cow<'_, str> {
    let (number, _) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = number.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    match is_grouped {
        true => Cow::Owned(text.replace(',', "")),
        false => Cow::Borrowed(text),
    }
}

/// A flag, also as a text or as 0 and 1.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Flag(flag) => Some(flag),
        Scalar::Integer(0) => Some(false),
        Scalar::Integer(1) => Some(true),
        Scalar::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Scalar::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

fn read_date<'de, D: Deserializer<'de>>(
    deserializer: D,
    read: fn(&str) -> Option<Date>,
) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => read(&text).map(|date| date.to_string()),
        // `19910418`.
        Scalar::Integer(number) => read(&number.to_string()).map(|date| date.to_string()),
        _ => None,
    })
}

/// A date in any known form, as `YYYY-MM-DD`.
pub fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    read_date(deserializer, date::lenient_date)
}

/// A date that is printed as an instant, as the civil date in Nairobi.
pub fn nairobi_date<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    read_date(deserializer, date::nairobi_date)
}

/// An instant whose zone is known, as in RFC 3339.
pub fn instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<prost_types::Timestamp>, D::Error> {
    Ok(match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => date::instant(&text).and_then(timestamp),
        _ => None,
    })
}

/// The contract's form of an instant. Its nanoseconds count forward, also before 1970.
fn timestamp(at: Timestamp) -> Option<prost_types::Timestamp> {
    const SECOND: i128 = 1_000_000_000;
    let nanos = at.as_nanosecond();
    Some(prost_types::Timestamp {
        seconds: i64::try_from(nanos.div_euclid(SECOND)).ok()?,
        nanos: i32::try_from(nanos.rem_euclid(SECOND)).ok()?,
    })
}

/// A list of texts; a lone text is a list of one.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts(Vec<String>);
    impl<'de> Shape<'de> for Texts {
        fn none() -> Self {
            Self(Vec::new())
        }

        fn text(text: Cow<'de, str>) -> Self {
            Self(Scalar::Text(text).into_text().into_iter().collect())
        }

        fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
            let mut texts = Vec::new();
            while let Some(scalar) = list.next_element::<Scalar<'_>>()? {
                texts.extend(scalar.into_text());
            }
            Ok(Self(texts))
        }
    }
    read(deserializer).map(|Texts(texts)| texts)
}

/// An object; anything else is none.
pub fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Object<T>(Option<T>);
    impl<'de, T: Deserialize<'de>> Shape<'de> for Object<T> {
        fn none() -> Self {
            Self(None)
        }

        fn object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
            T::deserialize(MapAccessDeserializer::new(object)).map(|read| Self(Some(read)))
        }
    }
    read(deserializer).map(|Object(read)| read)
}

#[cfg(test)]
mod tests;
