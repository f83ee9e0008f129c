//! What is taken and what is refused of certificates, keys and client CAs.

use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::*;
use crate::auth::peer::ClientCertificate as _;

/// Of every certificate.
const SERIAL: u64 = 7;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A list that revokes these serial numbers, good until the year 2080.
    fn crl(&self, revoked: &[u64]) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2080, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }

    fn trust(&self, crl: Option<&str>) -> Trust {
        // rustls asks for the provider of cryptography of the process.
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = self.pem();
        let crl = crl.map(|crl| (crl.as_bytes(), Expired::Refused));
        Trust::read(ca.as_bytes(), crl, ClientAuth::Required, SystemTime::now()).unwrap()
    }

    /// Certificate and key, valid between these years.
    fn issue(&self, from: i32, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(SERIAL));
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
        crl: None,
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
            "server.tls.cert_file: contains no certificate",
        ),
        (
            "canary",
            &key,
            None,
            "server.tls.cert_file: contains no certificate",
        ),
        (
            half,
            &key,
            None,
            "server.tls.cert_file: contains no certificate",
        ),
        (
            &key,
            &key,
            None,
            "server.tls.cert_file: contains no certificate",
        ),
        (
            &certificate,
            "",
            None,
            "server.tls.key_file: contains no private key",
        ),
        (
            &certificate,
            "canary",
            None,
            "server.tls.key_file: contains no private key",
        ),
        (
            &certificate,
            &certificate,
            None,
            "server.tls.key_file: contains no private key",
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
            "server.tls.client_ca_file: contains no certificate",
        ),
        (
            &certificate,
            &key,
            Some("canary"),
            "server.tls.client_ca_file: contains no certificate",
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

fn chain(certificate: &str) -> Vec<CertificateDer<'static>> {
    certificates(CLIENT_CA_FILE, certificate.as_bytes()).unwrap()
}

/// A client's certificate that was good in its handshake, of a CA that was taken away since.
pub(in crate::server) fn refused() -> ClientCertificate {
    let (old, new) = (Ca::new(), Ca::new());
    let (sender, trust) = watch::channel(Arc::new(old.trust(None)));
    let own = ClientCertificate::new(&chain(&old.issue(2020, 2100).0), trust);
    assert!(own.is_good());
    sender.send_replace(Arc::new(new.trust(None)));
    own
}

#[test]
fn a_client_certificate_is_good_between_its_dates_under_its_ca_and_off_the_lists() {
    let (ca, other) = (Ca::new(), Ca::new());
    let (own, _) = ca.issue(2020, 2090);
    let year = |year: i32| std::time::SystemTime::from(date_time_ymd(year, 6, 1));
    for (what, trust, year_of, good) in [
        ("its CA", ca.trust(None), 2030, true),
        ("before it begins", ca.trust(None), 2019, false),
        ("after it has ended", ca.trust(None), 2090, false),
        ("another CA", other.trust(None), 2030, false),
        (
            "a list without it",
            ca.trust(Some(&ca.crl(&[8]))),
            2030,
            true,
        ),
        (
            "a list with it",
            ca.trust(Some(&ca.crl(&[8, SERIAL]))),
            2030,
            false,
        ),
        (
            "a list that has expired",
            ca.trust(Some(&ca.crl(&[]))),
            2085,
            false,
        ),
    ] {
        assert_eq!(trust.takes(&chain(&own), year(year_of)), good, "{what}");
    }
    assert!(!ca.trust(None).takes(&[], year(2030)));
}

#[tokio::test(start_paused = true)]
async fn a_client_certificate_that_is_refused_ends_what_waits_for_its_end() {
    let ca = Ca::new();
    let (sender, trust) = watch::channel(Arc::new(ca.trust(Some(&ca.crl(&[])))));
    let own = ClientCertificate::new(&chain(&ca.issue(2020, 2100).0), trust);
    let hour = Duration::from_secs(3600);
    let mut waits = std::pin::pin!(async { tokio::join!(own.about_to_end(), own.ended()) });
    assert!(tokio::time::timeout(hour, &mut waits).await.is_err());
    sender.send_replace(Arc::new(ca.trust(Some(&ca.crl(&[8])))));
    assert!(tokio::time::timeout(hour, &mut waits).await.is_err());
    sender.send_replace(Arc::new(ca.trust(Some(&ca.crl(&[SERIAL])))));
    assert!(tokio::time::timeout(hour, &mut waits).await.is_ok());
    assert!(!own.is_good());
}
