//! A provider of CURPs whose certified PDF is as large as it is told.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Failed;

/// The provider.
pub struct Documents {
    /// Where it is.
    pub url: String,
    bytes: Arc<AtomicU64>,
}

impl Documents {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self, Failed> {
        let bytes = Arc::new(AtomicU64::new(0));
        let size = Arc::clone(&bytes);
        let answer = move |Json(asked): Json<Value>| async move {
            let size = usize::try_from(size.load(Ordering::Relaxed)).unwrap_or_default();
            let document = "JVBERi0x".repeat(size / 8);
            Json(json!({
                "status": "OK",
                "request_id": "TID1",
                "result_code": "0",
                "result": {
                    "curp": asked.get("id_number"),
                    "nombre": "INES",
                    "estatusCurp": "AN",
                    "documento": document,
                },
            }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/verify/id_check", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, bytes })
    }

    /// From now on an answer has about so many bytes.
    pub fn are(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}
