//! Where a key set is: behind a URL, behind the discovery document that names its URL, or in a file. Every failure is
//! said in words of its own.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::settings::{Issuer as Settings, Section};
use crate::{
    auth::{self, StartError},
    domain::redaction::Secret,
    reload::{self, Watch},
    setting::{DocumentUrl, secret},
    transport::{
        client::{Documents, FetchError},
        tls::{ClientTls, OwnCas},
    },
};

/// Largest key set and largest discovery document, in bytes.
const LARGEST: usize = 512 * 1024;

/// The place of one issuer's key set.
#[derive(Debug)]
pub(super) struct Place {
    /// The configuration key that names it.
    key: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File(Arc<PathBuf>),
    Remote(Box<Remote>),
}

#[derive(Debug)]
struct Remote {
    documents: Documents,
    url: Url,
    /// The issuer that a discovery document must be of; none if the URL is the key set's.
    discovery_of: Option<String>,
    /// The key and the file of the token that the gateway shows.
    token: Option<(String, Arc<PathBuf>)>,
    timeout: Duration,
}

/// OpenID Connect Discovery, section 3, and RFC 8414.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Place {
    /// The configured one. What is to be done when a CA file changes is added to `watches`.
    ///
    /// # Errors
    ///
    /// The setting that cannot be used.
    pub fn of(
        section: &Section,
        settings: &Settings,
        watches: &mut Vec<Watch>,
    ) -> Result<Self, StartError> {
        let (name, url, discovery_of) = match settings {
            Settings {
                jwks_file: Some(path),
                ..
            } => {
                return Ok(Self {
                    key: lasting(section.key("jwks_file")),
                    kind: Kind::File(Arc::new(path.clone())),
                });
            }
            Settings {
                discovery_url: Some(url),
                ..
            } => ("discovery_url", url, settings.issuer.clone()),
            Settings {
                jwks_url: Some(url),
                ..
            } => ("jwks_url", url, None),
            _ => return Err(StartError::of(section.key("jwks_url"), "is missing")),
        };
        let wrong = |name: &str, problem: String| StartError::of(section.key(name), problem);
        let mut tls = ClientTls::default();
        let config = match &settings.ca_file {
            Some(file) => {
                let key = lasting(section.key("ca_file"));
                let own = tls.own(OwnCas { key, file });
                own.map_err(|error| wrong("ca_file", error.to_string()))?
            }
            // With a proxy of https, or a key set that is elsewhere, too.
            None if url.get().scheme() == "https" || settings.proxy.is_some() => {
                let system = tls.system();
                system.map_err(|_| wrong(name, NO_CAS.to_owned()))?
            }
            None => ClientTls::none(),
        };
        watches.extend(tls.into_watches());
        let timeout = settings.jwks_timeout.get();
        let documents = Documents::over(config, settings.proxy.as_ref(), timeout)
            .map_err(|error| wrong("proxy", error.to_string()))?;
        let token = settings.token_file.clone();
        Ok(Self {
            key: lasting(section.key(name)),
            kind: Kind::Remote(Box::new(Remote {
                documents,
                url: url.get().clone(),
                discovery_of,
                token: token.map(|path| (section.key("token_file"), Arc::new(path))),
                timeout,
            })),
        })
    }

    /// The configuration key that names it.
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// Whether it is a file.
    pub const fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// Its text.
    ///
    /// # Errors
    ///
    /// Why there is none, without a word of it.
    pub async fn fetch(&self) -> Result<String, String> {
        match &self.kind {
            Kind::File(path) => {
                let path = Arc::clone(path);
                blocking(move || auth::text(&path)).await
            }
            Kind::Remote(remote) => {
                let fetched = timeout(remote.timeout, remote.fetch()).await;
                fetched.unwrap_or_else(|_elapsed| Err(FetchError::Timeout.to_string()))
            }
        }
    }
}

const NO_CAS: &str =
    "no system CA certificates found; install them, or set SSL_CERT_FILE or ca_file";

impl Remote {
    async fn fetch(&self) -> Result<String, String> {
        let bearer = self.bearer().await?;
        let text = self.text(&self.url, bearer.as_ref()).await?;
        let Some(issuer) = &self.discovery_of else {
            return Ok(text);
        };
        let jwks = self.named_by(&text, issuer)?;
        // The token is for the configured host, not for whom a document names.
        let bearer = bearer.filter(|_| jwks.origin() == self.url.origin());
        let fetched = self.text(&jwks, bearer.as_ref()).await;
        fetched.map_err(|why| format!("jwks_uri of the discovery document: {why}"))
    }

    /// The key set's URL, which a discovery document names.
    fn named_by(&self, text: &str, issuer: &str) -> Result<Url, String> {
        let document: Discovery = serde_json::from_str(text).map_err(
            |_| match serde_json::from_str::<serde_json::Value>(text) {
                Ok(json) if json.get("keys").is_some() => {
                    "is a key set (JWKS) and not a discovery document: name it in jwks_url instead"
                }
                _ => "is not a discovery document: expected JSON with issuer and jwks_uri",
            },
        )?;
        if document.issuer != issuer {
            return Err(
                "is another issuer's discovery document: its issuer is not the one configured"
                    .to_owned(),
            );
        }
        let jwks = document.jwks_uri.parse::<DocumentUrl>();
        let jwks = jwks.map_err(|why| format!("jwks_uri of the discovery document: {why}"))?;
        let jwks = jwks.get().clone();
        // Loopback may name loopback; nobody else may.
        if jwks.scheme() == "http" && self.url.scheme() != "http" {
            return Err("jwks_uri of the discovery document: must be https".to_owned());
        }
        Ok(jwks)
    }

    async fn text(&self, url: &Url, bearer: Option<&Secret>) -> Result<String, String> {
        let fetched = self.documents.fetch(url, bearer, LARGEST).await;
        String::from_utf8(fetched.map_err(|why| why.to_string())?)
            .map_err(|_| "is not UTF-8".to_owned())
    }

    /// The token that the gateway shows. Kubernetes writes a new one every hour.
    async fn bearer(&self) -> Result<Option<Secret>, String> {
        let Some((key, path)) = &self.token else {
            return Ok(None);
        };
        let path = Arc::clone(path);
        let read = blocking(move || secret::credential(&reload::read(&path)?)).await;
        read.map(Some).map_err(|why| format!("{key}: {why}"))
    }
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|_| Err("cannot be read".to_owned()))
}

/// The name of a key for the log and the metrics, which want one that lives as long as the process: there are as many as
/// issuers are configured.
fn lasting(key: String) -> &'static str {
    Box::leak(key.into_boxed_str())
}
