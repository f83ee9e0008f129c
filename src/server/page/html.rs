//! Markup that cannot be broken by what stands in it: literals of the program are markup, every value is text.

use std::fmt::{self, Display, Write as _};

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    /// Adds markup of the program's own.
    pub fn markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Adds a value, in a text or between the quotation marks of an attribute.
    pub fn text(&mut self, value: impl Display) {
        // Writing to a String cannot fail, and a value that cannot be displayed is shown as far as it can be.
        let _written = write!(Escaped(&mut self.0), "{value}");
    }

    /// Adds what was written apart.
    pub fn append(&mut self, part: Self) {
        self.0.push_str(&part.0);
    }

    /// The page.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Nor may a name turn the page's text around, or hide in it.
                hidden if hidden.is_control() || is_format(hidden) => {
                    self.0.push(char::REPLACEMENT_CHARACTER);
                }
                plain => self.0.push(plain),
            }
        }
        Ok(())
    }
}

/// Marks of direction and joiners, which show nothing of themselves.
const fn is_format(letter: char) -> bool {
    matches!(letter, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Adds to a page: literals as markup, values in brackets as text.
macro_rules! put {
    (@part $page:expr, ($value:expr)) => { $page.text(&$value) };
    (@part $page:expr, $markup:literal) => { $page.markup($markup) };
    ($page:expr; $($part:tt)*) => {{ $( put!(@part $page, $part); )* }};
}
pub(super) use put;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_text_wherever_it_stands() {
        let hostile = "<script>alert('x')</script>\"&\u{202e}\0";
        let mut page = Html::default();
        put!(page; "<p title=\"" (hostile) "\">" (hostile) "</p>");
        let text = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}\u{fffd}";
        assert_eq!(
            page.into_string(),
            format!("<p title=\"{text}\">{text}</p>")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_value_has_a_letter_that_markup_is_made_of(value in "\\PC{0,100}") {
            let mut page = Html::default();
            page.text(&value);
            let page = page.into_string();
            proptest::prop_assert!(!page.contains(['<', '>', '"', '\'']));
        }
    }
}
