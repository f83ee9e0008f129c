//! Numbers as they are shown: percentiles, a small table, and where it is printed.

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::Duration,
};

/// Prints a line. With standard output closed there is nobody to tell.
pub fn say(line: &str) {
    let _told = writeln!(io::stdout(), "{line}");
}

/// The value below which so many of a hundred are; zero of none.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place.min(last)).copied().unwrap_or_default()
}

/// Milliseconds with one digit.
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Figures and assertions, in the order they were written.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, String, &'static str)>,
    broken: Vec<String>,
}

impl Table {
    /// A figure.
    pub fn figure(&mut self, name: &str, value: impl Display) {
        self.rows.push((name.to_owned(), value.to_string(), ""));
    }

    /// A figure that must hold.
    pub fn must(&mut self, name: &str, value: impl Display, holds: bool) {
        let mark = if holds { "ok" } else { "BROKEN" };
        self.rows.push((name.to_owned(), value.to_string(), mark));
        if !holds {
            self.broken.push(name.to_owned());
        }
    }

    /// Prints the table; an error names what is broken.
    pub fn end(self) -> Result<(), crate::Failed> {
        let names = self.rows.iter().map(|(name, ..)| name.len());
        let width = names.max().unwrap_or_default();
        for (name, value, mark) in &self.rows {
            say(&format!("  {name:<width$}  {value:<40} {mark}")
                .trim_end()
                .replace('\n', " "));
        }
        match self.broken.is_empty() {
            true => Ok(()),
            false => Err(self.broken.join("; ").into()),
        }
    }
}
