//! What a connection to Redis is made of: the settings, with what their files hold now.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, TlsCertificates,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use url::Url;

use crate::{
    domain::redaction::Secret,
    reload,
    sha256::Sha256,
    sharing::settings::{Mode, Settings},
};

/// The ways in which Redis and Valkey are written in a URL.
const SCHEMES: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];
/// Where Sentinel listens if the URL does not say.
const SENTINEL_PORT: u16 = 26379;
/// What is wrong with a setting: its key, and the problem.
pub(in crate::sharing) type Problem = (&'static str, String);

/// Everything that a connection is made of.
pub(in crate::sharing) struct Parts {
    pub(super) mode: Mode,
    pub(super) nodes: Vec<ConnectionInfo>,
    /// For the servers.
    pub(super) login: RedisConnectionInfo,
    pub(super) sentinel: Option<Sentinel>,
    pub(super) certificates: Option<TlsCertificates>,
    pub(super) fingerprint: [u8; 32],
}

/// How the Sentinels are asked.
pub(super) struct Sentinel {
    pub master: String,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Parts {
    /// Reads the files and puts all together.
    pub fn read(settings: &Settings) -> Result<Self, Problem> {
        let mut files = Files::default();
        let url = files.text(("cache.url_file", &settings.url_file), &settings.url)?;
        let username = files.text(
            ("cache.username_file", &settings.username_file),
            &settings.username,
        )?;
        let password = files.text(
            ("cache.password_file", &settings.password_file),
            &settings.password,
        )?;
        let sentinel_password = files.text(
            (
                "cache.sentinel_password_file",
                &settings.sentinel_password_file,
            ),
            &settings.sentinel_password,
        )?;
        let nodes = url.and_then(|url| nodes(url.expose(), settings.mode));
        let nodes = nodes.ok_or_else(|| ("cache.url", EXPECTED.to_owned()))?;
        let mut login = RedisConnectionInfo::default();
        if let Some(first) = nodes.first() {
            login = first.redis_settings().clone();
        }
        if let Some(username) = username {
            login = login.set_username(username.expose());
        }
        if let Some(password) = password {
            login = login.set_password(password.expose());
        }
        let sentinel = settings.sentinel_master.clone().map(|master| Sentinel {
            master,
            username: settings.sentinel_username.clone(),
            password: sentinel_password,
        });
        Ok(Self {
            mode: settings.mode,
            certificates: files.certificates(settings)?,
            nodes,
            login,
            sentinel,
            fingerprint: files.seen.finish(),
        })
    }

    /// Whether the servers are spoken to over TLS.
    pub fn is_over_tls(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.all(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Where it leads: address, TLS or not, database.
    pub(super) fn servers(&self) -> Vec<(String, bool, i64)> {
        let nodes = self.nodes.iter();
        let server = |node: &ConnectionInfo| {
            let is_tls = matches!(node.addr(), ConnectionAddr::TcpTls { .. });
            (node.addr().to_string(), is_tls, node.redis_settings().db())
        };
        nodes.map(server).collect()
    }

    /// What the URL itself says: how many hosts, which database, whether a user or a password.
    pub fn said(&self) -> (usize, i64, bool, bool) {
        let login = self.nodes.first().map(ConnectionInfo::redis_settings);
        let login = login.cloned().unwrap_or_default();
        (
            self.nodes.len(),
            login.db(),
            login.username().is_some(),
            login.password().is_some(),
        )
    }
}

/// What a URL of Redis must be.
const EXPECTED: &str = "expected a URL such as redis://host:6379 or rediss://user:password@host:6379/0; several \
                        hosts are separated by commas: redis://one:6379,two:6379";

/// The servers that a URL names: `scheme://user:password@host:port,host:port/database`.
fn nodes(text: &str, mode: Mode) -> Option<Vec<ConnectionInfo>> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, tail) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let node = |host: &str| {
        let mut url: Url = format!("{scheme}://{login}{host}{tail}").parse().ok()?;
        // A fragment could only be `#insecure`: TLS without looking at certificates.
        let known = SCHEMES.contains(&url.scheme()) && url.host_str().is_some();
        if !known || url.fragment().is_some() {
            return None;
        }
        if mode == Mode::Sentinel && url.port().is_none() {
            url.set_port(Some(SENTINEL_PORT)).ok()?;
        }
        let info = url.into_connection_info().ok()?;
        Client::open(info.clone()).ok().map(|_| info)
    };
    hosts.split(',').map(|host| node(host.trim())).collect()
}

/// What the files hold, and a hash of all that was read.
#[derive(Default)]
struct Files {
    seen: Sha256,
}

impl Files {
    fn read(&mut self, key: &'static str, file: &Path) -> Result<reload::Content, Problem> {
        let content = reload::read(file).map_err(|why| (key, why))?;
        self.seen.update(content.len().to_be_bytes());
        self.seen.update(content.as_slice());
        Ok(content)
    }

    /// The text in a file, or else the text that is configured.
    fn text(
        &mut self,
        (key, file): (&'static str, &Option<PathBuf>),
        configured: &Option<Secret>,
    ) -> Result<Option<Secret>, Problem> {
        let Some(file) = file else {
            return Ok(configured.clone());
        };
        let content = self.read(key, file)?;
        let text = std::str::from_utf8(&content).map_err(|_| (key, "is not UTF-8".to_owned()))?;
        match text.trim_end() {
            "" => Err((key, "is empty".to_owned())),
            text => Ok(Some(Secret::new(text))),
        }
    }

    /// None where the system's CAs are trusted and no client certificate is shown.
    fn certificates(&mut self, settings: &Settings) -> Result<Option<TlsCertificates>, Problem> {
        let ca = settings.ca_file.as_ref().map(|file| -> Result<_, Problem> {
            let pem = self.read("cache.ca_file", file)?;
            chain("cache.ca_file", &pem)?;
            Ok(pem.to_vec())
        });
        let root_cert = ca.transpose()?;
        let client = settings.client_certificate_file.as_ref();
        let client = client.zip(settings.client_key_file.as_ref());
        let client = client.map(|(certificate, key)| -> Result<_, Problem> {
            let of_certificate = "cache.client_certificate_file";
            let certificate = self.read(of_certificate, certificate)?;
            let key = self.read("cache.client_key_file", key)?;
            belong_together(chain(of_certificate, &certificate)?, &key)?;
            Ok(ClientTlsConfig {
                client_cert: certificate.to_vec(),
                client_key: key.to_vec(),
            })
        });
        let client_tls = client.transpose()?;
        let any = root_cert.is_some() || client_tls.is_some();
        Ok(any.then_some(TlsCertificates {
            client_tls,
            root_cert,
        }))
    }
}

fn chain(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.ok().filter(|read| !read.is_empty());
    read.ok_or_else(|| (key, "holds no certificates in PEM".to_owned()))
}

fn belong_together(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<(), Problem> {
    let of_key = "cache.client_key_file";
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|_| (of_key, "holds no private key in PEM".to_owned()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| (of_key, error.to_string()))?;
    let trusting_nobody = builder.with_root_certificates(RootCertStore::empty());
    let made = trusting_nobody.with_client_auth_cert(chain, key);
    let problem = "does not belong to cache.client_certificate_file".to_owned();
    made.map(|_| ()).map_err(|_| (of_key, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str, mode: Mode) -> Option<Vec<String>> {
        let nodes = nodes(text, mode)?;
        Some(nodes.iter().map(|node| node.addr().to_string()).collect())
    }

    /// A file that is read again may not lead elsewhere, nor take the encryption away.
    #[test]
    fn another_host_or_database_or_no_tls_is_another_server() {
        let servers = |url: &str| {
            let settings = Settings {
                url: Some(Secret::new(url)),
                ..Settings::default()
            };
            Parts::read(&settings).unwrap().servers()
        };
        let own = servers("rediss://user:old@a:1/2");
        assert_eq!(own, servers("rediss://user:new@a:1/2"));
        for other in ["redis://user:new@a:1/2", "rediss://a:2/2", "rediss://a:1"] {
            assert_ne!(own, servers(other), "{other}");
        }
    }

    #[test]
    fn a_url_names_one_host_or_several_with_one_login() {
        let one = |text, addresses_of: &[&str]| {
            let expected = addresses_of.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(addresses(text, Mode::Single), Some(expected), "{text}");
        };
        one("redis://a", &["a:6379"]);
        one("valkeys://u:p@a:1/2", &["a:1"]);
        one("redis://u:p@a:1,b,[::1]:3/0", &["a:1", "b:6379", "::1:3"]);
        let sentinels = addresses("redis://a,b:1", Mode::Sentinel).unwrap();
        assert_eq!(sentinels, ["a:26379", "b:1"]);
        let of_second = nodes("redis://u:p%40@a,b/3", Mode::Single).unwrap();
        let login = of_second[1].redis_settings();
        assert_eq!(
            (login.username(), login.password(), login.db()),
            (Some("u"), Some("p@"), 3)
        );
        for bad in [
            "",
            "a:1",
            "http://a",
            "redis://",
            "redis://a,,b",
            "redis://a,",
            "rediss://a#insecure",
            "redis://a:99999",
            "redis://a/x",
            "unix:///tmp/a",
        ] {
            assert!(nodes(bad, Mode::Single).is_none(), "{bad}");
        }
    }
}
