//! The settings of the sandbox.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{Span, loopback};

/// The provider sandbox.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of `identity-gateway sandbox`. `serve --sandbox` uses a free loopback port instead.
    #[schemars(with = "String", extend("title" = "an IP address and port such as 127.0.0.1:8090", "pattern" = crate::setting::address::pattern()))]
    pub listen: SocketAddr,
    /// TOML file with people, delays and faults of your own (docs/sandbox.md); read again when it changes.
    #[schemars(with = "PathBuf")]
    pub fixtures: Option<PathBuf>,
    /// Delay before each answer of the sandbox.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub delay: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: loopback(8090),
            fixtures: None,
            delay: Span::new(Duration::ZERO),
        }
    }
}
