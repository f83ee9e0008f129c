//! The parts of a printed date: numbers, words and marks, in lower case and without accents.

use jiff::tz::Offset;

use super::{month_named, month_numbered, number};

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// Digits of ASCII.
    Digits(&'a str),
    /// Letters of ASCII.
    Word(&'a str),
    /// Anything else but white space.
    Mark(char),
}

/// `AM` or `PM`, in whichever language.
#[derive(Debug, Clone, Copy)]
pub struct Half {
    /// Whether it is the second half.
    pub is_afternoon: bool,
    /// Whether it is written as in English: without full stops.
    pub is_english: bool,
}

/// What is not read yet.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a>(&'a str);

/// Lower case, without the accents of Spanish.
pub fn plain(text: &str) -> String {
    let letter = |letter| match letter {
        'á' | 'Á' => 'a',
        'é' | 'É' => 'e',
        'í' | 'Í' => 'i',
        'ó' | 'Ó' => 'o',
        'ú' | 'Ú' => 'u',
        'ñ' | 'Ñ' => 'n',
        '\u{a0}' | '\u{202f}' => ' ',
        other => other.to_ascii_lowercase(),
    };
    text.chars().map(letter).collect()
}

impl<'a> Tokens<'a> {
    pub const fn of(plain: &'a str) -> Self {
        Self(plain)
    }

    pub fn take(&mut self) -> Option<Token<'a>> {
        let text = self.0.trim_start();
        let first = text.chars().next()?;
        let run = |of: fn(&char) -> bool| {
            let end = text.find(|letter: char| !of(&letter)).unwrap_or(text.len());
            text.split_at_checked(end)
        };
        let (token, rest) = match first {
            '0'..='9' => {
                let (digits, rest) = run(char::is_ascii_digit)?;
                (Token::Digits(digits), rest)
            }
            'a'..='z' => {
                let (word, rest) = run(char::is_ascii_alphabetic)?;
                (Token::Word(word), rest)
            }
            mark => (Token::Mark(mark), text.get(mark.len_utf8()..)?),
        };
        self.0 = rest;
        Some(token)
    }

    pub fn peek(&self) -> Option<Token<'a>> {
        let mut ahead = *self;
        ahead.take()
    }

    pub fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    pub fn digits(&mut self) -> Option<&'a str> {
        match self.take()? {
            Token::Digits(digits) => Some(digits),
            _ => None,
        }
    }

    pub fn word(&mut self) -> Option<&'a str> {
        match self.take()? {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Goes past one of the marks, if it is there.
    pub fn skip(&mut self, marks: &[char]) {
        if matches!(self.peek(), Some(Token::Mark(mark)) if marks.contains(&mark)) {
            self.take();
        }
    }

    /// Goes past a word, if it is there.
    pub fn skip_word(&mut self, word: &str) {
        if self.peek() == Some(Token::Word(word)) {
            self.take();
        }
    }

    /// The mark between the parts of a date, if there is one.
    pub fn separator(&mut self) -> Option<char> {
        match self.peek() {
            Some(Token::Mark(mark @ ('/' | '-' | '.'))) => {
                self.take();
                Some(mark)
            }
            _ => None,
        }
    }

    /// A year of four digits.
    pub fn year(&mut self) -> Option<&'a str> {
        self.digits().filter(|digits| digits.len() == 4)
    }

    /// A year behind the separator that stood before the month.
    pub fn year_behind(&mut self, separator: Option<char>) -> Option<&'a str> {
        (self.separator() == separator).then_some(())?;
        self.year()
    }

    /// A month, as a word or a number.
    pub fn month(&mut self) -> Option<i8> {
        match self.take()? {
            Token::Digits(digits) => month_numbered(digits),
            Token::Word(word) => month_named(word),
            Token::Mark(_) => None,
        }
    }

    /// A day of one or two digits.
    pub fn day(&mut self) -> Option<i8> {
        number(self.digits().filter(|digits| digits.len() <= 2)?)
    }

    /// Goes past what makes a number an ordinal: `1st`, `1º`, `1ro.`
    pub fn ordinal(&mut self) {
        for word in ["st", "nd", "rd", "th", "ro", "ero", "er"] {
            self.skip_word(word);
        }
        self.skip(&['º', '°', 'ª']);
        if matches!(self.peek(), Some(Token::Mark(','))) {
            self.take();
        }
    }

    /// `AM`, `p.m.`, `a. m.`
    pub fn half_of_day(&mut self) -> Option<Half> {
        let mut ahead = *self;
        let half = match ahead.word()? {
            word @ ("am" | "pm") => Half {
                is_afternoon: word == "pm",
                is_english: true,
            },
            word @ ("a" | "p") => {
                ahead.skip(&['.']);
                (ahead.word()? == "m").then_some(())?;
                ahead.skip(&['.']);
                Half {
                    is_afternoon: word == "p",
                    is_english: false,
                }
            }
            _ => return None,
        };
        *self = ahead;
        Some(half)
    }

    /// Goes past a zone and says how far it is from UTC, where that is known.
    pub fn zone(&mut self, offset: &mut Option<Offset>) {
        if let Some(Token::Word(word)) = self.peek() {
            *offset = match word {
                "z" | "utc" | "gmt" => Some(Offset::UTC),
                "eat" => Some(Offset::constant(3)),
                // Letters that mean one zone here and another there.
                "cst" | "cdt" | "est" | "edt" | "mst" | "pst" | "pet" | "ect" => None,
                _ => return,
            };
            self.take();
        }
        if let Some(Token::Mark(sign @ ('+' | '-'))) = self.peek() {
            let mut ahead = *self;
            ahead.take();
            if let Some(distance) = ahead.distance() {
                let seconds = if sign == '-' { -distance } else { distance };
                *offset = Offset::from_seconds(seconds).ok();
                *self = ahead;
            }
        }
        // `(hora de Perú)`
        if self.peek() == Some(Token::Mark('(')) && self.0.trim_end().ends_with(')') {
            self.0 = "";
        }
    }

    /// `03:00`, `0300`, `03`, in seconds.
    fn distance(&mut self) -> Option<i32> {
        let digits = self.digits()?;
        let (hours, minutes) = match digits.len() {
            4 => digits.split_at_checked(2)?,
            1 | 2 if self.peek() == Some(Token::Mark(':')) => {
                self.take();
                (digits, self.digits()?)
            }
            1 | 2 => (digits, "0"),
            _ => return None,
        };
        let (hours, minutes) = (i32::from(number(hours)?), i32::from(number(minutes)?));
        (minutes < 60).then_some(hours * 3600 + minutes * 60)
    }
}
