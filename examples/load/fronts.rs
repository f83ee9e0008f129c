//! The providers of a run: the sandbox, and in front of it a fault proxy for each of them.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use identity_gateway::{domain::verification::Provider, sandbox};
use tokio::net::TcpListener;

use crate::{
    Failed, certificate,
    faults::Protocol,
    ledger::Ledger,
    proxy::{self, Proxy},
};

/// Settings of a gateway.
pub type Settings = Vec<(&'static str, String)>;

/// Starts them, with what each speaks; how a gateway reaches them.
pub async fn start(
    ledger: &Arc<Ledger>,
    directory: &Path,
    delay: Duration,
    protocol: impl Fn(Provider) -> Protocol,
) -> Result<Settings, Failed> {
    let behind = sandbox(delay).await?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .build()?;
    let tls = certificate::tls(directory)?;
    let mut settings = Settings::new();
    for provider in Provider::ALL {
        let (url, ca) = match provider {
            Provider::Verifik => (
                "PROVIDERS__VERIFIK__BASE_URL",
                "PROVIDERS__VERIFIK__CA_FILE",
            ),
            Provider::Youverify => (
                "PROVIDERS__YOUVERIFY__BASE_URL",
                "PROVIDERS__YOUVERIFY__CA_FILE",
            ),
            Provider::Accuauth => (
                "PROVIDERS__ACCUAUTH__BASE_URL",
                "PROVIDERS__ACCUAUTH__CA_FILE",
            ),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let tls = match protocol(provider) {
            Protocol::Http1 => None,
            Protocol::Http2 => Some(tls.clone()),
        };
        match tls {
            None => settings.push((url, format!("http://{at}"))),
            Some(_) => {
                settings.push((url, format!("https://{at}")));
                settings.push((ca, directory.join("ca.pem").display().to_string()));
            }
        }
        let proxy = Proxy {
            ledger: Arc::clone(ledger),
            provider,
            behind,
            client: client.clone(),
            tls,
        };
        tokio::spawn(proxy::serve(listener, proxy));
    }
    Ok(settings)
}

async fn sandbox(delay: Duration) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    let options = sandbox::Options {
        delay,
        ..sandbox::Options::default()
    };
    tokio::spawn(sandbox::serve(listener, options, std::future::pending()));
    Ok(at)
}
