//! From the registries' words to ISO 3166-1 alpha-2, only where they are certain.
//!
//! A word that could mean two countries (`COREANA`, `DOMINICANA`, `CONGO`) is left out on purpose:
//! the raw word stands beside the code, and no code is better than a wrong one. The words are in
//! `countries.txt`.

use std::{collections::HashMap, sync::LazyLock};

/// Code and words of each country, separated by semicolons.
const TABLE: &str = include_str!("countries.txt");
/// Longer than every word of the table.
const LONGEST: usize = 120;
/// Words that registries put in or leave out as they please.
const SMALL_WORDS: [&str; 11] = [
    "DE", "DEL", "LA", "LAS", "EL", "LOS", "Y", "E", "OF", "THE", "AND",
];
/// The longest ending that tells a gender: the `ESA` of `FRANCES/ESA`.
const LONGEST_ENDING: usize = 3;

/// The code of every word, by its [`key`].
static COUNTRIES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    lines()
        .flat_map(|words| {
            let code = words.split(';').next().unwrap_or_default();
            words.split(';').map(move |word| (key(word), code))
        })
        .collect()
});

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

/// The country that a registry's word means, if that is certain.
pub fn alpha2(word: &str) -> Option<String> {
    if word.len() > LONGEST {
        return None;
    }
    whole(word)
        .or_else(|| said_twice(word))
        .map(ToOwned::to_owned)
}

fn whole(word: &str) -> Option<&'static str> {
    COUNTRIES.get(&key(word)).copied()
}

/// One country in two ways: `COLOMBIANO(A)`, `VENEZOLANO/VENEZOLANA`, `VE - VENEZUELA`. Two countries are none.
fn said_twice(word: &str) -> Option<&'static str> {
    let (first, second) = word.split_once(['(', '/', '-'])?;
    let code = whole(first)?;
    let (first, second) = (plain(first), plain(second));
    let (first, second) = (first.trim(), second.trim());
    // `NA` after `COLOMBIANO/` is an ending, though Namibia's code elsewhere.
    let is_ending = (1..=LONGEST_ENDING).contains(&second.len())
        && (0..=LONGEST_ENDING).any(|cut| {
            let stem = first
                .len()
                .checked_sub(cut)
                .and_then(|end| first.get(..end));
            stem.is_some_and(|stem| {
                let other = format!("{stem}{second}");
                stem.len() >= LONGEST_ENDING && other != first && whole(&other) == Some(code)
            })
        });
    (is_ending || whole(second) == Some(code)).then_some(code)
}

/// What is the same in every way to write a word: its own words in the order of the alphabet, without accents, marks
/// and small words, so that `BOLIVIA (ESTADO PLURINACIONAL DE)` is `Estado Plurinacional de Bolivia`.
fn key(word: &str) -> String {
    let plain = plain(word);
    let all = || plain.split_ascii_whitespace();
    let mut words: Vec<_> = all().filter(|word| !SMALL_WORDS.contains(word)).collect();
    if words.is_empty() {
        // `DE` alone is Germany.
        words.extend(all());
    }
    for word in &mut words {
        if *word == "REP" {
            *word = "REPUBLICA";
        }
    }
    words.sort_unstable();
    words.join(" ")
}

/// Upper case without accents; a space for every mark but those that stand within a word.
fn plain(word: &str) -> String {
    word.chars().filter_map(plain_letter).collect()
}

