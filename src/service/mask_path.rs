//! Paths of field masks as callers write them: in `snake_case`, or in `lowerCamelCase`, as JSON has them and grpcurl
//! prints them; and what a caller is told of those that name nothing.
//!
//! A path is the caller's own text and may be anything, an identifier in the wrong field too. So it is repeated only
//! if it is letters alone and differs from a path of the contract by little; else it is named by its place.

use crate::nearest::nearest;

/// Most unknown paths that are named: a mask may have thousands.
const NAMED: usize = 3;
/// Longest path that is repeated, in bytes.
const REPEATED: usize = 64;
/// One letter in so many may differ in a path that is repeated.
const ALIKE: usize = 4;

/// The path as the contract writes it.
#[must_use]
pub fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The rule with the paths that break it, each by its place in the mask, and what was meant.
#[must_use]
pub fn unknown<'a>(
    rule: &str,
    paths: impl Iterator<Item = (usize, &'a str)>,
    known: &[String],
) -> String {
    let mut text = rule.to_owned();
    let mut paths = paths;
    for (before, (place, path)) in [":", ";", ";"].into_iter().zip(paths.by_ref().take(NAMED)) {
        let meant = meant(path, known);
        text.push_str(&format!("{before} paths[{place}]"));
        if meant.is_some_and(|meant| may_be_repeated(path, meant)) {
            text.push_str(&format!(" ({path})"));
        }
        text.push_str(" is unknown");
        if let Some(meant) = meant {
            text.push_str(&format!(", did you mean {meant}?"));
        }
    }
    let more = paths.count();
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// The known path of the same last name, as if the message around it was left out, or else the nearest.
fn meant<'a>(path: &str, known: &'a [String]) -> Option<&'a str> {
    let path: String = path.chars().take(REPEATED).collect();
    let path = snake_case(&path);
    let last = path.rsplit('.').next().unwrap_or_default();
    let same = known
        .iter()
        .find(|known| known.rsplit('.').next() == Some(last));
    let known = known.iter().map(String::as_str);
    same.map(String::as_str).or_else(|| nearest(&path, known))
}

fn may_be_repeated(path: &str, meant: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || b"_.".contains(&byte);
    // The length first: the distance of a path of megabytes takes a second.
    path.len() <= REPEATED
        && path.bytes().all(plain)
        && strsim::damerau_levenshtein(&snake_case(path), meant) * ALIKE <= meant.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(paths: &[&str]) -> String {
        let known = [
            "verification",
            "verification.outcome",
            "record",
            "record.curp",
        ];
        let known = known
            .into_iter()
            .chain(["record.given_name", "record.status"]);
        let known: Vec<_> = known.map(str::to_owned).collect();
        unknown(
            "must name fields",
            paths.iter().copied().enumerate(),
            &known,
        )
    }

    #[test]
    fn a_typing_error_is_named_and_what_was_meant_by_it() {
        for (path, expected) in [
            (
                "record.given_nme",
                "paths[0] (record.given_nme) is unknown, did you mean record.given_name?",
            ),
            (
                "record.givenNme",
                "paths[0] (record.givenNme) is unknown, did you mean record.given_name?",
            ),
            (
                "recordd",
                "paths[0] (recordd) is unknown, did you mean record?",
            ),
            (
                "given_name",
                "paths[0] is unknown, did you mean record.given_name?",
            ),
            ("status", "paths[0] is unknown, did you mean record.status?"),
            ("entirely.else", "paths[0] is unknown"),
            ("", "paths[0] is unknown"),
        ] {
            assert_eq!(told(&[path]), format!("must name fields: {expected}"));
        }
        // Its first letters are near a path of the contract, and its last are 8 MiB: it is not compared as a whole.
        let long = format!("{}.curp{}", "a".repeat(59), "x".repeat(8 << 20));
        let said = told(&[&long]);
        assert_eq!(
            said,
            "must name fields: paths[0] is unknown, did you mean record.curp?"
        );
        let many = told(&["a", "b", "c", "d", "e"]);
        assert!(
            many.contains("paths[2]") && many.ends_with("; and 2 more"),
            "{many}"
        );
    }

    /// Whatever a caller puts there by mistake: numbers, names, dates, texts of other scripts.
    #[test]
    fn what_is_no_typing_error_is_not_repeated() {
        for text in [
            "AAPR630321HDFLRC09",
            "record.AAPR630321HDFLRC09",
            "Ada Lovelace",
            "Lovelace",
            "recordo Ada",
            "ada@example.com",
            "record.curp1",
            "19630321",
            "record.given_name\u{e9}",
            "Ana",
        ] {
            assert!(!told(&[text]).contains(text), "{text}: {}", told(&[text]));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_told_within_bounds_and_repeated_only_as_letters(text in "\\PC{0,300}", many in 1_usize..200) {
            let paths = vec![text.as_str(); many];
            let told = told(&paths);
            proptest::prop_assert!(told.len() < 600, "{}", told.len());
            let is_plain = text.bytes().all(|b| b.is_ascii_alphabetic() || b"_. ".contains(&b));
            proptest::prop_assert!(is_plain || text.len() < 4 || !told.contains(&text));
        }
    }
}
