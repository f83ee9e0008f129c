//! CAs and certificates made for a test, and the directory that a gateway reads them from.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// A name that all certificates of servers have.
pub const NAME: &str = "gateway.test";

/// Makes the one provider of cryptography known, as the program does.
pub fn crypto() {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A certificate authority.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub serial: u64,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

impl Ca {
    pub fn new(name: &str) -> Self {
        crypto();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names or addresses.
    pub fn issue(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(&CertificateParams::new(names).unwrap())
    }

    /// A certificate with a SPIFFE id.
    pub fn workload(&self, uri: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
        self.sign(&params)
    }

    /// A certificate that ends so soon, in whole seconds.
    pub fn brief(&self, name: &str, lasts: Duration) -> (Pair, SystemTime) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let ends = Duration::from_secs((now + lasts).as_secs());
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + ends;
        // Its last second is good.
        let end = UNIX_EPOCH + ends + Duration::from_secs(1);
        (self.sign(&params), end)
    }

    /// A list that revokes these, good until that year.
    pub fn crl(&self, revoked: &[&Pair], until: i32) -> String {
        let revoked = revoked.iter().map(|pair| RevokedCertParams {
            serial_number: SerialNumber::from(pair.serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mut params = params.clone();
        params.serial_number = Some(SerialNumber::from(serial));
        Pair {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
            serial,
        }
    }
}

impl Pair {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// A client that believes these CAs and shows this certificate.
pub fn client(cas: &[&Ca], own: Option<&Pair>) -> ClientConfig {
    client_of(cas, own, rustls::ALL_VERSIONS, &[b"h2"])
}

pub fn client_of(
    cas: &[&Ca],
    own: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> ClientConfig {
    crypto();
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.0.der().clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_protocol_versions(versions);
    let builder = builder.with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(vec![own.der()], own.private_key())
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// A directory like that of a Kubernetes secret: what is read are links to a link that is swapped.
#[derive(Clone)]
pub struct Mounted {
    root: Arc<tempfile::TempDir>,
    version: Arc<AtomicU32>,
}

impl Mounted {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let mounted = Self {
            root: Arc::new(tempfile::tempdir().unwrap()),
            version: Arc::default(),
        };
        for (name, _) in files {
            let link = mounted.path(name);
            symlink(PathBuf::from("..data").join(name), link).unwrap();
        }
        mounted.swap(files);
        mounted
    }

    /// All files at once, as the kubelet does it.
    pub fn swap(&self, files: &[(&str, &str)]) {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let directory = format!("..v{version}");
        let root = self.root.path();
        fs::create_dir(root.join(&directory)).unwrap();
        for (name, text) in files {
            fs::write(root.join(&directory).join(name), text).unwrap();
        }
        symlink(&directory, root.join("..new")).unwrap();
        fs::rename(root.join("..new"), root.join("..data")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
