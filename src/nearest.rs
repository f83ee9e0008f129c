//! The known word that somebody meant by one that is not known.

/// Most letters in which the two may differ.
const NEAR: usize = 3;
/// Longest unknown word that is compared with the known ones, in bytes.
const COMPARED: usize = 200;

/// The nearest, if it is near.
pub fn nearest<T: AsRef<str> + Ord>(unknown: &str, known: impl Iterator<Item = T>) -> Option<T> {
    known
        .filter(|_| unknown.len() <= COMPARED)
        .map(|known| (strsim::damerau_levenshtein(unknown, known.as_ref()), known))
        .filter(|(distance, _)| *distance <= NEAR)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_it_is_near() {
        for (unknown, meant) in [
            ("listn", Some("listen")),
            ("listening", Some("listen")),
            ("lisp", Some("lisp ")),
            ("entirely else", None),
        ] {
            let known = ["lisp ", "listen", "tokens"].into_iter();
            assert_eq!(nearest(unknown, known), meant, "{unknown}");
        }
        assert_eq!(nearest(&"a".repeat(201), ["a"].into_iter()), None);
    }
}
