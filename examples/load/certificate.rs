//! The certificate of the providers' stand-ins, and TLS with it.

use std::{path::Path, sync::Arc};

use rcgen::CertifiedKey;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use crate::Failed;

/// HTTP/2, as ALPN says it.
pub const H2: &[u8] = b"h2";

/// TLS for 127.0.0.1 that offers HTTP/2 first, as providers do; the certificate is written to `ca.pem` in
/// the directory.
pub fn tls(directory: &Path) -> Result<TlsAcceptor, Failed> {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(directory.join("ca.pem"), cert.pem())?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let cryptography = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
