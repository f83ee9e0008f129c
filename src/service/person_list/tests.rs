//! Lists that change while they are walked, at providers of every kind.

use std::{cell::RefCell, collections::BTreeMap, future::ready};

use futures_util::FutureExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    provider::{Company as _, verifik::Verifik},
    transport::Answer,
};

/// A provider's list, and how it answers.
#[derive(Debug, Clone)]
struct Provider {
    records: Vec<u32>,
    is_newest_first: bool,
    /// The most records of a page, whatever it is asked for.
    cap: usize,
    paging: Paging,
    dialect: Dialect,
    says: Says,
}

/// How it writes a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// The page is given as it would be read: most walks are, for reading takes longest.
    Read,
    /// As the older document does: a bare list, which has no room for counts.
    Older,
    /// As newer pages do: `data` and `pagination`.
    Newer,
    /// As the library behind them does: `docs` in `data`, and the counts beside it.
    Docs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paging {
    /// It does as it is told.
    Pages,
    /// It answers with everything.
    IgnoresBoth,
    /// Beyond the end it gives the last page again.
    Clamps,
}

/// What it says of its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    Pages,
    Total,
    Both,
    /// Pages of the size that it was asked for, though it gives smaller ones, and the total.
    WrongPages,
}

impl Provider {
    /// A page as the adapter reads it, of what it asks for.
    fn page(&self, adapter: &Verifik, page: u32, limit: u32) -> Result<Page, Failure> {
        if self.dialect == Dialect::Read {
            let (ids, pages, total) = self.listed(page as usize, limit as usize);
            return Ok(Page {
                persons: ids.into_iter().map(person).collect(),
                pages: pages.map(|pages| u32::try_from(pages).unwrap()),
                total,
            });
        }
        let request = adapter.list_request(page, limit);
        let query: BTreeMap<_, _> = url::form_urlencoded::parse(request.query.as_bytes()).collect();
        let asked = |name| query[name].parse().unwrap();
        let (ids, pages, total) = self.listed(asked("page"), asked("limit"));
        let persons: Vec<Value> = ids.iter().map(|id| self.record(&id.to_string())).collect();
        let answer = Answer {
            status: 200,
            retry_after: None,
            body: self.written(&persons, pages, total).to_string().into(),
            is_sampled: false,
        };
        adapter.read_page(&answer, View::Basic)
    }

    /// The records of a page, and what is said of the number of pages and of records in all.
    fn listed(&self, page: usize, asked: usize) -> (Vec<u32>, Option<usize>, Option<usize>) {
        let total = self.records.len();
        let limit = match self.paging {
            Paging::IgnoresBoth => total.max(1),
            _ => asked.min(self.cap),
        };
        let pages = total.div_ceil(limit);
        let page = match self.paging {
            Paging::Pages => page,
            Paging::IgnoresBoth => 1,
            Paging::Clamps => page.min(pages.max(1)),
        };
        let mut ordered = self.records.clone();
        if self.is_newest_first {
            ordered.reverse();
        }
        let ids = ordered.into_iter().skip((page - 1) * limit).take(limit);
        let pages = match self.says {
            Says::Pages | Says::Both => Some(pages),
            Says::WrongPages => Some(total.div_ceil(asked)),
            _ => None,
        };
        let total = match self.says {
            Says::Total | Says::Both | Says::WrongPages => Some(total),
            _ => None,
        };
        (ids.collect(), pages, total)
    }

    fn record(&self, id: &str) -> Value {
        match self.dialect {
            Dialect::Read | Dialect::Older => json!({"id": id}),
            Dialect::Newer => json!({"_id": id}),
            Dialect::Docs => json!({"_id": {"$oid": id}}),
        }
    }

    fn written(&self, persons: &[Value], pages: Option<usize>, total: Option<usize>) -> Value {
        match self.dialect {
            Dialect::Read | Dialect::Older => json!(persons),
            Dialect::Newer if total == Some(0) => json!({"data": null, "pagination": {"total": 0}}),
            Dialect::Newer => {
                json!({"data": persons, "pagination": {"pages": pages, "total": total}})
            }
            Dialect::Docs => {
                json!({"data": {"docs": persons, "totalPages": pages, "totalDocs": total}})
            }
        }
    }
}

fn person(id: u32) -> Person {
    Person {
        id: id.to_string(),
        ..Person::default()
    }
}

/// What happens between two pages: so many new records, and those at these places (in thousandths) go.
#[derive(Debug, Clone)]
struct Change {
    new: u32,
    gone: Vec<usize>,
}

