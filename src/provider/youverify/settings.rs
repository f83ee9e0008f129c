//! The settings of YouVerify.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{domain::redaction::Secret, transport::settings::with_common_keys};

with_common_keys! {
    /// YouVerify: Kenyan identity scrub.
    pub struct Settings at "https://api.youverify.co";
    /// The API token, sent in the header `token`.
    #[serde(serialize_with = "crate::setting::redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    token: Option<Secret> = None;
    /// A file that contains the token, instead of `token`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    token_file: Option<PathBuf> = None;
    /// What YouVerify calls each kind of Kenyan document (`idType`).
    id_types: IdTypes = IdTypes::default();
}

impl Settings {
    /// Whether it has its credential.
    #[must_use]
    pub const fn has_credential(&self) -> bool {
        self.token.is_some()
    }
}

/// What YouVerify calls each kind of Kenyan document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdTypes {
    /// The `idType` of a national id.
    #[schemars(length(min = 1))]
    pub national_id: String,
    /// The `idType` of a passport.
    #[schemars(length(min = 1))]
    pub passport: String,
    /// The `idType` of a service id.
    #[schemars(length(min = 1))]
    pub service_id: String,
    /// The `idType` of an alien id.
    #[schemars(length(min = 1))]
    pub alien_id: String,
}

impl Default for IdTypes {
    fn default() -> Self {
        Self {
            national_id: "national-id".to_owned(),
            passport: "passport".to_owned(),
            service_id: "service-id".to_owned(),
            alien_id: "alien-registration".to_owned(),
        }
    }
}
