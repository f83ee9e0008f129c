//! From the registries' Spanish words to ISO 3166-1 alpha-2, only where they are certain.
//!
//! A word that could mean two countries (`COREANA`, `DOMINICANA`, `CONGO`) is left out on purpose:
//! the raw word stands beside the code, and no code is better than a wrong one.

/// Code, country, then the words for its people, without accents.
const COUNTRIES: [(&str, &[&str]); 34] = [
    ("AR", &["ARGENTINA", "ARGENTINO"]),
    ("BO", &["BOLIVIA", "BOLIVIANA", "BOLIVIANO"]),
    ("BR", &["BRASIL", "BRASILENA", "BRASILENO"]),
    ("CA", &["CANADA", "CANADIENSE"]),
    ("CH", &["SUIZA", "SUIZO"]),
    ("CL", &["CHILE", "CHILENA", "CHILENO"]),
    ("CN", &["CHINA", "CHINO"]),
    ("CO", &["COLOMBIA", "COLOMBIANA", "COLOMBIANO"]),
    ("CR", &["COSTA RICA", "COSTARRICENSE"]),
    ("CU", &["CUBA", "CUBANA", "CUBANO"]),
    ("DE", &["ALEMANIA", "ALEMANA", "ALEMAN"]),
    ("DO", &["REPUBLICA DOMINICANA"]),
    ("EC", &["ECUADOR", "ECUATORIANA", "ECUATORIANO"]),
    ("ES", &["ESPANA", "ESPANOLA", "ESPANOL"]),
    ("FR", &["FRANCIA", "FRANCESA", "FRANCES"]),
    ("GB", &["REINO UNIDO", "BRITANICA", "BRITANICO"]),
    ("GT", &["GUATEMALA", "GUATEMALTECA", "GUATEMALTECO"]),
    ("HN", &["HONDURAS", "HONDURENA", "HONDURENO"]),
    ("HT", &["HAITI", "HAITIANA", "HAITIANO"]),
    ("IT", &["ITALIA", "ITALIANA", "ITALIANO"]),
    ("JP", &["JAPON", "JAPONESA", "JAPONES"]),
    ("KE", &["KENIA", "KENIANA", "KENIANO"]),
    ("MX", &["MEXICO", "MEXICANA", "MEXICANO"]),
    ("NI", &["NICARAGUA", "NICARAGUENSE"]),
    ("NL", &["PAISES BAJOS", "NEERLANDESA", "NEERLANDES"]),
    ("PA", &["PANAMA", "PANAMENA", "PANAMENO"]),
    ("PE", &["PERU", "PERUANA", "PERUANO"]),
    ("PT", &["PORTUGAL", "PORTUGUESA", "PORTUGUES"]),
    ("PY", &["PARAGUAY", "PARAGUAYA", "PARAGUAYO"]),
    ("RU", &["RUSIA", "RUSA", "RUSO"]),
    ("SV", &["EL SALVADOR", "SALVADORENA", "SALVADORENO"]),
    (
        "US",
        &[
            "ESTADOS UNIDOS",
            "ESTADOS UNIDOS DE AMERICA",
            "ESTADOUNIDENSE",
        ],
    ),
    ("UY", &["URUGUAY", "URUGUAYA", "URUGUAYO"]),
    ("VE", &["VENEZUELA", "VENEZOLANA", "VENEZOLANO"]),
];

/// The country that a registry's word means, if that is certain.
pub fn alpha2(word: &str) -> Option<String> {
    let plain: String = word.trim().chars().map(without_accent).collect();
    COUNTRIES
        .iter()
        .find(|(_, words)| words.contains(&plain.as_str()))
        .map(|(code, _)| (*code).to_owned())
}

fn without_accent(character: char) -> char {
    match character {
        'Á' | 'á' => 'A',
        'É' | 'é' => 'E',
        'Í' | 'í' => 'I',
        'Ó' | 'ó' => 'O',
        'Ú' | 'ú' | 'Ü' | 'ü' => 'U',
        'Ñ' | 'ñ' => 'N',
        other => other.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certain_words_have_a_code() {
        for (word, code) in [
            ("VENEZOLANA", Some("VE")),
            ("México", Some("MX")),
            (" española ", Some("ES")),
            ("BRASILEÑA", Some("BR")),
            ("COREANA", None),
            ("DOMINICANA", None),
            ("", None),
        ] {
            assert_eq!(alpha2(word).as_deref(), code, "{word}");
        }
    }

    #[test]
    fn no_word_means_two_countries() {
        let mut words: Vec<_> = COUNTRIES.iter().flat_map(|(_, words)| *words).collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }
}
