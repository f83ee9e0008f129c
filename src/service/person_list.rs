//! `ListPersons`: pages that hold each record once, over a provider that only counts pages.
//!
//! Records come and go while a list is walked, newest first or last, and move what is on a page. So each
//! page goes on behind the last record that was given, which is looked for where it was and then around
//! it. A provider may also give fewer records than it was asked for, on every page, or everything at once
//! whatever page it is asked for: a short page is no proof of the end, nor is one that begins like the
//! first. The end is an empty page, a page that is the one before again, or the provider's own count.

use super::person::Persons;
use crate::{
    audit::words::PURPOSE,
    call::Call,
    domain::{
        failure::{Failure, Kind},
        page_token::{Digest, NAMED, PageToken},
        person::View,
        violation::{Violation, Violations},
    },
    proto::person::v1::{ListPersonsRequest, ListPersonsResponse, Person},
    provider::verifik::person_list::Page,
    service::{person::seen, routes::Route},
    sharing::Handles,
};

const DEFAULT_PAGE_SIZE: u32 = 50;
const MAX_PAGE_SIZE: u32 = 1000;
/// Most pages that are looked at to find where a list goes on, to each side.
const SEARCHED: u32 = 16;
/// Most pages that are passed over for one that has something new.
const PASSED: u32 = 16;

impl Persons {
    pub(super) async fn list(
        &self,
        call: &Call,
        request: ListPersonsRequest,
    ) -> Result<ListPersonsResponse, Failure> {
        let handles = &self.gateway.handles;
        let query = query(call, &request, handles)?;
        call.begin(None, None);
        let Route {
            adapter, upstream, ..
        } = self.verifik(call)?;
        call.intend().await?;
        let fetch = |page| async move {
            let request = adapter.list_request(page, query.page_size);
            let read = |answer: &_| adapter.read_page(answer, query.view);
            match upstream
                .call(&call.progress, &self.list, &request, read)
                .await
            {
                // Some call a page behind the last one a record that is not there.
                Err(failure) if page > 1 && failure.kind == Kind::PersonNotFound => {
                    Ok(Page::default())
                }
                read => read,
            }
        };
        let given = page(&query, fetch).await?;
        let next = given.next.map(|token| handles.page_text(&token));
        Ok(ListPersonsResponse {
            persons: given.persons,
            next_page_token: next.unwrap_or_default(),
        })
    }
}

/// What is asked for.
#[derive(Debug)]
struct Query {
    page_size: u32,
    view: View,
    from: Option<PageToken>,
}

fn query(call: &Call, request: &ListPersonsRequest, handles: &Handles) -> Result<Query, Failure> {
    let mut bad = Violations::default();
    let size = bad.check("page_size", page_size(request.page_size));
    let view = bad.check("view", super::person::view(request.view));
    let view = view.map(|view| seen(call, view));
    let token = match request.page_token.as_str() {
        "" => Ok(None),
        text => handles
            .page(text)
            .map(Some)
            .ok_or("must be a next_page_token of this service"),
    };
    let token = bad.check("page_token", token);
    bad.check(PURPOSE, call.purpose());
    if let (Some(size), Some(view), Some(Some(token))) = (size, view, &token)
        && (token.page_size, token.view) != (size, view)
    {
        bad.add(
            "page_token",
            "must be used with the page_size and view of the call that returned it",
        );
    }
    match (size, view, token, bad.is_empty()) {
        (Some(page_size), Some(view), Some(from), true) => Ok(Query {
            page_size,
            view,
            from,
        }),
        _ => Err(Failure::invalid(bad.into_vec())),
    }
}

fn page_size(size: i32) -> Result<u32, &'static str> {
    match u32::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err("must not be negative"),
    }
}

/// What a caller gets.
struct Given {
    persons: Vec<Person>,
    next: Option<PageToken>,
}

/// A page of the provider's, with what there is to know of its records.
struct Seen {
    number: u32,
    page: Page,
    digests: Vec<Digest>,
    /// How many records the page before has, if that was looked at.
    before: Option<usize>,
    /// Where the records begin that were not given yet.
    start: usize,
}

impl Seen {
    fn new(number: u32, page: Page, given: &[Digest]) -> (Self, bool) {
        let persons = page.persons.iter();
        let digests: Vec<_> = persons
            .map(|person| PageToken::digest(&person.id))
            .collect();
        let place = |last: &Digest| digests.iter().position(|digest| digest == last);
        let last = given.iter().rev().find_map(place);
        let seen = Self {
            number,
            start: last.map_or(0, |last| last + 1),
            page,
            digests,
            before: None,
        };
        (seen, last.is_some())
    }

