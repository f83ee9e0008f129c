//! The settings of the providers side by side, and what can be asked of each of them alike. What one of them needs of
//! its own is in its folder, what all have in common in [`transport::settings`](crate::transport::settings).
//!
//! A provider without credential is not configured: its RPCs say PROVIDER_NOT_CONFIGURED and the others work.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{accuauth, verifik, youverify};
use crate::{
    domain::{
        redaction::Secret,
        verification::{Environment, Environments, Provider},
    },
    transport::settings::Upstream,
};

/// Whether a provider can be asked, and about whom it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// It has a credential and answers about real people.
    Live,
    /// It has a credential and is a test service.
    Sandbox,
    /// It has no credential.
    NotConfigured,
}

impl fmt::Display for ProviderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
            Self::NotConfigured => "not configured",
        })
    }
}

/// The identity providers behind the gateway.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// Verifik: Peruvian foreigner ids, person records.
    pub verifik: verifik::settings::Settings,
    /// YouVerify: Kenyan identity scrub.
    pub youverify: youverify::settings::Settings,
    /// AccuAuth: Mexican CURP.
    pub accuauth: accuauth::settings::Settings,
}

impl Providers {
    /// What the transport needs to know of one.
    #[must_use]
    pub fn upstream(&self, provider: Provider) -> Upstream {
        match provider {
            Provider::Verifik => self.verifik.upstream(),
            Provider::Youverify => self.youverify.upstream(),
            Provider::Accuauth => self.accuauth.upstream(),
        }
    }

    const fn has_credential(&self, provider: Provider) -> bool {
        match provider {
            Provider::Verifik => self.verifik.has_credential(),
            Provider::Youverify => self.youverify.has_credential(),
            Provider::Accuauth => self.accuauth.has_credential(),
        }
    }

    /// The token of one, where that is its credential and there is one.
    #[must_use]
    pub const fn token(&self, provider: Provider) -> Option<&Secret> {
        match provider {
            Provider::Verifik => self.verifik.token.as_ref(),
            Provider::Youverify => self.youverify.token.as_ref(),
            Provider::Accuauth => None,
        }
    }

    /// Whether one can be asked, and about whom it answers.
    #[must_use]
    pub fn state(&self, provider: Provider) -> ProviderState {
        match (
            self.has_credential(provider),
            self.upstream(provider).environment,
        ) {
            (false, _) => ProviderState::NotConfigured,
            (true, Environment::Live) => ProviderState::Live,
            (true, Environment::Sandbox) => ProviderState::Sandbox,
        }
    }

    /// Every provider, with its state.
    #[must_use]
    pub fn states(&self) -> [(Provider, ProviderState); Provider::ALL.len()] {
        Provider::ALL.map(|provider| (provider, self.state(provider)))
    }

    /// About whom each answers.
    #[must_use]
    pub fn environments(&self) -> Environments {
        Environments::of_each(|provider| self.upstream(provider).environment)
    }

    /// What the schema cannot say of one: the keys below `providers.NAME`, and the problem.
    #[must_use]
    pub fn problems(&self, provider: Provider) -> Vec<(&'static str, String)> {
        let mut problems = match provider {
            Provider::Verifik => self.verifik.problems(),
            Provider::Youverify => Vec::new(),
            Provider::Accuauth => self.accuauth.problems(),
        };
        problems.extend(self.upstream(provider).problem());
        problems
    }
}
