//! Civil dates: strict where a caller writes them, lenient where a provider does.
//!
//! Providers write one date in many ways (findings.md, "Dates", and [`printed`]), and "never" and "none"
//! as dates too: `Wed Jan 01 3000 …`, `0001-01-01T00:00:00Z`. What holds no date is no fault of the
//! caller: the field is absent then.

use std::ops::Range;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{printed, redaction::Pii};

/// Years of real dates. A later one stands for "never", an earlier one for "none": programs print what their clocks
/// begin with (0001 in Go and .NET, 1601 in Windows, 1753 in SQL Server), and registries of people are younger.
const YEARS: Range<i16> = 1800..2200;
/// The oldest person whose age was ever proven was born in 1875.
const EARLIEST_BIRTH_YEAR: i16 = 1875;

static NAIROBI: TimeZone = jiff::tz::get!("Africa/Nairobi");

/// A birth date that a caller gave: it exists and is not in the future.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Birthdate(Pii<Date>);

impl Birthdate {
    /// Reads an ISO 8601 full date (`YYYY-MM-DD`).
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
    pub fn parse(text: &str, today: Date) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is required, as YYYY-MM-DD");
        }
        let date = iso_date(text).ok_or("must be a date that exists, as YYYY-MM-DD")?;
        if date > today {
            return Err("must not be in the future");
        }
        if date.year() < EARLIEST_BIRTH_YEAR {
            return Err("must not be before 1875");
        }
        Ok(Self(Pii::new(date)))
    }

    /// `DD/MM/YYYY`, as Verifik's foreigner-id endpoint wants it.
    #[must_use]
    pub fn day_month_year(&self) -> String {
        let date = self.0.reveal();
        format!("{:02}/{:02}/{:04}", date.day(), date.month(), date.year())
    }

    /// `YYYY-MM-DD`.
    #[must_use]
    pub fn iso(&self) -> String {
        self.0.reveal().to_string()
    }
}

/// Today in UTC: the day against which "in the future" is measured.
#[must_use]
pub fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// The date that a provider's text holds, in whichever of the known ways it is written.
///
/// None if it holds no date, or a placeholder for "never" or "none".
#[must_use]
pub fn lenient_date(text: &str) -> Option<Date> {
    let text = text.trim();
    real(iso_date(text).or_else(|| Some(printed::read(text)?.date))?)
}

/// The civil date in Nairobi of a birth date that YouVerify prints as an instant in UTC.
///
/// `1999-12-31T21:00:00Z` is `2000-01-01`. A bare date, one whose zone is not said, and midnight in UTC or where it
/// was printed are taken as they stand (findings.md, "YouVerify").
#[must_use]
pub fn nairobi_date(text: &str) -> Option<Date> {
    let printed = printed::read(text.trim())?;
    let is_midnight = |time| time == Time::midnight();
    let Some(instant) = printed
        .instant()
        .filter(|_| !printed.time.is_some_and(is_midnight))
    else {
        return real(printed.date);
    };
    let utc = instant.to_zoned(TimeZone::UTC);
    real(match is_midnight(utc.time()) {
        true => utc.date(),
        false => instant.to_zoned(NAIROBI.clone()).date(),
    })
}

/// An instant in RFC 3339, or another in which the zone is known; none if it is a placeholder.
#[must_use]
pub fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let exact = text.parse().ok();
    let instant: Timestamp = exact.or_else(|| printed::read(text)?.instant())?;
    real(instant.to_zoned(TimeZone::UTC).date())?;
    Some(instant)
}

fn real(date: Date) -> Option<Date> {
    YEARS.contains(&date.year()).then_some(date)
}

/// Exactly `YYYY-MM-DD`.
fn iso_date(text: &str) -> Option<Date> {
    let parts: [&str; 3] = split_exact(text, '-')?;
    let [year, month, day] = parts;
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    civil(year, month, day)
}

fn civil(year: &str, month: &str, day: &str) -> Option<Date> {
    let small = |text| i8::try_from(digits(text)?).ok();
    Date::new(digits(year)?, small(month)?, small(day)?).ok()
}