/// Walks the list; how often each record came, and the number of requests for each page.
fn walk(
    provider: Provider,
    page_size: u32,
    changes: &[Change],
) -> (BTreeMap<u32, u32>, Vec<u32>, Provider) {
    let provider = RefCell::new(provider);
    let adapter = Verifik::new(&Default::default());
    let requests = RefCell::new(0);
    let mut query = Query {
        page_size,
        view: View::Basic,
        from: None,
    };
    let (mut came, mut counts) = (BTreeMap::new(), Vec::new());
    for call in 0..2000 {
        requests.replace(0);
        let fetch = |page| {
            *requests.borrow_mut() += 1;
            ready(provider.borrow().page(&adapter, page, page_size))
        };
        let given = page(&query, fetch).now_or_never().unwrap().unwrap();
        counts.push(*requests.borrow());
        assert!(given.persons.len() <= page_size as usize);
        for person in given.persons {
            *came.entry(person.id.parse().unwrap()).or_default() += 1;
        }
        let Some(token) = given.next else {
            return (came, counts, provider.into_inner());
        };
        let bytes = token.encode();
        query.from = PageToken::decode(&bytes);
        assert_eq!(query.from, Some(token));
        if let Some(change) = changes.get(call) {
            let mut provider = provider.borrow_mut();
            for place in &change.gone {
                let place = place * provider.records.len() / 1000;
                if place < provider.records.len() {
                    provider.records.remove(place);
                }
            }
            let next = provider
                .records
                .iter()
                .max()
                .map_or(0, |newest| newest + 1)
                .max(100_000);
            provider.records.extend(next..next + change.new);
        }
    }
    panic!("the list does not end");
}

fn providers(caps: std::ops::Range<usize>) -> impl Strategy<Value = Provider> {
    let paging = prop_oneof![
        Just(Paging::Pages),
        Just(Paging::IgnoresBoth),
        Just(Paging::Clamps)
    ];
    let says = prop_oneof![
        Just(Says::Nothing),
        Just(Says::Pages),
        Just(Says::Total),
        Just(Says::Both),
        Just(Says::WrongPages)
    ];
    let dialect = prop_oneof![
        60 => Just(Dialect::Read),
        1 => Just(Dialect::Older),
        1 => Just(Dialect::Newer),
        1 => Just(Dialect::Docs)
    ];
    (0u32..120, any::<bool>(), caps, paging, dialect, says).prop_map(
        |(count, is_newest_first, cap, paging, dialect, says)| Provider {
            records: (0..count).collect(),
            is_newest_first,
            cap,
            paging,
            dialect,
            says,
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0u32..60, prop::collection::vec(0usize..1000, 0..6));
    prop::collection::vec(change.prop_map(|(new, gone)| Change { new, gone }), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_there_throughout_comes_exactly_once(
        provider in providers(5..40), page_size in 5u32..50, changes in changes(),
    ) {
        let before = provider.records.clone();
        let (came, _, after) = walk(provider, page_size, &changes);
        for id in before {
            let times = came.get(&id).copied().unwrap_or_default();
            if after.records.contains(&id) {
                prop_assert_eq!(times, 1, "record {}", id);
            } else {
                prop_assert!(times <= 1, "record {}", id);
            }
        }
        prop_assert!(came.values().all(|times| *times == 1));
    }

    #[test]
    fn a_list_that_does_not_change_costs_two_requests_a_page_at_most(
        provider in providers(1..40), page_size in 1u32..50,
    ) {
        let ids = provider.records.clone();
        let (came, counts, _) = walk(provider, page_size, &[]);
        prop_assert_eq!(came.into_keys().collect::<Vec<_>>(), ids);
        prop_assert!(counts.iter().all(|requests| *requests <= 2), "{:?}", counts);
        prop_assert_eq!(counts[0], 1);
    }
}

/// The two lists of the trial from outside.
#[test]
fn a_page_of_new_records_between_two_pages_and_a_cap_that_is_not_said_hide_nobody() {
    let provider = |count, is_newest_first, cap| Provider {
        records: (0..count).collect(),
        is_newest_first,
        cap,
        paging: Paging::Pages,
        dialect: Dialect::Older,
        says: Says::Nothing,
    };
    let change = Change {
        new: 50,
        gone: Vec::new(),
    };
    let (came, ..) = walk(provider(130, true, 50), 50, &[change]);
    assert!((0..130).all(|id| came.get(&id) == Some(&1)), "{came:?}");
    let (came, ..) = walk(provider(250, false, 100), 200, &[]);
    assert_eq!(came.len(), 250);
}

#[test]
fn a_list_of_which_nothing_is_left_that_was_given_is_begun_anew_by_the_caller() {
    let page_of = |range: std::ops::Range<u32>| Page {
        persons: range.map(person).collect(),
        ..Page::default()
    };
    let mut query = Query {
        page_size: 1000,
        view: View::Basic,
        from: None,
    };
    let first = page(&query, |_| ready(Ok(page_of(0..100))))
        .now_or_never()
        .unwrap()
        .unwrap();
    query.from = first.next;
    let other = |page: u32| ready(Ok(page_of(1000 + page * 10..1010 + page * 10)));
    let failed = page(&query, other).now_or_never().unwrap().err().unwrap();
    assert_eq!(failed.violations[0].field, "page_token");
}

#[test]
fn a_page_size_is_coerced_and_only_a_negative_one_is_wrong() {
    for (asked, size) in [
        (0, Ok(50)),
        (1, Ok(1)),
        (1000, Ok(1000)),
        (1001, Ok(1000)),
        (i32::MAX, Ok(1000)),
    ] {
        assert_eq!(page_size(asked), size);
    }
    assert!(page_size(-1).is_err() && page_size(i32::MIN).is_err());
}
