//! The CURP (Clave Única de Registro de Población) of Mexico, tested before anybody pays for it.
//!
//! Eighteen characters: four letters of the names, the birth date `YYMMDD`, the sex (H, M, X), the
//! entity of birth, three consonants, a character that tells namesakes apart and at the same time
//! the century (a digit up to 1999, a letter from 2000), and a check digit. AccuAuth charges for
//! answers about malformed numbers too, so what can be known here is found here. Nobody is refused
//! for letters that spell an offensive word: people hold such CURPs.

use jiff::civil::Date;

use super::{identifier::Identifier, redaction::Pii};

const LENGTH: usize = 18;
const ENTITIES: [&[u8; 2]; 33] = [
    b"AS", b"BC", b"BS", b"CC", b"CH", b"CL", b"CM", b"CS", b"DF", b"DG", b"GR", b"GT", b"HG",
    b"JC", b"MC", b"MN", b"MS", b"NE", b"NL", b"NT", b"OC", b"PL", b"QR", b"QT", b"SL", b"SP",
    b"SR", b"TC", b"TL", b"TS", b"VZ", b"YN", b"ZS",
];

const SHAPE: &str = "must be 18 characters in the format of a CURP, in upper case";

/// How much of a CURP is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurpRule {
    /// Shape, entity, date and check digit.
    Strict,
    /// Shape only: registries have been seen to hold odd ones.
    Shape,
}

/// A CURP that passed its test.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Curp(Pii<String>);

impl Curp {
    /// Reads a CURP.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(text: &str, rule: CurpRule, today: Date) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is required");
        }
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| SHAPE)?;
        if !has_shape(bytes) {
            return Err(SHAPE);
        }
        if rule == CurpRule::Strict {
            let [_, _, _, _, date @ .., _, e1, e2, _, _, _, century, check] = bytes;
            if !ENTITIES.contains(&&[*e1, *e2]) {
                return Err("must name an entity of Mexico, or NE, in characters 12 and 13");
            }
            match birth_date(date, *century) {
                None => return Err("must contain a date that exists in its century"),
                Some(date) if date > today => return Err("must not contain a date in the future"),
                Some(_) => {}
            }
            if check_digit(bytes) != Some(*check) {
                return Err("must end in the correct check digit");
            }
        }
        Ok(Self(Pii::new(text.to_owned())))
    }

    /// The CURP itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The number as the audit names it.
    #[must_use]
    pub fn identifier(&self) -> Identifier<'_> {
        Identifier::new("mx_curp", self.reveal())
    }
}

fn has_shape(bytes: &[u8; LENGTH]) -> bool {
    bytes.iter().enumerate().all(|(place, &byte)| match place {
        0 | 2 | 3 | 11 | 12 => byte.is_ascii_uppercase(),
        1 => b"AEIOUX".contains(&byte),
        4..=9 | 17 => byte.is_ascii_digit(),
        10 => b"HMX".contains(&byte),
        13..=15 => byte.is_ascii_uppercase() && !b"AEIOU".contains(&byte),
        _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
    })
}

fn birth_date(digits: &[u8; 6], century: u8) -> Option<Date> {
    let pair = |tens: u8, ones: u8| {
        i8::try_from(tens.checked_sub(b'0')? * 10 + ones.checked_sub(b'0')?).ok()
    };
    let [y1, y2, m1, m2, d1, d2] = *digits;
    let base: i16 = if century.is_ascii_digit() { 1900 } else { 2000 };
    let year = base + i16::from(pair(y1, y2)?);
    Date::new(year, pair(m1, m2)?, pair(d1, d2)?).ok()
}

/// The check digit of the first seventeen characters, as an ASCII digit.
///
/// The alphabet is `0-9 A-N Ñ O-Z` = 0…36; the sum weighs the characters 18, 17, … 2.
fn check_digit(bytes: &[u8; LENGTH]) -> Option<u8> {
    let mut sum: u32 = 0;
    for (weight, &byte) in (2..=18).rev().zip(bytes) {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'N' => byte - b'A' + 10,
            b'O'..=b'Z' => byte - b'A' + 11,
            _ => return None,
        };
        sum += u32::from(value) * weight;
    }
    let digit = u8::try_from((10 - sum % 10) % 10).ok()?;
    Some(b'0' + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 21);

    #[test]
    fn real_looking_curps_pass() {
        for good in [
            "AAPR630321HDFLRC09",
            "HEGG560427MVZRRL04",
            "BOXW310820HNERXN09",
            "AAPR630321XDFLRC03",
            "AAPR000229HDFLRCA1",
        ] {
            let curp = Curp::parse(good, CurpRule::Strict, TODAY);
            assert_eq!(
                curp.map(|curp| curp.reveal().to_owned()),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (bad, word) in [
            ("", "required"),
            ("AAPR630321HDFLRC08", "check digit"),
            ("AAPR000229HDFLRC01", "date that exists"),
            ("AAPR000229HDFLRC0É", "format"),
            ("ZAZD801124MBSYQN13", "check digit"),
            ("AAPR630321HZZLRC09", "entity"),
            ("AAPR630321HDFLRC0", "format"),
            ("AAPR630321HDFLRC099", "format"),
            ("aapr630321hdflrc09", "format"),
            ("AAPR630321ZDFLRC09", "format"),
            ("AAPR630321HDFARC09", "format"),
            ("ABPR630321HDFLRC09", "format"),
            ("AAPR630321HDFLRC0A", "format"),
            ("AAPR630231HDFLRC09", "date that exists"),
            ("AAPR600321HDFLRCA9", "future"),
        ] {
            let rule = Curp::parse(bad, CurpRule::Strict, TODAY).unwrap_err();
            assert!(rule.contains(word), "{bad}: {rule}");
        }
    }

    #[test]
    fn the_relaxed_rule_tests_the_shape_only() {
        for odd in [
            "AAPR630321HDFLRC08",
            "AAPR000229HDFLRC01",
            "ZAZD801124MBSYQN13",
        ] {
            assert!(Curp::parse(odd, CurpRule::Shape, TODAY).is_ok(), "{odd}");
        }
        assert!(Curp::parse("AAPR63", CurpRule::Shape, TODAY).is_err());
    }
}
