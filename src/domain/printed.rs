//! Dates and times as people and programs print them: `18/04/1991 12:00:00 a. m.`, `18 de abril de 1991`,
//! `April 18, 1991`, `18-APR-1991`, `19910418`, `Thu Apr 18 00:00:00 EAT 1991`.
//!
//! The day stands before the month, as the providers' documents have it, unless the year comes first or the month is a
//! word. The month first in numbers is an American habit, and whoever takes `04/07` for it may be wrong: such a date is
//! read only where the day can be nothing else, and then it is none. Nor is a year of two digits read. What is not
//! understood to its end is no date: it may be a span of two, or a sentence.

mod tokens;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::Offset,
};

use self::tokens::{Token, Tokens};

/// Longer than every date, with what JavaScript prints behind it.
const LONGEST: usize = 120;

/// Months in Spanish, English and as Roman numbers: the whole words, and how they are shortened.
const MONTHS: [&[&str]; 12] = [
    &["january", "jan", "enero", "ene", "i"],
    &["february", "feb", "febrero", "febr", "ii"],
    &["march", "mar", "marzo", "iii"],
    &["april", "apr", "abril", "abr", "iv"],
    &["may", "mayo", "v"],
    &["june", "jun", "junio", "vi"],
    &["july", "jul", "julio", "vii"],
    &["august", "aug", "agosto", "ago", "viii"],
    &[
        "september",
        "sep",
        "sept",
        "septiembre",
        "setiembre",
        "set",
        "ix",
    ],
    &["october", "oct", "octubre", "x"],
    &["november", "nov", "noviembre", "xi"],
    &["december", "dec", "diciembre", "dic", "xii"],
];

const WEEKDAYS: [&str; 31] = [
    "monday",
    "mon",
    "tuesday",
    "tue",
    "tues",
    "wednesday",
    "wed",
    "thursday",
    "thu",
    "thur",
    "thurs",
    "friday",
    "fri",
    "saturday",
    "sat",
    "sunday",
    "sun",
    "lunes",
    "lun",
    "martes",
    "mar",
    "miercoles",
    "mie",
    "jueves",
    "jue",
    "viernes",
    "vie",
    "sabado",
    "sab",
    "domingo",
    "dom",
];

/// A date, and the time and zone that stand behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printed {
    /// The date as it is printed.
    pub date: Date,
    /// The time of day.
    pub time: Option<Time>,
    /// The zone, where its distance from UTC is known.
    pub offset: Option<Offset>,
}

impl Printed {
    /// The instant, if time and zone are known.
    #[must_use]
    pub fn instant(&self) -> Option<Timestamp> {
        let (time, offset) = self.time.zip(self.offset)?;
        offset.to_timestamp(self.date.to_datetime(time)).ok()
    }
}

/// Reads a date with or without a time; none if the text is anything else.
#[must_use]
pub fn read(text: &str) -> Option<Printed> {
    if text.len() > LONGEST {
        return None;
    }
    let plain = tokens::plain(text);
    let mut tokens = Tokens::of(&plain);
    weekday(&mut tokens);
    let mut found = calendar(&mut tokens)?;
    if found.printed.time.is_none() {
        time(&mut tokens, &mut found)?;
    }
    (!found.is_ambiguous()).then_some(found.printed)
}

/// What has been read so far.
struct Found {
    printed: Printed,
    /// A day and a month that could be exchanged, written as American programs write them: without zeros.
    exchangeable: bool,
    /// `AM` or `PM` in English.
    english_half: bool,
}

impl Found {
    fn new(date: Date) -> Self {
        Self {
            printed: Printed {
                date,
                time: None,
                offset: None,
            },
            exchangeable: false,
            english_half: false,
        }
    }

    /// `4/7/1991 12:00:00 AM` is how .NET prints the seventh of April for Americans.
    fn is_ambiguous(&self) -> bool {
        self.exchangeable && self.english_half
    }
}

fn weekday(tokens: &mut Tokens<'_>) {
    let mut ahead = *tokens;
    if ahead.word().is_some_and(|word| WEEKDAYS.contains(&word)) {
        ahead.skip(&['.']);
        ahead.skip(&[',']);
        // `mar 18, 1991` is March, `mar 19 marzo 1991` a Tuesday.
        let mut behind = ahead;
        let has_day = behind.digits().is_some();
        behind.ordinal();
        let is_march = has_day && !matches!(behind.peek(), Some(Token::Word(_)));
        if tokens.peek() != Some(Token::Word("mar")) || !is_march {
            *tokens = ahead;
        }
    }
}

fn calendar(tokens: &mut Tokens<'_>) -> Option<Found> {
    match tokens.take()? {
        Token::Digits(digits) => match digits.len() {
            14 => {
                let (date, time) = digits.split_at_checked(8)?;
                let mut found = Found::new(year_first(date)?);
                found.printed.time = Some(compact_time(time)?);
                tokens.zone(&mut found.printed.offset);
                tokens.is_at_end().then_some(found)
            }
            8 => {
                // No text is both: the month of one is the century of the other.
                let date = year_first(digits).or_else(|| day_first(digits))?;
                Some(Found::new(date))
            }
            4 => {
                let separator = tokens.separator();
                let month = tokens.month()?;
                (tokens.separator() == separator).then_some(())?;
                let day = tokens.day()?;
                Some(Found::new(date(digits, month, day)?))
            }
            1 | 2 => behind_day(tokens, digits),
            _ => None,
        },
        Token::Word("primero") => behind_day(tokens, "1"),
        Token::Word(word) => behind_month(tokens, month_named(word)?),
        Token::Mark(_) => None,
    }
}

