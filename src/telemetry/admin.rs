//! What the admin port says of telemetry: `/metrics`, and `/log`, which shows the log's filter (GET) and
//! changes it while the process runs (PUT, the directives as the body).

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    logging::{self, FilterError},
    metrics::prometheus::{self, Format},
};

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/log", get(shown).put(change))
}

async fn metrics(headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    std::future::ready(
        (
            [(header::CONTENT_TYPE, format.content_type())],
            prometheus::render(format),
        )
            .into_response(),
    )
    .await
}

async fn shown() -> String {
    std::future::ready(format!("{}\n", logging::filter().unwrap_or_default())).await
}

async fn change(directives: String) -> (StatusCode, String) {
    std::future::ready(match logging::set_filter(&directives) {
        Ok(()) => (
            StatusCode::OK,
            format!("{}\n", logging::filter().unwrap_or_default()),
        ),
        Err(error @ FilterError::NotAFilter) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
        Err(error @ FilterError::NotStarted) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
        }
    })
    .await
}
