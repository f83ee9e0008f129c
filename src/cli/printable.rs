//! What others wrote, so that it can be shown: a control character could steer the terminal, a mark of direction
//! could show a text as another one.

/// Whether a terminal obeys the character instead of showing it.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            // Marks, embeddings, overrides and isolates of direction; line and paragraph separators; what joins or
            // parts letters and shows nothing.
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// One line, with escapes as Rust writes them.
pub fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_obeyed(letter) {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    line
}

/// JSON text with escapes of its own, which say the same; its line breaks stay.
pub fn json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_obeyed(letter) && letter != '\n' {
            true => json.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => json.push(letter),
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str =
        "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}b\u{2066}c\u{200f}\u{2028}\u{61c}\u{feff}\r\u{7}é";

    #[test]
    fn nothing_steers_the_terminal_or_turns_the_text() {
        let shown = line(&format!("{NASTY}\n"));
        assert!(!shown.chars().any(is_obeyed), "{shown:?}");
        assert!(
            shown.contains('é') && shown.contains("\\u{202e}"),
            "{shown}"
        );
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({ "name": format!("{NASTY}\n"), "é": [NASTY] });
        let shown = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !shown
                .chars()
                .any(|letter| is_obeyed(letter) && letter != '\n'),
            "{shown:?}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
