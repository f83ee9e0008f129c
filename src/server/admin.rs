//! The admin port: `/livez` and `/readyz` over HTTP, for probes; `/metrics` and `/log` beside them.
//!
//! `/livez` says that the process answers at all; `/readyz` that it takes calls. Neither looks at the
//! providers: restarting the gateway, or taking it out of service, would not mend them.

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::lifecycle::{Lifecycle, Phase};
use crate::telemetry;

/// The admin port's routes.
pub fn routes(lifecycle: Lifecycle) -> Router {
    Router::new()
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
