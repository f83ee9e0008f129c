//! The admin port: `/livez` and `/readyz` over HTTP, for probes; `/metrics` and `/log` beside them; and `/`, the status
//! page for browsers, which lists them all for everybody else.
//!
//! `/livez` says that the process answers at all; `/readyz` that it takes calls. Neither looks at the
//! providers: restarting the gateway, or taking it out of service, would not mend them.

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::{
    lifecycle::{Lifecycle, Phase},
    page::Page,
};
use crate::telemetry;

/// The admin port's routes.
pub fn routes(lifecycle: Lifecycle, page: Page) -> Router {
    Router::new()
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(ready))
        .merge(page.routes())
        .merge(telemetry::admin::routes())
        .fallback(|| {
            std::future::ready((StatusCode::NOT_FOUND, "not found; / lists what there is\n"))
        })
        .with_state(lifecycle)
}

async fn ready(State(lifecycle): State<Lifecycle>) -> (StatusCode, &'static str) {
    std::future::ready(match lifecycle.phase() {
        Phase::Serving => (StatusCode::OK, "ok\n"),
        Phase::LameDuck | Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n"),
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{HeaderMap, Method, Request, header},
    };
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    async fn ask(method: Method, path: &str, accept: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", "localhost");
        let request = request.header(header::ACCEPT, accept);
        let request = request.body(Body::empty()).unwrap();
        let routes = routes(Lifecycle::default(), Page::of_nothing());
        let (head, body) = routes.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (head.status, head.headers, body)
    }

    #[tokio::test]
    async fn who_is_no_browser_gets_a_list_of_what_is_there_and_nothing_else() {
        for accept in ["*/*", "", "text/plain", "text/html;q=0, text/plain"] {
            let (status, headers, page) = ask(Method::GET, "/", accept).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers[header::VARY], "Accept");
            let paths: Vec<_> = page
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
                .collect();
            let all = ["/", "/livez", "/readyz", "/metrics", "/log", "/runbook"];
            assert_eq!(paths, all, "{accept}");
            for path in paths {
                let (status, ..) = ask(Method::GET, path, accept).await;
                assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn a_browser_gets_the_status_page_that_may_load_nothing_from_elsewhere() {
        for accept in [BROWSER, "text/html", "Text/HTML; q=0.1, */*"] {
            let (status, headers, page) = ask(Method::GET, "/", accept).await;
            assert_eq!(status, StatusCode::OK);
            assert!(page.starts_with("<!doctype html>"), "{accept}: {page}");
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(headers[header::VARY], "Accept");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        }
    }

    #[tokio::test]
    async fn a_head_has_the_same_headers_and_no_body_and_what_is_not_there_says_where_to_look() {
        for accept in [BROWSER, "*/*"] {
            let (status, of_get, page) = ask(Method::GET, "/", accept).await;
            assert_eq!((status, page.is_empty()), (StatusCode::OK, false));
            let (status, of_head, nothing) = ask(Method::HEAD, "/", accept).await;
            assert_eq!((status, nothing.as_str()), (StatusCode::OK, ""));
            for name in [header::CONTENT_TYPE, header::VARY] {
                assert_eq!(of_get[&name], of_head[&name]);
            }
        }
        let (status, _, words) = ask(Method::GET, "/nothing/here", BROWSER).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(words, "not found; / lists what there is\n");
        let (status, headers, _) = ask(Method::POST, "/", BROWSER).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers[header::ALLOW], "GET,HEAD");
    }
}
