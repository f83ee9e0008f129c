//! The admin port: `/livez` and `/readyz` over HTTP, for probes; `/metrics` and `/log` beside them, and `/`, which lists
//! them all.
//!
//! `/livez` says that the process answers at all; `/readyz` that it takes calls. Neither looks at the
//! providers: restarting the gateway, or taking it out of service, would not mend them.

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::lifecycle::{Lifecycle, Phase};
use crate::telemetry;

/// What there is, for whoever opens the port in a browser.
const INDEX: &str = concat!(
    "identity-gateway ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /livez    200 while the process answers\n\
     /readyz   200 while it accepts calls, 503 once it shuts down\n\
     /metrics  metrics, in Prometheus' format or OpenMetrics\n\
     /log      the log's filter; PUT changes it for a while\n"
);

/// The admin port's routes.
pub fn routes(lifecycle: Lifecycle) -> Router {
    Router::new()
        .route("/", get(|| std::future::ready(INDEX)))
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(ready))
        .merge(telemetry::admin::routes())
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
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let answer = routes(Lifecycle::default()).oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_first_page_lists_what_is_there_and_nothing_else() {
        let (status, page) = get("/").await;
        assert_eq!(status, StatusCode::OK);
        let paths: Vec<_> = page
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .collect();
        assert_eq!(paths, ["/livez", "/readyz", "/metrics", "/log"]);
        for path in paths {
            assert_ne!(get(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(get("/nothing").await.0, StatusCode::NOT_FOUND);
    }
}