/// What follows the day: `/07/1985`, ` de julio de 1985`, `-JUL-1985`.
fn behind_day(tokens: &mut Tokens<'_>, day: &str) -> Option<Found> {
    tokens.ordinal();
    let separator = tokens.separator();
    if let Some(Token::Digits(month)) = tokens.peek() {
        tokens.take();
        let found = date(
            tokens.year_behind(separator)?,
            month_numbered(month)?,
            number(day)?,
        )?;
        let mut found = Found::new(found);
        let without_zeros = day.len() == 1 || month.len() == 1;
        found.exchangeable = without_zeros
            && number(day)? <= 12
            && found.printed.date.day() != found.printed.date.month();
        return Some(found);
    }
    tokens.skip_word("de");
    tokens.skip_word("of");
    let month = month_named(tokens.word()?)?;
    tokens.skip(&['.', ',', '/', '-']);
    tokens.skip(&['/', '-']);
    tokens.skip_word("de");
    tokens.skip_word("del");
    tokens.skip_word("ano");
    Some(Found::new(date(tokens.year()?, month, number(day)?)?))
}

/// What follows a month that comes first: ` 18, 1991`, ` 18 00:00:00 EAT 1991`.
fn behind_month(tokens: &mut Tokens<'_>, month: i8) -> Option<Found> {
    tokens.skip(&['.', '-', '/']);
    let day = tokens.day()?;
    tokens.ordinal();
    let mut ahead = *tokens;
    if ahead.digits().is_some_and(|hour| hour.len() <= 2) && ahead.take() == Some(Token::Mark(':'))
    {
        // The year comes last: what is between must be read first.
        let mut found = Found::new(Date::constant(2000, 1, 1));
        clock(tokens, &mut found)?;
        tokens.zone(&mut found.printed.offset);
        found.printed.date = date(tokens.year()?, month, day)?;
        return tokens.is_at_end().then_some(found);
    }
    tokens.skip(&[',', '-', '/']);
    tokens.skip_word("de");
    Some(Found::new(date(tokens.year()?, month, day)?))
}

/// The time behind a date, to the end of the text. None if something else stands there.
fn time(tokens: &mut Tokens<'_>, found: &mut Found) -> Option<()> {
    if tokens.is_at_end() {
        return Some(());
    }
    tokens.skip(&[',', '-']);
    for word in ["t", "at", "a", "las", "hora"] {
        tokens.skip_word(word);
    }
    if let Some(Token::Digits(digits)) = tokens.peek()
        && digits.len() == 6
    {
        tokens.take();
        found.printed.time = Some(compact_time(digits)?);
    } else if matches!(tokens.peek(), Some(Token::Digits(_))) {
        clock(tokens, found)?;
    }
    tokens.zone(&mut found.printed.offset);
    tokens.is_at_end().then_some(())
}

/// `12:00:00.000 a. m.`
fn clock(tokens: &mut Tokens<'_>, found: &mut Found) -> Option<()> {
    let hour: i8 = number(tokens.digits().filter(|digits| digits.len() <= 2)?)?;
    let separator = tokens
        .take()
        .filter(|next| matches!(next, Token::Mark(':' | '.')))?;
    let minute = number(tokens.digits().filter(|digits| digits.len() == 2)?)?;
    let mut second = 0;
    if tokens.peek() == Some(separator) {
        tokens.take();
        second = number(tokens.digits().filter(|digits| digits.len() == 2)?)?;
        if matches!(tokens.peek(), Some(Token::Mark('.' | ',' | ':'))) {
            tokens.take();
            tokens.digits()?;
        }
    }
    for word in ["h", "hrs", "hs", "horas"] {
        tokens.skip_word(word);
    }
    let hour = match tokens.half_of_day() {
        None => hour,
        Some(half) => {
            found.english_half = half.is_english;
            match (half.is_afternoon, hour) {
                (false, 12) => 0,
                (true, 1..=11) => hour.checked_add(12)?,
                _ => hour,
            }
        }
    };
    found.printed.time = Some(Time::new(hour, minute, second, 0).ok()?);
    Some(())
}

fn date(year: &str, month: i8, day: i8) -> Option<Date> {
    Date::new(year.parse().ok()?, month, day).ok()
}

/// `19910418`.
fn year_first(digits: &str) -> Option<Date> {
    let (year, rest) = digits.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    // A year that is none is a day and a month.
    year.starts_with(['1', '2']).then_some(())?;
    date(year, number(month)?, number(day)?)
}

/// `18041991`.
fn day_first(digits: &str) -> Option<Date> {
    let (day, rest) = digits.split_at_checked(2)?;
    let (month, year) = rest.split_at_checked(2)?;
    date(year, number(month)?, number(day)?)
}

/// `093015`.
fn compact_time(digits: &str) -> Option<Time> {
    let (hour, rest) = digits.split_at_checked(2)?;
    let (minute, second) = rest.split_at_checked(2)?;
    Time::new(number(hour)?, number(minute)?, number(second)?, 0).ok()
}

fn number(digits: &str) -> Option<i8> {
    digits.parse().ok()
}

fn month_numbered(digits: &str) -> Option<i8> {
    number(digits).filter(|_| digits.len() <= 2)
}

fn month_named(word: &str) -> Option<i8> {
    let place = MONTHS.iter().position(|names| names.contains(&word))?;
    i8::try_from(place).ok()?.checked_add(1)
}

#[cfg(test)]
mod tests;