/// A number of digits only: `parse` alone would take a sign too.
fn digits(text: &str) -> Option<i16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn split_exact(text: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = text.split(separator);
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(date: Option<Date>) -> Option<String> {
        date.map(|date| date.to_string())
    }

    #[test]
    fn a_birthdate_is_an_iso_date_that_exists_and_has_come() {
        let today = jiff::civil::date(2026, 11, 21);
        for good in ["1993-08-16", "2000-02-29", "2026-11-21", "1875-01-01"] {
            let birthdate = Birthdate::parse(good, today).unwrap();
            assert_eq!(birthdate.iso(), good);
        }
        for bad in [
            "",
            "1993-8-16",
            "16/08/1993",
            "1900-02-29",
            "1993-13-01",
            "2026-11-22",
            "1874-12-31",
            "+993-08-16",
            "1993-08-16T00:00:00Z",
            " 1993-08-16",
            "199３-08-16",
            "1993-08-1é",
        ] {
            assert!(Birthdate::parse(bad, today).is_err(), "{bad}");
        }
        let birthdate = Birthdate::parse("1993-08-06", today).unwrap();
        assert_eq!(birthdate.day_month_year(), "06/08/1993");
    }

    #[test]
    fn a_providers_date_is_read_in_every_known_form() {
        for (text, date) in [
            ("16/08/1993", Some("1993-08-16")),
            ("03-04-1986", Some("1986-04-03")),
            ("1/2/2003", Some("2003-02-01")),
            ("1990-01-15", Some("1990-01-15")),
            (" 1990-01-15 ", Some("1990-01-15")),
            ("1990-01-15T10:30:00Z", Some("1990-01-15")),
            ("1990-01-15T00:00:00.000-05:00", Some("1990-01-15")),
            ("1990-01-15 10:30", Some("1990-01-15")),
            (
                "Mon Jan 05 2026 00:00:00 GMT-0500 (hora de Perú)",
                Some("2026-01-05"),
            ),
            ("Wed Jan 01 3000 00:00:00 GMT+0000", None),
            ("31/12/9999", None),
            ("31/02/1990", None),
            ("not_available", None),
            ("El documento no tiene fecha de caducidad", None),
            ("", None),
            ("0001-01-01", None),
            ("01/01/0001", None),
            ("01/01/0001 12:00:00 a. m.", None),
            ("0001-01-01T00:00:00Z", None),
            ("1 de enero de 0001", None),
            ("00010101", None),
            ("1601-01-01T00:00:00Z", None),
            ("1753-01-01 00:00:00", None),
            ("9999-12-31T23:59:59.9999999", None),
            ("0000-00-00", None),
            ("0000-01-01", None),
            ("01/01/0000", None),
            ("día 1990 é", None),
        ] {
            assert_eq!(shown(lenient_date(text)).as_deref(), date, "{text}");
        }
    }

    #[test]
    fn a_kenyan_birthdate_is_the_civil_date_in_nairobi() {
        for (text, date) in [
            ("1999-12-31T21:00:00Z", Some("2000-01-01")),
            ("1999-12-31T21:00:00.000Z", Some("2000-01-01")),
            ("1941-05-31T21:15:00Z", Some("1941-06-01")),
            ("1935-12-31T21:30:00Z", Some("1936-01-01")),
            ("1931-07-31T21:30:00Z", Some("1931-08-01")),
            ("2000-01-01T00:00:00Z", Some("2000-01-01")),
            ("2000-01-01", Some("2000-01-01")),
            ("1999-12-31T21:00:00.000+0000", Some("2000-01-01")),
            (
                "Fri Dec 31 1999 21:00:00 GMT+0000 (UTC)",
                Some("2000-01-01"),
            ),
            ("2000-01-01T00:00:00+03:00", Some("2000-01-01")),
            ("18/04/1991 12:00:00 AM", Some("1991-04-18")),
            ("31/12/1999 21:00:00", Some("1999-12-31")),
            ("0001-01-01T00:00:00Z", None),
            ("0000-12-31T21:00:00Z", None),
            ("2999-12-31T21:00:00Z", None),
            ("0000-12-31T20:59:59Z", None),
            ("-000753-04-21T09:00:00Z", None),
            ("NotSpecified", None),
        ] {
            assert_eq!(shown(nairobi_date(text)).as_deref(), date, "{text}");
        }
    }
}
