//! The machinery of the configuration: typed, every key defined and documented once, in the room that it is about
//! (`settings.rs`). No room below this one knows it.
//!
//! Layers, later wins: built-in defaults, TOML file (`--config` or `IDGW_CONFIG`), environment (`IDGW_`, `__`
//! between levels), flags. Unknown keys and wrong types are errors that name the key (and the variable) and
//! never repeat a value: any value may turn out to be a secret in the wrong place. All problems that can be
//! found at once are reported at once.

mod check;
mod docs;
mod layers;
mod load;
mod relations;
mod schema;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod warnings;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

pub use docs::{default_file, markdown};
pub use load::load;
pub use server::{Admin, ClientAuth, Server, Tls};
pub use settings::Settings;
pub use warnings::Warning;

// What the sections are made of, for those above who read or make a configuration.
pub use crate::{
    audit::settings::{AuditSink, Fsync, Settings as Audit},
    auth::settings::{
        AuthMode, Issuer, Jwt, JwtAlgorithm, Mesh, MeshHeader, PresharedKeys, Settings as Auth,
    },
    domain::{
        price::Price,
        verification::{Environment, Environments},
    },
    provider::{
        accuauth::settings::{BodyEncoding, Settings as Accuauth},
        settings::{ProviderState, Providers},
        verifik::settings::Settings as Verifik,
        youverify::settings::{IdTypes, Settings as Youverify},
    },
    sandbox::settings::Settings as SandboxSettings,
    service::settings::{CurpCheck, CurpRules, Persons},
    setting::{BaseUrl, Span, secret::credential},
    sharing::settings::Settings as Cache,
    telemetry::settings::{Log, LogFormat, Settings as Telemetry},
    transport::settings::Upstream,
};

/// Prefix of every environment variable of the configuration.
const PREFIX: &str = "IDGW_";
/// The environment variable that names the configuration file.
const FILE_VARIABLE: &str = "IDGW_CONFIG";
/// The customary variable for log directives, read where `IDGW_LOG__FILTER` is absent.
const RUST_LOG: &str = "RUST_LOG";

/// Where the configuration comes from, besides the built-in defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables: names and values. A value that is not UTF-8 is passed with U+FFFD in it.
    pub env: Vec<(String, String)>,
    /// Flags: dotted key and value; a later one wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// The sources of this process: its environment, and the file that `--config` or `IDGW_CONFIG` names.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, overrides: Vec<(String, String)>) -> Self {
        Self::from_environment(file, overrides, std::env::vars_os().collect())
    }

    fn from_environment(
        file: Option<PathBuf>,
        overrides: Vec<(String, String)>,
        variables: Vec<(OsString, OsString)>,
    ) -> Self {
        let named = variables
            .iter()
            .find(|(name, path)| name == FILE_VARIABLE && !path.is_empty())
            .map(|(_, path)| PathBuf::from(path));
        let utf8 = |text: OsString| text.to_string_lossy().into_owned();
        let env = variables
            .into_iter()
            .map(|(name, value)| (utf8(name), utf8(value)))
            .filter(|(name, _)| name.starts_with(PREFIX) || name == RUST_LOG)
            .collect();
        Self {
            file: file.or(named),
            env,
            overrides,
        }
    }
}

/// Names only: any value may be a secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("env", &names(&self.env))
            .field("overrides", &names(&self.overrides))
            .finish()
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ConfigError {
    /// One line each, naming the key.
    pub problems: Vec<String>,
}

impl Settings {
    /// What `serve` refuses beyond what `load` has checked: who may call must have been said, except in the
    /// sandbox on a loopback address.
    ///
    /// # Errors
    /// If `auth.mode` is absent where it must be said.
    pub fn validate_for_serve(&self, sandbox: bool) -> Result<(), ConfigError> {
        let may_be_left_out = sandbox && self.server.listen.ip().is_loopback();
        if !self.auth.mode.is_empty() || may_be_left_out {
            return Ok(());
        }
        let problem = "auth.mode: is required (IDGW_AUTH__MODE): `none` lets everybody who reaches the port call; it \
         may be omitted only for `serve --sandbox` on a loopback address";
        Err(ConfigError {
            problems: vec![problem.to_owned()],
        })
    }
}
