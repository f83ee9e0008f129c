//! How a client knows the gateway, and makes itself known.
//!
//! A gateway of the same configuration, as a probe in its pod asks one, is known by its certificate file: it must
//! show the very certificate that stands there. The name in it is that of a service, and not of the address that a
//! probe dials. While a new certificate lies there that the gateway has not read yet (`server.reload_interval`),
//! the two differ, and a probe fails.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

use crate::{
    config::{self, ClientAuth},
    files, reload,
};

/// How a gateway is reached.
#[derive(Clone)]
pub enum Security {
    /// In plain text.
    Plain,
    /// Over TLS.
    Tls {
        /// What checks the gateway's certificate, and shows one of its own.
        connector: TlsConnector,
        /// The name that the certificate must have; none for that of the address.
        name: Option<String>,
    },
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls { .. } => "Tls",
        })
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// A file cannot be read.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system has no CAs.
    #[error("no system CA certificates found; use --tls-ca")]
    NoSystemCas,
    /// Certificate and key cannot be used.
    #[error("the client certificate cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// Whom the client believes.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Certificates of the system's CAs.
    System,
    /// Certificates of the CAs in a file.
    Cas(PathBuf),
    /// The first certificate of a file, and no other.
    Only(PathBuf),
    /// Whoever answers: nothing is known of the server, and the caller is told so.
    Anybody,
}

/// TLS, as it was said.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Whom to believe.
    pub trust: Trust,
    /// The name that the certificate must have.
    pub name: Option<String>,
    /// Files with the certificate to show, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// TLS towards a gateway of this configuration, if it serves TLS. Where it asks for a certificate it is shown
    /// its own, which it takes if its CA and the clients' are the same.
    #[must_use]
    pub fn of_server(settings: &config::Tls) -> Option<Self> {
        let (certificate, key) = settings.cert_file.clone().zip(settings.key_file.clone())?;
        let own = (settings.client_auth != ClientAuth::Off).then(|| (certificate.clone(), key));
        Some(Self {
            trust: Trust::Only(certificate),
            name: None,
            own,
        })
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one cannot be used.
    pub fn load(self) -> Result<Security, SecurityError> {
        let builder = ClientConfig::builder();
        let builder = match self.trust {
            Trust::System => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(SecurityError::NoSystemCas);
                }
                builder.with_root_certificates(roots)
            }
            Trust::Cas(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&file)? {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots)
            }
            Trust::Only(file) => {
                let mut found = certificates(&file)?.into_iter();
                let only = found.next();
                let only = only.ok_or_else(|| no_certificate(&file))?;
                let verifier = Unnamed::new(Some(only), builder.crypto_provider());
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
            Trust::Anybody => {
                let verifier = Unnamed::new(None, builder.crypto_provider());
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
        };
        let mut config = match self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(&certificate)?;
                let pem = reload::read(&key).map_err(|why| unusable(&key, why))?;
                let key_in_pem = PrivateKeyDer::from_pem_slice(&pem)
                    .map_err(|_| unusable(&key, "holds no private key in PEM".to_owned()))?;
                builder.with_client_auth_cert(chain, key_in_pem)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Security::Tls {
            connector: TlsConnector::from(Arc::new(config)),
            name: self.name,
        })
    }
}

fn unusable(file: &Path, why: String) -> SecurityError {
    let file = file.to_owned();
    SecurityError::File { file, why }
}

fn no_certificate(file: &Path) -> SecurityError {
    unusable(file, "holds no certificate in PEM".to_owned())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let pem = reload::read(file).map_err(|why| unusable(file, why))?;
    files::certificates(&pem).ok_or_else(|| no_certificate(file))
}

/// Believes one certificate, or any, whatever its name; that its key is there, rustls' own functions check.
#[derive(Debug)]
struct Unnamed {
    only: Option<CertificateDer<'static>>,
    crypto: Arc<CryptoProvider>,
}

impl Unnamed {
    fn new(only: Option<CertificateDer<'static>>, crypto: &Arc<CryptoProvider>) -> Arc<Self> {
        let crypto = Arc::clone(crypto);
        Arc::new(Self { only, crypto })
    }
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.only.as_ref().is_none_or(|only| end_entity == only) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General(
            "the server presented a certificate other than the one in server.tls.cert_file"
                .to_owned(),
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto
            .signature_verification_algorithms
            .supported_schemes()
    }
}
