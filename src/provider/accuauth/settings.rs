//! The settings of AccuAuth.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{domain::redaction::Secret, transport::settings::with_common_keys};

with_common_keys! {
    /// AccuAuth: Mexican CURP.
    pub struct Settings at "https://cloudapi.mexico.accuauth.com";
    /// The API id, sent in the header `X-DF-API-ID`; redacted like a secret. Requires `api_secret`.
    #[serde(serialize_with = "crate::setting::redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    api_id: Option<Secret> = None;
    /// A file that contains the API id, instead of `api_id`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    api_id_file: Option<PathBuf> = None;
    /// The API secret, sent in the header `X-DF-API-SECRET`. Requires `api_id`.
    #[serde(serialize_with = "crate::setting::redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    api_secret: Option<Secret> = None;
    /// A file that contains the API secret, instead of `api_secret`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    api_secret_file: Option<PathBuf> = None;
    /// The encoding of request bodies; AccuAuth's documentation does not specify it.
    body_encoding: BodyEncoding = BodyEncoding::Json;
}

impl Settings {
    /// Whether it has its credential.
    #[must_use]
    pub const fn has_credential(&self) -> bool {
        self.api_id.is_some() && self.api_secret.is_some()
    }

    /// What the schema cannot say: the keys, and the problem.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let (missing, set) = match (&self.api_id, &self.api_secret) {
            (Some(_), None) => ("api_secret", "api_id"),
            (None, Some(_)) => ("api_id", "api_secret"),
            _ => return Vec::new(),
        };
        let problem = format!("is required: {set} is set, and AccuAuth needs both");
        vec![(missing, problem)]
    }
}

/// How the body of a request to AccuAuth is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}
