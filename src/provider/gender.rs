//! The registries' words for gender, in Spanish and English.
//!
//! A lone `M` is *mujer* to Mexico's registry, which has `H` for men, and *masculino* or *male* to those of Peru and
//! Kenya: whoever reads says which.

use crate::proto::identity::v1::Gender;

/// The gender that a word means, where a lone `M` means `lone_m`; unspecified if it is not known, or says two things.
pub fn read(word: &str, lone_m: Gender) -> Gender {
    let plain: String = word.chars().map(plain_letter).collect();
    let words: Vec<&str> = plain.split_ascii_whitespace().collect();
    // `M - MUJER`, `HOMBRE (H)`: the letter is explained by the word.
    let spelled: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| word.len() > 1)
        .collect();
    let said = match spelled.as_slice() {
        [] => words,
        _ => spelled,
    };
    match said.as_slice() {
        ["NO" | "NON", second] => non_binary(second),
        ["GENERO", "NO", third] => non_binary(third),
        [first, rest @ ..] if rest.iter().all(|word| word == first) => one(first, lone_m),
        _ => Gender::Unspecified,
    }
}

fn one(word: &str, lone_m: Gender) -> Gender {
    match word {
        "MUJER" | "FEMENINO" | "FEMENINA" | "FEMENIL" | "FEM" | "F" | "FEMALE" | "WOMAN"
        | "HEMBRA" => Gender::Female,
        "HOMBRE" | "MASCULINO" | "MASCULINA" | "MASC" | "H" | "MALE" | "MAN" | "VARON" => {
            Gender::Male
        }
        "X" | "NB" | "NOBINARIO" | "NOBINARIA" | "NOBINARIE" | "NOBINARIX" | "NONBINARY"
        | "ENBY" => Gender::NonBinary,
        "M" => lone_m,
        _ => Gender::Unspecified,
    }
}

fn non_binary(word: &str) -> Gender {
    match word {
        "BINARIO" | "BINARIA" | "BINARIE" | "BINARIX" | "BINARY" => Gender::NonBinary,
        _ => Gender::Unspecified,
    }
}

fn plain_letter(letter: char) -> char {
    match letter {
        'É' | 'é' => 'E',
        'Ó' | 'ó' => 'O',
        other if other.is_ascii_alphanumeric() => other.to_ascii_uppercase(),
        // What this does not know makes a word that it does not know.
        other if other.is_alphanumeric() => '?',
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_words_of_both_languages_are_known() {
        use Gender::{Female, Male, NonBinary, Unspecified};
        for (words, expected) in [
            (
                &[
                    "MUJER",
                    "mujer",
                    "Femenino",
                    "FEMENINA",
                    "F",
                    "f",
                    "FEM.",
                    "Female",
                    "M - MUJER",
                    "F (FEMENINO)",
                ][..],
                Female,
            ),
            (
                &[
                    "HOMBRE",
                    "H",
                    "Masculino",
                    "MASC",
                    "Male",
                    "VARÓN",
                    "varon",
                    "HOMBRE (H)",
                    "M (MASCULINO)",
                ],
                Male,
            ),
            (
                &[
                    "X",
                    "NO BINARIO",
                    "No binaria",
                    "NO BINARIE",
                    "no-binario",
                    "NB",
                    "Non-binary",
                    "nonbinary",
                    "NO_BINARIO",
                    "X (NO BINARIO)",
                    "Género no binario",
                ],
                NonBinary,
            ),
            (
                &[
                    "OTRO",
                    "",
                    " ",
                    "NO",
                    "NO MASCULINO",
                    "HOMBRE MUJER",
                    "H/M",
                    "M/F",
                    "男",
                    "MUJERé",
                    "0",
                ],
                Unspecified,
            ),
        ] {
            for word in words {
                for lone_m in [Female, Male] {
                    assert_eq!(read(word, lone_m), expected, "{word} {lone_m:?}");
                }
            }
        }
        assert_eq!(read("M", Female), Female);
        assert_eq!(read(" m ", Male), Male);
    }
}
