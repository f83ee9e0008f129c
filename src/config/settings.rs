//! The settings of the whole program, section by section. What a section holds belongs to the room that it is about.
//!
//! The doc comment of a field is its documentation everywhere: in `check-config`, in the configuration table
//! and in the JSON schema. Ranges stand in the schema too (`range`, `x-min`, `x-max`) and are enforced from
//! there. The `Default` implementations are the built-in defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::{Admin, Server};
use crate::{
    audit, auth, provider, sandbox,
    service::{
        self,
        settings::{CurpRules, Lookups, Persons},
    },
    sharing,
    telemetry::{self, settings::Log},
};

/// The configuration of identity-gateway.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The gRPC server.
    pub server: Server,
    /// The admin port: `/livez`, `/readyz` and `/metrics` over HTTP.
    pub admin: Admin,
    /// How callers are identified, and what they may do.
    pub auth: auth::settings::Settings,
    /// The identity providers behind the gateway.
    pub providers: provider::settings::Providers,
    /// How a CURP is checked before it is sent to the provider.
    pub curp: CurpRules,
    /// Lookups.
    pub lookups: Lookups,
    /// Person records.
    pub persons: Persons,
    /// The audit log: who asked about whom, with the identifier as a keyed hash.
    pub audit: audit::settings::Settings,
    /// The cache of answers for callers who set `max_age`, and what replicas share.
    pub cache: sharing::settings::Settings,
    /// What is paid for once.
    pub sharing: sharing::settings::Paid,
    /// The log.
    pub log: Log,
    /// Tracing settings in addition to OpenTelemetry's own variables (`OTEL_*`).
    pub telemetry: telemetry::settings::Settings,
    /// The provider sandbox: `identity-gateway sandbox` and `serve --sandbox`.
    pub sandbox: sandbox::settings::Settings,
}

impl Settings {
    /// The part of those who answer calls.
    #[must_use]
    pub const fn of_service(&self) -> service::gateway::Settings<'_> {
        service::gateway::Settings {
            providers: &self.providers,
            cache: &self.cache,
            sharing: &self.sharing,
            lookups: &self.lookups,
            curp: &self.curp,
            persons: &self.persons,
        }
    }
}