fn plain_letter(letter: char) -> Option<char> {
    Some(match letter {
        'Á' | 'á' | 'À' | 'à' | 'Â' | 'â' | 'Ã' | 'ã' | 'Å' | 'å' | 'Ä' | 'ä' | '@' => {
            'A'
        }
        'É' | 'é' | 'È' | 'è' | 'Ê' | 'ê' | 'Ë' | 'ë' => 'E',
        'Í' | 'í' | 'Ì' | 'ì' | 'Î' | 'î' | 'Ï' | 'ï' => 'I',
        'Ó' | 'ó' | 'Ò' | 'ò' | 'Ô' | 'ô' | 'Õ' | 'õ' | 'Ö' | 'ö' => 'O',
        'Ú' | 'ú' | 'Ù' | 'ù' | 'Û' | 'û' | 'Ü' | 'ü' => 'U',
        'Ñ' | 'ñ' => 'N',
        'Ç' | 'ç' => 'C',
        // `EE.UU.`, `D'IVOIRE`, and accents that stand for themselves.
        '.' | '\'' | '’' | '`' | '´' | '\u{300}'..='\u{36f}' => return None,
        other if other.is_ascii_alphanumeric() => other.to_ascii_uppercase(),
        _ => ' ',
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_certain_words_have_a_code() {
        for (word, code) in [
            ("VENEZOLANA", Some("VE")),
            ("México", Some("MX")),
            (" española ", Some("ES")),
            ("BRASILEÑA", Some("BR")),
            ("BRASILEN\u{303}A", Some("BR")),
            ("COLOMBIANO(A)", Some("CO")),
            ("COLOMBIANO (A)", Some("CO")),
            ("VENEZOLANO/A", Some("VE")),
            ("venezolano/na", Some("VE")),
            ("PERUANA(O)", Some("PE")),
            ("ALEMÁN/ANA", Some("DE")),
            ("FRANCÉS(ESA)", Some("FR")),
            ("ESPAÑOL(A)", Some("ES")),
            ("VENEZOLANO/VENEZOLANA", Some("VE")),
            ("VENEZOLAN@", Some("VE")),
            ("VE - VENEZUELA", Some("VE")),
            ("Perú (PE)", Some("PE")),
            ("ven", Some("VE")),
            ("DE", Some("DE")),
            ("LA", Some("LA")),
            ("AND", Some("AD")),
            ("EE.UU.", Some("US")),
            ("E.U.A.", Some("US")),
            ("EE. UU.", Some("US")),
            ("La India", Some("IN")),
            ("SALVADOR", Some("SV")),
            ("Rep. Dominicana", Some("DO")),
            ("COREA DEL SUR", Some("KR")),
            ("COREA, REPUBLICA DE", Some("KR")),
            ("COREA (SUR)", Some("KR")),
            ("REPÚBLICA BOLIVARIANA DE VENEZUELA", Some("VE")),
            ("VENEZUELA (REPÚBLICA BOLIVARIANA DE)", Some("VE")),
            ("Côte d’Ivoire", Some("CI")),
            ("NIGERINA", Some("NE")),
            ("NIGERIANA", Some("NG")),
            // They could be two.
            ("COREA", None),
            ("COREANA", None),
            ("DOMINICANA", None),
            ("CONGO", None),
            ("CONGOLEÑA", None),
            ("GUINEANA", None),
            ("SAN MARTIN", None),
            ("ISLAS VIRGENES", None),
            ("REPUBLICA DE CHINA", None),
            ("AMERICANA", None),
            // They are two.
            ("PERUANA/VENEZOLANA", None),
            ("PE/CO", None),
            ("PE/NO", None),
            ("MEXICANO/CO", None),
            ("APATRIDA", None),
            ("DESCONOCIDA", None),
            ("", None),
            ("()", None),
            ("Y", None),
        ] {
            assert_eq!(alpha2(word).as_deref(), code, "{word}");
        }
        assert_eq!(alpha2(&"PERU ".repeat(1000)), None);
    }

    #[test]
    fn no_word_means_two_countries() {
        let mut owners: HashMap<String, &str> = HashMap::new();
        for line in lines() {
            let code = line.split(';').next().unwrap();
            for word in line.split(';') {
                let owner = *owners.entry(key(word)).or_insert(code);
                assert_eq!(owner, code, "{word}");
            }
        }
    }

    #[test]
    fn every_country_of_the_standard_is_there_with_both_codes() {
        let mut codes: Vec<_> = lines()
            .map(|line| line.split(';').next().unwrap())
            .collect();
        assert_eq!(codes.len(), 249);
        codes.dedup();
        assert!(codes.is_sorted() && codes.len() == 249);
        for line in lines() {
            let lengths: Vec<_> = line.split(';').map(str::len).collect();
            assert_eq!(lengths[..2], [2, 3], "{line}");
            assert!(lengths.len() > 2, "{line}");
            assert!(lengths.iter().all(|length| *length < LONGEST), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_country_is_known_by_every_word_however_it_is_written(
            line in proptest::sample::select(lines().collect::<Vec<_>>()),
            word in any::<proptest::sample::Index>(),
            way in 0..5,
        ) {
            let words: Vec<_> = line.split(';').collect();
            let word = words[word.index(words.len())];
            let written = match way {
                0 => word.to_owned(),
                1 => word.to_lowercase(),
                2 => format!("  {word}. "),
                3 => word.replace('A', "Á").replace('O', "ó").replace('N', "Ñ"),
                _ => {
                    let mut parts: Vec<_> = word.split(' ').collect();
                    parts.reverse();
                    parts.join(", ")
                }
            };
            prop_assert_eq!(alpha2(&written), Some(words[0].to_owned()), "{}", written);
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,40}") {
            let _ = alpha2(&text);
        }
    }
}
