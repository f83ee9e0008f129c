//! What the tests that drive a gateway have in common: the program, the providers behind it, and who calls it.
//!
//! | module | what it is |
//! |---|---|
//! | `process` | the built program as a child process: its addresses, its log, what the system says of it |
//! | `gateway` | the same, and a client that is connected to it |
//! | `replica` | a gateway within the test's own process, over a scripted provider that counts |
//! | `client`, `logs` | a client without timers of its own; the program's log lines |
//! | `provider`, `wire` | a scripted provider over HTTP/1.1, down to its bytes; short words for its answers |
//! | `h2_provider`, `certs` | a scripted provider over HTTP/2 and TLS; CAs, certificates, mounted secrets |
//! | `companies` | what a gateway is told of every provider |
//! | `issuer` | an issuer of tokens with its key set |
//! | `redis_server` | a Redis of the test's own |
//! | `redis_cluster` | several: a cluster, and servers under Sentinel |
//! | `collector` | an OTLP collector |

pub mod certs;
pub mod client;
pub mod collector;
pub mod companies;
pub mod gateway;
pub mod h2_provider;
pub mod issuer;
pub mod logs;
pub mod process;
pub mod provider;
pub mod redis_cluster;
pub mod redis_server;
pub mod replica;
pub mod wire;

use std::time::Duration;

/// Waits until it is so.
pub async fn eventually_in(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.expect("it never came to that");
}

/// The same for what can be looked at without waiting.
pub async fn eventually(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.expect("it never came to that");
}