    /// The places of the records that were not given yet.
    fn fresh<'a>(&'a self, given: &'a [Digest]) -> impl Iterator<Item = usize> + 'a {
        let digests = self.digests.iter().enumerate().skip(self.start);
        let fresh = digests.filter(|(_, digest)| !given.contains(digest));
        fresh.map(|(place, _)| place)
    }

    /// Whether there is nothing behind this page, by what the provider says.
    fn is_last(&self) -> bool {
        let length = self.digests.len();
        let earlier = match self.number {
            1 => Some(0),
            number => self
                .before
                .zip(usize::try_from(number - 1).ok())
                .map(|(a, b)| a * b),
        };
        let counted = earlier.map(|earlier| earlier + length);
        let has_all = |total| counted.is_some_and(|counted| counted >= total);
        let all = self.page.total.map(has_all);
        match self.page.pages {
            _ if length == 0 => true,
            // Some count the pages of the size that was asked for, and give smaller ones.
            Some(pages) => self.number >= pages && all.unwrap_or(true),
            None => all.unwrap_or(false),
        }
    }
}

async fn page<F, A>(query: &Query, fetch: F) -> Result<Given, Failure>
where
    F: Fn(u32) -> A,
    A: Future<Output = Result<Page, Failure>>,
{
    let given: &[Digest] = query.from.as_ref().map_or(&[], |token| &token.last);
    let mut at = match &query.from {
        None => Seen::new(1, fetch(1).await?, given).0,
        Some(token) => find(token, &fetch).await?,
    };
    let mut passed = 0;
    let mut is_end = at.is_last();
    while at.fresh(given).next().is_none() && !is_end && passed < PASSED {
        passed += 1;
        let number = at.number.saturating_add(1);
        let (next, _) = Seen::new(number, fetch(number).await?, given);
        if next.digests == at.digests {
            is_end = true;
            break;
        }
        at = Seen {
            before: Some(at.digests.len()),
            ..next
        };
        is_end = at.is_last();
    }
    Ok(cut(query, at, given, is_end))
}

/// As many of the page's new records as were asked for, and where the list goes on.
fn cut(query: &Query, at: Seen, given: &[Digest], is_end: bool) -> Given {
    let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let mut fresh = at.fresh(given);
    let places: Vec<_> = fresh.by_ref().take(size).collect();
    let is_over = fresh.next().is_none() && is_end;
    drop(fresh);
    let mut last = given.to_vec();
    last.extend(places.iter().filter_map(|place| at.digests.get(*place)));
    let older = last.len().saturating_sub(NAMED);
    let mut place = 0..;
    let mut persons = at.page.persons;
    persons.retain(|_| {
        place
            .next()
            .is_some_and(|place| places.binary_search(&place).is_ok())
    });
    let before = query.from.as_ref().map_or(0, |token| token.given);
    let count = u32::try_from(persons.len()).unwrap_or(u32::MAX);
    let next = (!is_over).then(|| PageToken {
        page: at.number,
        page_size: query.page_size,
        view: query.view,
        given: before.saturating_add(count),
        last: last.split_off(older),
    });
    Given { persons, next }
}

/// The page that has the last of the records that were given.
async fn find<F, A>(token: &PageToken, fetch: &F) -> Result<Seen, Failure>
where
    F: Fn(u32) -> A,
    A: Future<Output = Result<Page, Failure>>,
{
    let look = async |number| Ok(Seen::new(number, fetch(number).await?, &token.last));
    let (seen, is_here) = look(token.page).await?;
    if is_here {
        return Ok(seen);
    }
    // New records push it to later pages, and those that go pull it to earlier ones.
    let mut left = token.page;
    let mut right = Some((token.page, seen.digests)).filter(|(_, digests)| !digests.is_empty());
    for _ in 0..SEARCHED {
        if let Some((number, digests)) = right.take() {
            let number = number.saturating_add(1);
            let (seen, is_here) = look(number).await?;
            if is_here {
                return Ok(seen);
            }
            let goes_on = !seen.digests.is_empty() && seen.digests != digests;
            right = goes_on.then_some((number, seen.digests));
        }
        if left > 1 {
            left -= 1;
            let (seen, is_here) = look(left).await?;
            if is_here {
                return Ok(seen);
            }
        } else if right.is_none() {
            break;
        }
    }
    let are_all_named = usize::try_from(token.given).is_ok_and(|given| given <= token.last.len());
    match are_all_named {
        // All that was given has gone: what is there is new.
        true => look(1).await.map(|(seen, _)| seen),
        false => Err(Failure::invalid(vec![Violation {
            field: "page_token",
            rule:
                "refers to a list that has changed too much since: start again without page_token"
                    .into(),
        }])),
    }
}

#[cfg(test)]
mod tests;
