//! What is taken and what is refused of certificates, keys and client CAs.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::*;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, valid between these years.
    fn issue(&self, from: i32, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// What is said of these texts.
fn said(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<SystemTime, String> {
    let pem = Pem {
        certificate: certificate.as_bytes(),
        key: key.as_bytes(),
        client_ca: client_ca.map(str::as_bytes),
    };
    // rustls asks for the provider of cryptography of the process.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let loaded = load(&pem, ClientAuth::Required, SystemTime::now());
    loaded
        .map(|loaded| loaded.expires)
        .map_err(|error| error.to_string())
}

#[test]
fn a_chain_with_its_key_is_taken_and_says_when_it_ends() {
    let ca = Ca::new();
    let (certificate, key) = ca.issue(2020, 2100);
    let ends = UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    assert_eq!(said(&certificate, &key, None), Ok(ends));
    assert_eq!(said(&certificate, &key, Some(&ca.pem())), Ok(ends));
    // One of the chain may end first.
    let (short, _) = ca.issue(2020, 2099);
    let chain = format!("{certificate}{short}");
    assert!(said(&chain, &key, None).unwrap() < ends);
}

#[test]
fn what_cannot_be_used_is_refused_without_a_word_of_its_content() {
    let ca = Ca::new();
    let (certificate, key) = ca.issue(2020, 2100);
    let (_, other_key) = ca.issue(2020, 2100);
    let (expired, expired_key) = ca.issue(2019, 2020);
    let (early, early_key) = ca.issue(2090, 2100);
    let half = &certificate[..certificate.len() / 2];
    for (certificate, key, client_ca, problem) in [
        (
            "",
            key.as_str(),
            None,
            "server.tls.cert_file: holds no certificate",
        ),
        (
            "canary",
            &key,
            None,
            "server.tls.cert_file: holds no certificate",
        ),
        (
            half,
            &key,
            None,
            "server.tls.cert_file: holds no certificate",
        ),
        (
            &key,
            &key,
            None,
            "server.tls.cert_file: holds no certificate",
        ),
        (
            &certificate,
            "",
            None,
            "server.tls.key_file: holds no private key",
        ),
        (
            &certificate,
            "canary",
            None,
            "server.tls.key_file: holds no private key",
        ),
        (
            &certificate,
            &certificate,
            None,
            "server.tls.key_file: holds no private key",
        ),
        (
            &certificate,
            &other_key,
            None,
            "server.tls: certificate and key cannot be used",
        ),
        (
            &expired,
            &expired_key,
            None,
            "server.tls.cert_file: the certificate has expired",
        ),
        (
            &early,
            &early_key,
            None,
            "server.tls.cert_file: the certificate is not valid yet",
        ),
        (
            &certificate,
            &key,
            Some(""),
            "server.tls.client_ca_file: holds no certificate",
        ),
        (
            &certificate,
            &key,
            Some("canary"),
            "server.tls.client_ca_file: holds no certificate",
        ),
    ] {
        let refused = said(certificate, key, client_ca).unwrap_err();
        assert!(
            refused.starts_with(problem),
            "{refused} instead of {problem}"
        );
        assert!(!refused.contains("canary"));
    }
}
