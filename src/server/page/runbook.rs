//! The runbook of this version, as a page of its own: what the status page links to is there even where nothing else
//! can be reached. Of Markdown it knows what docs/runbook.md uses: headings, paragraphs, lists, code.

use super::html::{Html, put};

const TEXT: &str = include_str!("../../../docs/runbook.md");

/// Its sections: each one's name, and the text below it.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let parts = TEXT.split("\n## ").skip(1);
    parts.filter_map(|part| part.split_once('\n'))
}

/// The place of a section in the page, as GitHub has it.
#[must_use]
pub fn anchor(section: &str) -> String {
    section.to_lowercase()
}

/// Adds the whole of it.
pub fn write(page: &mut Html) {
    put!(page; "<p>What to do about each alert, and about what the status page says. Paths below docs/ and deploy/ are those of \
        the repository.</p><nav aria-label=\"Sections\"><ul class=\"contents\">");
    for (name, _) in sections() {
        put!(page; "<li><a href=\"#" (anchor(name)) "\">" (name) "</a></li>");
    }
    put!(page; "</ul></nav>");
    for (name, text) in sections() {
        put!(page; "<section class=\"prose\"><h2 id=\"" (anchor(name)) "\">" (name) "</h2>");
        for block in text.trim().split("\n\n") {
            self::block(page, block);
        }
        put!(page; "</section>");
    }
}

fn block(page: &mut Html, block: &str) {
    let Some(items) = block.strip_prefix("- ") else {
        put!(page; "<p>");
        inline(page, block);
        put!(page; "</p>");
        return;
    };
    put!(page; "<ul>");
    for item in items.split("\n- ") {
        put!(page; "<li>");
        inline(page, item);
        put!(page; "</li>");
    }
    put!(page; "</ul>");
}

/// A text with code between backticks; links and emphasis stay as they are written.
fn inline(page: &mut Html, text: &str) {
    for (number, part) in text.split('`').enumerate() {
        match number % 2 {
            0 => page.text(part),
            _ => put!(page; "<code>" (part) "</code>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::notices, *};

    #[test]
    fn every_section_is_what_some_notice_leads_to_and_every_notice_leads_to_one() {
        let sections: BTreeSet<_> = sections().map(|(name, _)| name).collect();
        assert_eq!(notices::sections().collect::<BTreeSet<_>>(), sections);
    }

    #[test]
    fn the_runbook_is_read_to_its_end_and_leaves_no_markdown_behind() {
        let mut page = Html::default();
        write(&mut page);
        let page = page.into_string();
        assert!(page.contains("<h2 id=\"idgwbudgetexhausted\">IdgwBudgetExhausted</h2>"));
        assert!(page.contains("<code>charged_calls_per_day</code>"));
        let last = TEXT.trim().rsplit(' ').next().unwrap();
        assert!(page.contains(last), "{last}");
        assert!(!page.contains('`') && !page.contains("\n- ") && !page.contains("##"));
        assert_eq!(
            page.matches("<section").count(),
            page.matches("</section>").count()
        );
    }
}
