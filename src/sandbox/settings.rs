//! The settings of the sandbox.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{Span, loopback};

/// The provider sandbox.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the sandbox. Unset: `identity-gateway sandbox` uses 127.0.0.1:8090, and `serve --sandbox` a free
    /// loopback port.
    #[schemars(with = "String", extend("title" = "an IP address and port such as 127.0.0.1:8090", "pattern" = crate::setting::address::pattern()))]
    pub listen: Option<SocketAddr>,
    /// TOML file with people, delays and faults of your own (docs/sandbox.md); read again when it changes.
    #[schemars(with = "PathBuf")]
    pub fixtures: Option<PathBuf>,
    /// Delay before each answer of the sandbox.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub delay: Span,
}

impl Settings {
    /// Where a sandbox that stands alone listens.
    #[must_use]
    pub fn listen_alone(&self) -> SocketAddr {
        self.listen.unwrap_or(loopback(8090))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: None,
            fixtures: None,
            delay: Span::new(Duration::ZERO),
        }
    }
}
