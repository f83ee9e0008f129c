//! What the admin port says of telemetry: `/metrics`, and `/log`, which shows the log's filter (GET) and
//! changes it for a while (PUT, the directives as the body).

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    log_filter::FilterError,
    logging,
    metrics::prometheus::{self, Format},
};

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/metrics", get(metrics)).route(
        "/log",
        get(shown)
            .put(change)
            .layer(middleware::from_fn(no_web_page)),
    )
}

async fn metrics(headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).into_iter();
    let format = Format::accepted(accept.filter_map(|value| value.to_str().ok()));
    std::future::ready(
        (
            [(header::CONTENT_TYPE, format.content_type())],
            prometheus::render(format),
        )
            .into_response(),
    )
    .await
}

async fn shown() -> Response {
    std::future::ready(match logging::changeable() {
        Some(filter) => format!("{}\n", filter.text()).into_response(),
        None => refused(FilterError::NotStarted),
    })
    .await
}

async fn change(ConnectInfo(peer): ConnectInfo<SocketAddr>, directives: String) -> Response {
    std::future::ready(match logging::changeable() {
        Some(filter) => match filter.change(&directives, peer) {
            Ok(()) => format!("{}\n", filter.text()).into_response(),
            Err(error) => refused(error),
        },
        None => refused(FilterError::NotStarted),
    })
    .await
}

fn refused(error: FilterError) -> Response {
    let status = match error {
        FilterError::NotAFilter | FilterError::NoLevel(_) => StatusCode::BAD_REQUEST,
        FilterError::NotStarted => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}

/// Lets a request pass that no web page has sent: a page of another site names its origin, and one whose name was
/// bound to this address calls it by that name.
async fn no_web_page(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if text(header::ORIGIN).is_some() || !text(header::HOST).is_some_and(is_own) {
        let why = "expected no Origin, and localhost or an IP address as Host\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

/// Whether a name of this host, with or without a port, is one that nobody else can bind to it.
fn is_own(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip());
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    address.is_ok()
        || inner.unwrap_or(host).parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_this_machine() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "[::1]",
            "[::1]:9464",
            "localhost",
            "LocalHost:9464",
        ] {
            assert!(is_own(own), "{own}");
        }
        for foreign in [
            "",
            "evil.test",
            "evil.test:9464",
            "127.0.0.1.evil.test",
            "localhost.evil.test:9464",
        ] {
            assert!(!is_own(foreign), "{foreign}");
        }
    }
}
