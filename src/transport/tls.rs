//! TLS on the way to the providers: one configuration, and one set of the system's CAs, for all of them.
//!
//! The system's CAs are read once, and only if a provider is reached over TLS and names no CAs of its own. A
//! provider's own CAs are read again when their file changes; connections that are open stay, and sessions are
//! not resumed there: a resumed one would not be checked against the new CAs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use crate::reload::{self, Watch};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system has no CAs.
    #[error(
        "no system CA certificates found to verify the provider's certificate; install them, or set \
         SSL_CERT_FILE or the provider's ca_file"
    )]
    NoSystemCas,
    /// A file of CAs cannot be used.
    #[error("{0}: {1}")]
    File(&'static str, String),
}

/// The CAs of one provider's own.
#[derive(Debug, Clone, Copy)]
pub struct OwnCas<'a> {
    /// The configuration key.
    pub key: &'static str,
    /// The PEM file.
    pub file: &'a Path,
}

/// What the ways to the providers have in common.
#[derive(Debug, Default)]
pub struct ClientTls {
    system: Option<ClientConfig>,
    watches: Vec<Watch>,
}

impl ClientTls {
    /// For a way without TLS: no CA is trusted, and none is read.
    #[must_use]
    pub fn none() -> ClientConfig {
        with_alpn(
            ClientConfig::builder()
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
        )
    }

    /// With the system's CAs.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn system(&mut self) -> Result<ClientConfig, TlsError> {
        if let Some(config) = &self.system {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        // A CA that cannot be read is left out: systems are known to have some.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoSystemCas);
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.system.insert(with_alpn(config)).clone())
    }

    /// With CAs from a file, which is read again when it changes.
    ///
    /// # Errors
    ///
    /// If it cannot be used.
    pub fn own(&mut self, own: OwnCas<'_>) -> Result<ClientConfig, TlsError> {
        let wrong = |why| TlsError::File(own.key, why);
        let verifier = verifier(&reload::read(own.file).map_err(wrong)?).map_err(wrong)?;
        let current = Arc::new(Current(ArcSwap::new(verifier)));
        let swapped = Arc::clone(&current);
        let files: Vec<PathBuf> = vec![own.file.to_owned()];
        self.watches.push(Watch::new(own.key, files, move |files| {
            for file in files {
                swapped.0.store(self::verifier(file)?);
            }
            Ok(())
        }));
        let mut config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(current)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(with_alpn(config))
    }

    /// What reads the files again.
    #[must_use]
    pub fn into_watches(self) -> Vec<Watch> {
        self.watches
    }
}

fn with_alpn(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn verifier(pem: &[u8]) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "holds no certificates in PEM".to_owned())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("holds no certificates in PEM".to_owned());
    }
    let builder = WebPkiServerVerifier::builder(Arc::new(roots));
    builder.build().map_err(|error| error.to_string())
}

/// rustls' own verifier over the CAs that are in force now. It decides nothing itself.
#[derive(Debug)]
struct Current(ArcSwap<WebPkiServerVerifier>);

impl ServerCertVerifier for Current {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0
            .load()
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .load()
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .load()
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}
