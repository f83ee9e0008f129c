//! How much an answer may become in memory: looked at before anything of it is read.
//!
//! Two bytes of JSON (`{}`) can become a person of hundreds. What a document holds is bounded by its commas and
//! brackets, which are quick to count; an answer with more of them than any honest one is not what the provider's
//! document describes. Commas within texts are counted too: there are not that many.

/// Answers that are no larger are not counted: they can become a few megabytes at most, for a moment.
const SMALL: usize = 64 * 1024;
/// Objects and lists, and commas, that any answer may have.
const MANY: usize = 20_000;
/// How many bytes a further object or list, or comma, must come with. A person that has nothing but an id and a
/// name has some 70 bytes; a number of a list that is printed in full has more than eight.
const PER_CONTAINER: usize = 64;
const PER_COMMA: usize = 8;

/// Whether the body has more elements than an answer of its length.
#[must_use]
pub fn is_dense(body: &[u8]) -> bool {
    if body.len() <= SMALL {
        return false;
    }
    // Plain loops: they take the same time however many there are.
    let containers = body
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'['))
        .count();
    let commas = body.iter().filter(|byte| **byte == b',').count();
    containers > MANY + body.len() / PER_CONTAINER || commas > MANY + body.len() / PER_COMMA
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn list_of(element: &str, bytes: usize) -> Vec<u8> {
        let elements = vec![element; bytes / (element.len() + 1)];
        format!("[{}]", elements.join(",")).into_bytes()
    }

    #[test]
    fn what_is_small_on_the_wire_and_huge_in_memory_is_dense() {
        for element in [
            "{}",
            "[]",
            "[[[[]]]]",
            "\"\"",
            "0",
            r#"{"a":0}"#,
            r#""a":0"#,
            "{      }",
        ] {
            assert!(is_dense(&list_of(element, 2 * MIB)), "{element}");
        }
    }

    #[test]
    fn what_providers_send_is_not() {
        let least = r#"{"_id":"65f0c0ffee0000000000a001","firstName":"A","lastName":"B"}"#;
        let image = format!(r#"{{"faceImage":"{}"}}"#, "A".repeat(MIB));
        for element in [least, &image, "0.123456789"] {
            assert!(!is_dense(&list_of(element, 2 * MIB)), "{element:.70}");
        }
        // As many elements as a small answer has, in a larger one.
        assert!(!is_dense(
            &[list_of("{}", 48 * 1024), vec![b' '; MIB]].concat()
        ));
        assert!(!is_dense(&list_of("{}", SMALL - 2)));
    }
}
