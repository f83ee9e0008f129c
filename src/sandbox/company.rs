//! The companies that the sandbox plays: each is a folder, and a line of [`company`].

use super::fixtures::{Fixtures, Lookup};
use super::reply::{Received, Reply};
use super::table::Rows;
use super::{accuauth, verifik, youverify};
use crate::domain::verification::Provider;

/// What the sandbox knows of a company.
pub(super) struct Company {
    /// Its name as people write it.
    pub title: &'static str,
    /// How its paths begin.
    pub prefixes: &'static [&'static str],
    /// The headers with the credentials that it takes.
    pub credentials: fn() -> String,
    /// The lookups that fixtures can be about.
    pub lookups: &'static [Lookup],
    /// Answers a request to one of its paths.
    pub answer: fn(&Received, &Memory) -> Reply,
    /// Adds the rows of the table.
    pub rows: fn(&mut Rows),
}

/// What lasts from one request to the next.
#[derive(Default)]
pub(super) struct Memory {
    pub persons: verifik::PersonStore,
    pub fixtures: Fixtures,
}

/// The sandbox's part of a provider.
pub(super) const fn company(provider: Provider) -> Company {
    match provider {
        Provider::Verifik => verifik::COMPANY,
        Provider::Youverify => youverify::COMPANY,
        Provider::Accuauth => accuauth::COMPANY,
    }
}

/// Whose path it is. Of two prefixes that fit, the longer one decides: `/v2/api/` is a company's of its own.
pub(super) fn owner(path: &str) -> Option<Provider> {
    let fitting = |provider: &Provider| {
        let prefixes = company(*provider).prefixes.iter();
        let fitting = prefixes.filter(|prefix| path.starts_with(**prefix));
        fitting.map(|prefix| prefix.len()).max()
    };
    let owners = Provider::ALL.into_iter();
    owners
        .filter(|provider| fitting(provider).is_some())
        .max_by_key(fitting)
}

/// What a request needs to be let in, a line for each company.
pub fn credentials() -> impl Iterator<Item = String> {
    Provider::ALL.into_iter().map(|provider| {
        let Company {
            title, credentials, ..
        } = company(provider);
        format!("{title:<10} {}", credentials())
    })
}
