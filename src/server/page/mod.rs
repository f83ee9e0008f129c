//! The status page: what the process serves, how it does, and what somebody should look at. `GET /` of the admin port,
//! for browsers; `GET /runbook` is what to do about it.
//!
//! A typed snapshot ([`snapshot`]) is gathered from what the process knows anyway and rendered by a pure function:
//! names, words of closed sets, figures; nothing of a call, nobody's name. A page is made at most once a second, however
//! many read it. It loads nothing from elsewhere, and its policy lets the browser run no script but its own.
//!
//! ```text
//! reading ─► history ─┐
//! circuits, budgets, health, reloads ─► gather ─► snapshot ─► render ─► accounts, parts, tables, charts ─► html
//!                                         └► notices ─► runbook
//! ```

mod accounts;
mod charts;
mod durations;
mod gather;
mod history;
mod html;
mod notices;
mod parts;
mod reading;
mod render;
mod runbook;
mod set_up;
mod snapshot;
mod tables;
mod watched;
mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::sync::Mutex;

pub use self::gather::{Fixed, Sources};
use self::{gather::Gather, history::History};
#[cfg(test)]
use super::{health::HealthService, lifecycle::Lifecycle};
#[cfg(test)]
use crate::access::left::Left;

/// How old a page may be that is given to somebody else too.
const FRESH: Duration = Duration::from_secs(1);

/// What there is, for whoever asks without a browser.
const INDEX: &str = concat!(
    "identity-gateway ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /         the status page, for browsers (Accept: text/html)\n\
     /livez    200 while the process answers\n\
     /readyz   200 while it accepts calls, 503 once it shuts down\n\
     /metrics  metrics, in Prometheus' format or OpenMetrics\n\
     /log      the log's filter; PUT changes it for a while\n\
     /runbook  what to do about each alert\n"
);

/// The page, for everybody who reads it.
#[derive(Debug, Clone)]
pub struct Page(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gather: Arc<Gather>,
    newest: Mutex<Option<(Instant, Bytes)>>,
}

impl Page {
    /// A page whose history begins now.
    #[must_use]
    pub fn start(fixed: Fixed, sources: Sources) -> Self {
        let gather = Gather {
            fixed,
            sources,
            history: History::start(),
            started: Instant::now(),
        };
        Self(Arc::new(Shared {
            gather: Arc::new(gather),
            newest: Mutex::default(),
        }))
    }

    /// Of a gateway that has nothing.
    #[cfg(test)]
    pub fn of_nothing() -> Self {
        let lifecycle = Lifecycle::default();
        let fixed = Fixed {
            facts: Vec::new(),
            warnings: Vec::new(),
            rpcs: Vec::new(),
            accounts: Vec::new(),
            max_memory: None,
        };
        let sources = Sources {
            health: HealthService::new(lifecycle.clone(), Vec::new()),
            lifecycle,
            circuits: Vec::new(),
            left: Left::none(),
        };
        Self::start(fixed, sources)
    }

    /// Keeps the history, for ever.
    pub fn keep(&self) -> impl Future<Output = ()> + use<> {
        self.0.gather.history.clone().keep()
    }

    /// The page's routes.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new()
            .route("/", get(show_status))
            .route("/runbook", get(show_runbook))
            .with_state(self)
    }

    /// The page as it is now; those who come together get the same. None if it cannot be made. It is made to its end
    /// for who has gone, too: else those who come and go would have it made again and again.
    async fn now(&self) -> Option<Bytes> {
        let page = self.clone();
        tokio::spawn(async move { page.made().await }).await.ok()?
    }

    async fn made(&self) -> Option<Bytes> {
        let mut newest = self.0.newest.lock().await;
        if let Some((made, page)) = &*newest
            && made.elapsed() < FRESH
        {
            return Some(page.clone());
        }
        let gather = Arc::clone(&self.0.gather);
        // Off the runtime's threads, which calls need.
        let made = tokio::task::spawn_blocking(move || render::status(&gather.now()));
        let page = Bytes::from(made.await.ok()?);
        *newest = Some((Instant::now(), page.clone()));
        Some(page)
    }
}

async fn show_status(State(page): State<Page>, headers: HeaderMap) -> Response {
    if !wants_html(&headers) {
        return ([(header::VARY, "Accept")], INDEX).into_response();
    }
    match page.now().await {
        Some(page) => html(page),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn show_runbook() -> Response {
    std::future::ready(html(render::runbook().into())).await
}

/// Browsers name it; curl, probes and scrapers do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let mut ranges = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let refused = |part: &str| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        is_html && !parts.any(refused)
    })
}

fn html(page: Bytes) -> Response {
    let fixed = |text| HeaderValue::from_static(text);
    let headers: [(HeaderName, HeaderValue); 8] = [
        (header::CONTENT_TYPE, fixed("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, render::policy()),
        (header::CACHE_CONTROL, fixed("no-store")),
        (header::VARY, fixed("Accept")),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::X_FRAME_OPTIONS, fixed("DENY")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            fixed("same-origin"),
        ),
    ];
    (headers, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_that_come_together_get_one_page_and_a_later_one_gets_another() {
        let page = Page::of_nothing();
        let (one, other) = tokio::join!(page.now(), page.now());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.as_ptr(), other.as_ptr(), "made twice");
        if let Some((made, _)) = &mut *page.0.newest.lock().await {
            *made -= FRESH;
        }
        let later = page.now().await.unwrap();
        assert_ne!(later.as_ptr(), one.as_ptr(), "made once");
    }
}
