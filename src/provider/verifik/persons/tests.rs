//! Paging over a provider that pages, and over one that does not.

use super::*;

fn people(ids: std::ops::Range<usize>) -> Vec<Person> {
    let person = |id| Person {
        id: format!("person_{id}"),
        ..Person::default()
    };
    ids.map(person).collect()
}

/// Walks the list to its end and returns the ids, page by page.
fn walk(page_size: u32, answer: impl Fn(u32) -> (Vec<Person>, Option<i32>)) -> Vec<Vec<String>> {
    let mut query = PageQuery {
        page: 1,
        page_size,
        view: View::Basic,
        first: None,
    };
    let mut walked = Vec::new();
    loop {
        let (persons, pages) = answer(query.page);
        let found = page(persons, &query, pages);
        walked.push(found.persons.into_iter().map(|person| person.id).collect());
        let Some(token) = found.next else {
            return walked;
        };
        let token = PageToken::decode(&token.encode()).unwrap();
        query.page = token.page;
        query.first = Some(token.first);
        assert!(walked.len() < 20, "the list never ends");
    }
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    people(range).into_iter().map(|person| person.id).collect()
}

#[test]
fn every_record_comes_once_whether_the_provider_pages_or_not() {
    for total in [0, 1, 2, 3, 4, 6, 7] {
        let paging = |page: u32| {
            let start = (page as usize - 1) * 3;
            (people(start.min(total)..(start + 3).min(total)), None)
        };
        let everything = |_| (people(0..total), None);
        for (kind, walked) in [
            ("paging", walk(3, paging)),
            ("everything", walk(3, everything)),
        ] {
            let flat: Vec<String> = walked.iter().flatten().cloned().collect();
            assert_eq!(flat, ids(0..total), "{kind} {total}");
            assert!(walked.iter().all(|page| page.len() <= 3), "{kind} {total}");
        }
    }
}

#[test]
fn the_providers_own_count_of_pages_is_believed() {
    // It caps pages at two records and says so.
    let capped = |page: u32| {
        let start = (page as usize - 1) * 2;
        (people(start..(start + 2).min(5)), Some(3))
    };
    assert_eq!(walk(3, capped), [ids(0..2), ids(2..4), ids(4..5)]);
    // A full last page does not cost one more call.
    assert_eq!(walk(3, |_| (people(0..3), Some(1))), [ids(0..3)]);
}
