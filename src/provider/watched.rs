//! Reads JSON, and says whether it holds a field that nobody reads.
//!
//! A type asks its deserializer to pass over such a field (`deserialize_ignored_any`); whoever stands in
//! between can see that. The crate `serde_ignored` does the same and keeps the path to each field for
//! its report: a third of the time that an answer takes, for a report that nobody here may write.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

/// Reads a value from the whole of `json`, if it is one; the flag is up if a field was passed over.
pub fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> (Option<T>, bool) {
    // Tested once here, and not by the parser string by string.
    let Ok(json) = std::str::from_utf8(json) else {
        return (None, false);
    };
    let passed_over = Cell::new(false);
    let mut json = serde_json::Deserializer::from_str(json);
    let read = T::deserialize(Watched {
        inner: &mut json,
        passed_over: &passed_over,
    });
    let read = read.and_then(|read| json.end().map(|()| read));
    (read.ok(), passed_over.get())
}

/// Something of serde's that is passed on, with the flag, to whatever it hands out.
struct Watched<'a, T> {
    inner: T,
    passed_over: &'a Cell<bool>,
}

impl<'a, T> Watched<'a, T> {
    fn with<U>(&self, inner: U) -> Watched<'a, U> {
        let passed_over = self.passed_over;
        Watched { inner, passed_over }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, D> {
    type Error = D::Error;

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.passed_over.set(true);
        self.inner.deserialize_ignored_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_option(visitor)
    }

    /// `RawValue` asks for itself in this way.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = self.with(visitor);
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    // JSON says by itself what it holds.
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.inner.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.inner.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.inner.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        self.inner.visit_string(value)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.with(value);
        self.inner.visit_some(value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        let value = self.with(value);
        self.inner.visit_newtype_struct(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        let list = self.with(list);
        self.inner.visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        let object = self.with(object);
        self.inner.visit_map(object)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        let value = self.with(value);
        self.inner.deserialize(value)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Watched<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let seed = self.with(seed);
        self.inner.next_element_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Watched<'_, A> {
    type Error = A::Error;

    /// A name is not looked into.
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.with(seed);
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        text: Option<String>,
        list: Vec<Inner>,
        inner: Option<Inner>,
        value: Option<serde_json::Value>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        number: i32,
    }

    #[test]
    fn a_field_that_nobody_reads_is_noticed_at_any_depth() {
        for (json, expected) in [
            ("{}", false),
            (
                r#"{"text":"a","inner":{"number":-7},"list":[{"number":1}]}"#,
                false,
            ),
            (r#"{"text":null,"value":{"any":[1,{"thing":2.5}]}}"#, false),
            (r#"{"other":1}"#, true),
            (r#"{"inner":{"other":{}}}"#, true),
            (r#"{"list":[{"number":1},{"other":null}]}"#, true),
        ] {
            let (read, passed_over) = read::<Outer>(json.as_bytes());
            let plain = serde_json::from_str::<Outer>(json);
            assert_eq!(read.unwrap(), plain.unwrap(), "{json}");
            assert_eq!(passed_over, expected, "{json}");
        }
    }

    #[test]
    fn what_is_broken_stays_broken() {
        for json in ["", "{", "{} x", r#"{"text":}"#, "[1", "7"] {
            assert!(read::<Outer>(json.as_bytes()).0.is_none(), "{json}");
        }
        assert!(read::<Outer>(b"{\"text\":\"\xff\"}").0.is_none());
    }

    #[test]
    fn raw_values_are_borrowed() {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            raw: Option<&'a RawValue>,
        }
        let (raw, passed_over) = read::<Raw<'_>>(br#"{"raw":"a\/b"}"#);
        assert_eq!(raw.unwrap().raw.unwrap().get(), r#""a\/b""#);
        assert!(!passed_over);
    }
}
