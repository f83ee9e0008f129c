//! All that is wrong with a policy file, said at once: whoever mends it one line at a time reloads it as often.

use std::{collections::BTreeSet, fmt};

use super::{Document, FileError};

/// Most problems that are named.
const MOST: usize = 20;

/// What is wrong with a policy file, in the order of its lines, or of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<FileError>);

impl From<FileError> for Problems {
    fn from(one: FileError) -> Self {
        Self(vec![one])
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for problem in self.0.iter().take(MOST) {
            write!(f, "{before}{problem}")?;
            before = "; ";
        }
        match self.0.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// A document as far as it can be read.
pub(super) struct Read {
    /// None if nothing can be made of it.
    pub document: Option<Document>,
    pub problems: Vec<FileError>,
    /// The rules, counted from 0, of which a line was left out: what else is wrong with them may come from that.
    pub incomplete: BTreeSet<usize>,
}

/// Reads a document. A line that is not as it should be is noted and left out, so that the next one is found too.
pub(super) fn read(text: &str) -> Read {
    let mut text = text.to_owned();
    let (mut problems, mut incomplete) = (Vec::new(), BTreeSet::new());
    let document = loop {
        let error = match toml::from_str(&text) {
            Ok(document) => break Some(document),
            Err(error) => error,
        };
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let rules = before
            .lines()
            .filter(|line| line.trim_start().starts_with("[[allow]]"));
        let rules = rules.count();
        let is_missing = error.message().starts_with("missing field");
        // A key that is missing is missed at the head of its rule, and perhaps because its line was left out.
        if is_missing && incomplete.contains(&rules) {
            break None;
        }
        incomplete.insert(match is_missing {
            true => rules,
            false => rules.saturating_sub(1),
        });
        problems.push(FileError::Toml(line, error.message().to_owned()));
        match without_line(&text, start) {
            Some(rest) if problems.len() <= MOST => text = rest,
            _ => break None,
        }
    };
    Read {
        document,
        problems,
        incomplete,
    }
}

/// The text with an empty line in place of the one there; none if it is no line that stands for itself.
fn without_line(text: &str, at: usize) -> Option<String> {
    let (before, after) = text.split_at_checked(at)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let end = after.find('\n').map_or(text.len(), |end| at + end);
    let line = text.get(start..end)?;
    if line.trim_start().starts_with('[') || line.trim().is_empty() {
        return None;
    }
    let rest = [text.get(..start)?, text.get(end..)?].concat();
    // What is no TOML without it was none before, or the value goes on: guesses would help nobody.
    rest.parse::<toml::Table>().is_ok().then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::tests::refusal;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let said = refusal(
            "[[allow]]\nname = 'one'\nidentities = ['a']\nrpcs = ['identity.curp.chek']\n\
             classes = ['image']\nshare = 'a b'\n\
             [[allow]]\nname = 'two'\nidentities = ['a**', '']\nrpcs = ['*']\nbudget = 1\n\
             calls_per_minute = -1\n\
             [[allow]]\nname = 'three'\nrpcs = ['person.list']\n\
             [[allow]]\nname = 'one'\nidentities = ['b']\nrpcs = ['identity.curp.check']\n",
        );
        let mut rest = said.as_str();
        for problem in [
            "line 11: unknown field `budget`",
            "line 12: invalid value: integer `-1`",
            "rule one: classes: \"image\" is unknown",
            "rule one: rpcs: \"identity.curp.chek\" is unknown",
            "rule one: share: expected",
            "rule three: identities: is required",
            "rule three: persons: must be \"all\"",
            "rule one: name: is already used",
        ] {
            let at = rest.find(problem);
            assert!(at.is_some(), "{problem} is not in {said}");
            rest = &rest[at.unwrap()..];
        }
        // The rule with lines left out is not judged by what is left of it.
        assert!(!said.contains("rule two"), "{said}");
    }

    #[test]
    fn what_is_no_toml_is_one_problem_and_many_are_counted() {
        let broken = refusal("[[allow]]\nname = 'one\n");
        assert!(
            broken.starts_with("line 2: ") && !broken.contains("; line"),
            "{broken}"
        );
        let many = "[[allow]]\nname = 'a b'\nidentities = ['a']\nrpcs = ['identity.curp.check']\n"
            .repeat(50);
        let said = refusal(&many);
        assert!(said.ends_with("; and 79 more"), "{said}");
        let unknown: String = (0..40).map(|number| format!("a{number} = 1\n")).collect();
        let said = refusal(&format!("[[allow]]\n{unknown}"));
        assert!(said.contains("line 2: ") && said.len() < 20_000, "{said}");
    }
}
