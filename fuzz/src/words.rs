//! Whether a message repeats what it complains about.

/// A word that stands in no message, in no key and in no list of known words.
pub const MADE_UP: &str = "zqxjkvzqxjkv";

/// The message does not depend on the words of its input: if one of the input's words is replaced by
/// another, the other does not turn up in the message.
pub fn are_not_repeated(input: &str, say: impl Fn(&str) -> String) {
    let said = say(input);
    let words = said.split(|character: char| !character.is_ascii_alphanumeric());
    for word in words.filter(|word| word.len() >= 4 && input.contains(word)) {
        let said = say(&input.replace(word, MADE_UP));
        assert!(!said.contains(MADE_UP), "a message repeats its input");
    }
}
