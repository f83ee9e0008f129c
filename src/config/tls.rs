//! What the keys of TLS must satisfy together.

use url::Url;

use super::settings::{ClientAuth, Settings};

/// The keys, and the problem.
pub(super) fn relations(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
    let tls = &settings.server.tls;
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => problem(
            "server.tls.key_file",
            "is missing: cert_file is set, and one is nothing without the other",
        ),
        (None, Some(_)) => problem(
            "server.tls.cert_file",
            "is missing: key_file is set, and one is nothing without the other",
        ),
        _ => {}
    }
    if tls.client_auth != ClientAuth::Off {
        if tls.client_ca_file.is_none() {
            problem(
                "server.tls.client_ca_file",
                "is missing: client_auth asks for certificates, and none could be checked",
            );
        }
        if tls.cert_file.is_none() && tls.key_file.is_none() {
            problem(
                "server.tls.client_auth",
                "asks for client certificates, and without cert_file there is no TLS to show them in",
            );
        }
    } else if tls.client_ca_file.is_some() {
        problem(
            "server.tls.client_auth",
            "is off, and client_ca_file is set: say whether certificates are optional or required",
        );
    }
    if tls.crl_file.is_some() && tls.client_auth == ClientAuth::Off {
        problem(
            "server.tls.crl_file",
            "is set, and client_auth is off: nobody is asked for a certificate that could be revoked",
        );
    }
    for (key, proxy) in settings.providers.proxies() {
        if proxy.is_some_and(|proxy| !is_proxy(proxy.expose())) {
            problem(
                key,
                "expected a URL such as http://proxy.internal:3128 or http://user:password@proxy.internal:3128",
            );
        }
    }
    problems
}

/// Whether it is the URL of an HTTP proxy.
fn is_proxy(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
