//! Providers to measure against: the sandbox, and one that takes less time than the sandbox.

use std::time::Duration;

use axum::{Router, http::header, routing::post};
use identity_gateway::sandbox;
use tokio::net::TcpListener;

use crate::Failed;

/// The sandbox.
pub async fn sandbox() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let options = sandbox::Options::default();
    tokio::spawn(sandbox::serve(listener, options, std::future::pending()));
    Ok(url)
}

/// One that has found somebody, whoever it is asked about, and takes so long. It gives the documents' samples, as
/// `just bench` and `just instructions` do.
pub async fn found(delay: Duration) -> Result<String, Failed> {
    let [kenya, peru, mexico] = [
        include_str!("../../samples/youverify/kenya_found.json"),
        include_str!("../../samples/verifik/foreigner_found.json"),
        include_str!("../../samples/accuauth/curp_found.json"),
    ]
    .map(|answer| serde_json::from_str::<serde_json::Value>(answer).map(|json| json.to_string()));
    let says = |answer: String| {
        move || async move {
            // A timer takes time also if there is nothing to wait for.
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            ([(header::CONTENT_TYPE, "application/json")], answer)
        }
    };
    let router = Router::new()
        .route("/v2/api/identity/ke/id-scrub", post(says(kenya?)))
        .route("/v2/pe/foreigner-id/ce", axum::routing::get(says(peru?)))
        .route("/verify/id_check", post(says(mexico?)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
