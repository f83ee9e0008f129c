//! Which fields a provider's message blames.
//!
//! Validators name a field and then list what it may be: `"idType" must be one of [national-id,
//! passport]` is about `idType` and about no `id`. So a name counts as a whole word; where names stand in
//! quotation marks, those count; and a list of values only where nothing before it is a name.

use crate::domain::violation::Violation;

/// Where a list of values begins.
const LISTS: [&str; 4] = [" one of", "[", "(", "following values"];
const QUOTES: [char; 7] = ['"', '\'', '`', '“', '”', '‘', '’'];

/// The fields of the contract that the sentences blame, given the provider's name and ours of each.
#[must_use]
pub fn named_fields<'a>(
    sentences: impl IntoIterator<Item = &'a str>,
    names: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Vec<Violation> {
    let names: Vec<_> = names.into_iter().collect();
    let mut blamed = Vec::new();
    for part in sentences.into_iter().flat_map(parts) {
        let head = match LISTS.iter().filter_map(|list| part.find(list)).min() {
            Some(end) => part.split_at(end).0,
            None => part,
        };
        for text in [head, part] {
            let found = found_in(text, &names);
            if !found.is_empty() {
                blamed.extend(found);
                break;
            }
        }
    }
    names
        .into_iter()
        .filter(|(_, field)| blamed.contains(field))
        .map(|(_, field)| Violation {
            field,
            rule: "was refused by the provider".into(),
        })
        .collect()
}

/// Several messages may be joined into one.
fn parts(sentence: &str) -> impl Iterator<Item = &str> {
    sentence
        .split(['\n', ';'])
        .flat_map(|line| line.split(". "))
}

fn found_in(text: &str, names: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let quoted = text.split(QUOTES).skip(1).step_by(2);
    let quoted = found(quoted, names);
    if !quoted.is_empty() {
        return quoted;
    }
    let is_apart = |c: char| c.is_whitespace() || ",:=/()[]{}<>".contains(c) || QUOTES.contains(&c);
    found(text.split(is_apart), names)
}

/// The fields whose names are among the words, or stand in a path such as `metadata.id`: there the
/// first that is known.
fn found<'a>(
    words: impl Iterator<Item = &'a str>,
    names: &[(&'static str, &'static str)],
) -> Vec<&'static str> {
    let known = |word: &str| {
        let name = names.iter().find(|(theirs, _)| *theirs == word);
        name.map(|(_, ours)| *ours)
    };
    words
        .filter_map(|word| word.trim().split('.').find_map(known))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &str); 4] = [
        ("id", "id"),
        ("idType", "id_type"),
        ("isSubjectConsent", "subject_consent"),
        ("metadata", "metadata"),
    ];

    #[test]
    fn a_list_of_values_blames_no_field() {
        for (said, blamed) in [
            (
                &[r#""idType" must be one of [national-id, passport]"#][..],
                &["id_type"][..],
            ),
            (&[r#""idType" must be one of [id, passport]"#], &["id_type"]),
            (
                &["idType must be one of the following values: id, passport"],
                &["id_type"],
            ),
            (
                &["idType must be a valid enum value (id, passport)"],
                &["id_type"],
            ),
            (
                &[
                    "id must be longer than or equal to 7 characters",
                    "idType must be one of the following values: national-id, passport",
                ],
                &["id", "id_type"],
            ),
            (
                &[r#""id" is required. "idType" must be one of [national-id]"#],
                &["id", "id_type"],
            ),
            (&["id 1234567 is not valid"], &["id"]),
            (&["argument 'id': not found"], &["id"]),
            (&["'idType' of id 1234567 is odd"], &["id_type"]),
            (&["metadata.id must be a string"], &["metadata"]),
            (&["body.id must be a string"], &["id"]),
            (&["One of id, idType is required"], &["id", "id_type"]),
            (&["the national-id, the kid, an idTypes, ID"], &[]),
            (&["nothing of ours", ""], &[]),
            (&[], &[]),
        ] {
            let fields = named_fields(said.iter().copied(), NAMES);
            let fields: Vec<_> = fields.iter().map(|bad| bad.field).collect();
            assert_eq!(fields, blamed, "{said:?}");
        }
    }
}
