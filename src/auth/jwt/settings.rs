//! The settings of signed tokens: those of one issuer, and a list of further ones with the same keys.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::key_set::KeySet;
use crate::{
    auth::text,
    domain::redaction::Secret,
    reload,
    setting::{DocumentUrl, Span, redacted, secret},
    transport::settings::proxy_problem,
};

/// Most further issuers, as many as the configuration takes of any list of tables.
pub const MOST_ISSUERS: usize = 16;

/// Defines settings of an issuer, and perhaps more. `#[serde(flatten)]` would do the same but loses the path of a key in
/// errors.
macro_rules! of_issuer {
    ($(#[$about:meta])* $name:ident { $($(#[$key_about:meta])* $key:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The required issuer of a token: its `iss`, compared exactly.
            #[schemars(with = "String", length(min = 1))]
            pub issuer: Option<String>,
            /// The accepted audiences: one of these must be in a token's `aud`.
            pub audience: Vec<String>,
            /// The claims that contain a token's audience; the first that is present decides. `client_id` for
            /// Amazon Cognito, whose access tokens have no `aud`.
            pub audience_claims: Vec<String>,
            /// The accepted signature algorithms. Symmetric ones and `none` are not supported.
            pub algorithms: Vec<JwtAlgorithm>,
            /// Where the issuer's public keys are (JWKS): https, or http on a loopback host. A query is kept.
            #[schemars(with = "DocumentUrl")]
            pub jwks_url: Option<DocumentUrl>,
            /// The issuer's discovery document (`…/.well-known/openid-configuration`), instead of `jwks_url`: it
            /// names the key set. Its `issuer` must be the one configured.
            #[schemars(with = "DocumentUrl")]
            pub discovery_url: Option<DocumentUrl>,
            /// A file that contains the public keys, instead of `jwks_url`; checked for changes every second.
            #[schemars(with = "PathBuf")]
            pub jwks_file: Option<PathBuf>,
            /// A PEM file with the CAs that the certificate of the key set's host, and of an https proxy, is verified
            /// against, instead of the system's; reloaded when it changes.
            #[schemars(with = "PathBuf")]
            pub ca_file: Option<PathBuf>,
            /// The HTTP proxy to the key set's host, such as `http://user:password@proxy.internal:3128`. Without
            /// it the host is called directly: `HTTPS_PROXY` and the like are ignored. A secret, because it may
            /// contain a password.
            #[serde(serialize_with = "redacted")]
            #[schemars(with = "String", extend("x-secret" = true))]
            pub proxy: Option<Secret>,
            /// A file that contains the proxy's URL, instead of `proxy`; read at start.
            #[schemars(with = "PathBuf")]
            pub proxy_file: Option<PathBuf>,
            /// A file with a bearer token that the gateway itself shows to the host of `jwks_url` or
            /// `discovery_url` (and to no other), such as a Kubernetes service account's; read at each fetch.
            #[schemars(with = "PathBuf")]
            pub token_file: Option<PathBuf>,
            /// How often the key set is fetched. A key that the issuer withdraws stays valid for up to this long.
            #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
            pub jwks_refresh: Span,
            /// Minimum time between two fetches of the key set that are triggered by tokens with unknown key ids.
            #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
            pub jwks_cooldown: Span,
            /// Timeout of one fetch of the key set, of the discovery document too.
            #[schemars(extend("x-min" = "100ms", "x-max" = "1m"))]
            pub jwks_timeout: Span,
            /// How long the last valid key set is used while it cannot be fetched or is invalid; after that no token
            /// can be verified (AUTH_UNAVAILABLE).
            #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
            pub jwks_max_stale: Span,
            /// Accepted clock skew to the issuer, for `exp` and `nbf`. Whole seconds.
            #[schemars(extend("x-min" = "0s", "x-max" = "5m"))]
            pub leeway: Span,
            /// Whether a token's header must identify it as an access token (`typ` is `at+jwt`, RFC 9068). If false,
            /// tokens without a `typ` are accepted too, tokens of another known type are not.
            pub require_at_jwt: bool,
            /// The claim that contains the caller's identity, a path as in `scope_claims`.
            #[schemars(length(min = 1))]
            pub identity_claim: String,
            /// Put before every identity of this issuer, such as `partner:`. Issuers may not have the same: what one
            /// of them calls `alice` is not the other's `alice`.
            pub identity_prefix: String,
            /// The claims whose words are a token's scopes, for `token_scopes` of the policy file: names, or paths
            /// such as `realm_access.roles` and `resource_access.identity-gateway.roles`. Each is a string,
            /// separated by spaces, or a list of strings.
            pub scope_claims: Vec<String>,
            $($(#[$key_about])* pub $key: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                use JwtAlgorithm::{EdDsa, Es256, Ps256, Rs256};
                Self {
                    issuer: None,
                    audience: Vec::new(),
                    audience_claims: vec!["aud".to_owned()],
                    algorithms: vec![Rs256, Ps256, Es256, EdDsa],
                    jwks_url: None,
                    discovery_url: None,
                    jwks_file: None,
                    ca_file: None,
                    proxy: None,
                    proxy_file: None,
                    token_file: None,
                    jwks_refresh: Span::seconds(300),
                    jwks_cooldown: Span::seconds(10),
                    jwks_timeout: Span::seconds(5),
                    jwks_max_stale: Span::seconds(3600),
                    leeway: Span::seconds(30),
                    require_at_jwt: false,
                    identity_claim: "sub".to_owned(),
                    identity_prefix: String::new(),
                    scope_claims: vec!["scope".to_owned(), "scp".to_owned()],
                    $($key: Default::default(),)*
                }
            }
        }

        impl $name {
            /// The issuer.
            fn own(&self) -> Issuer {
                Issuer {
                    issuer: self.issuer.clone(),
                    audience: self.audience.clone(),
                    audience_claims: self.audience_claims.clone(),
                    algorithms: self.algorithms.clone(),
                    jwks_url: self.jwks_url.clone(),
                    discovery_url: self.discovery_url.clone(),
                    jwks_file: self.jwks_file.clone(),
                    ca_file: self.ca_file.clone(),
                    proxy: self.proxy.clone(),
                    proxy_file: self.proxy_file.clone(),
                    token_file: self.token_file.clone(),
                    jwks_refresh: self.jwks_refresh,
                    jwks_cooldown: self.jwks_cooldown,
                    jwks_timeout: self.jwks_timeout,
                    jwks_max_stale: self.jwks_max_stale,
                    leeway: self.leeway,
                    require_at_jwt: self.require_at_jwt,
                    identity_claim: self.identity_claim.clone(),
                    identity_prefix: self.identity_prefix.clone(),
                    scope_claims: self.scope_claims.clone(),
                }
            }
        }
    };
}

of_issuer! {
    /// Signed tokens.
    Jwt {
        /// Further issuers, each with its own settings and keys.
        issuers: Vec<Issuer>,
    }
}

of_issuer! {
    /// Further issuers of signed tokens: a list of tables in TOML (`[[auth.jwt.issuers]]`), numbered from 0 in the
    /// environment (`*` is the number). Each has the keys of `auth.jwt` with the same meaning, and its own
    /// `identity_prefix`. The issuer of `auth.jwt` itself may be left out.
    Issuer {}
}

/// What names the keys of an issuer.
#[derive(Debug, Clone)]
pub struct Section(String);

impl Section {
    fn of_jwt() -> Self {
        Self("auth.jwt".to_owned())
    }

    fn of_issuer(number: usize) -> Self {
        Self(format!("auth.jwt.issuers.{number}"))
    }

    fn is_of_jwt(&self) -> bool {
        self.0 == "auth.jwt"
    }

    /// A key of the issuer's.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.0)
    }
}

impl Jwt {
    /// Every issuer, with what names its keys. That of `auth.jwt` itself may be left out where there are others.
    #[must_use]
    pub fn all(&self) -> Vec<(Section, Issuer)> {
        let own = self.own();
        let says_nothing = own.issuer.is_none()
            && own.audience.is_empty()
            && own.jwks_url.is_none()
            && own.discovery_url.is_none()
            && own.jwks_file.is_none();
        let own = (!says_nothing || self.issuers.is_empty()).then(|| (Section::of_jwt(), own));
        let issuers = (0..).zip(&self.issuers);
        let issuers = issuers.map(|(number, issuer)| (Section::of_issuer(number), issuer.own()));
        own.into_iter().chain(issuers).collect()
    }

    /// Whether anything is said of an issuer of `auth.jwt` itself.
    fn differs_from_default(&self) -> bool {
        let alone = Self {
            issuers: Vec::new(),
            ..self.clone()
        };
        serde_json::to_value(alone).ok() != serde_json::to_value(Self::default()).ok()
    }

    /// What the schema cannot say: the keys, and the problem.
    pub(in crate::auth) fn problems(&self) -> Vec<(String, String)> {
        let all = self.all();
        let mut problems = Vec::new();
        for (position, (section, issuer)) in (0..).zip(&all) {
            let own = issuer.problems(section).into_iter();
            problems.extend(own.map(|(key, problem)| (section.key(key), problem)));
            for (_, other) in all.iter().take(position) {
                if issuer.issuer.is_some() && issuer.issuer == other.issuer {
                    let problem = "is configured twice".to_owned();
                    problems.push((section.key("issuer"), problem));
                }
                if issuer.identity_prefix == other.identity_prefix {
                    let problem = "is required: another issuer has the same, and may give other callers the same names";
                    problems.push((section.key("identity_prefix"), problem.to_owned()));
                }
            }
        }
        let is_own = all.iter().any(|(section, _)| section.is_of_jwt());
        if !is_own && self.differs_from_default() {
            let problem =
                "what it says applies to no issuer: say it in each of auth.jwt.issuers".to_owned();
            problems.push(("auth.jwt".to_owned(), problem));
        }
        if self.issuers.len() > MOST_ISSUERS {
            let problem = format!("has more than {MOST_ISSUERS} issuers");
            problems.push(("auth.jwt.issuers".to_owned(), problem));
        }
        problems
    }
}

impl Issuer {
    fn problems(&self, section: &Section) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        if self.issuer.is_none() {
            problem("issuer", "is required: auth.mode includes jwt");
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            problem(
                "audience",
                "is required: auth.mode includes jwt, and tokens for another audience must be rejected",
            );
        }
        if self.audience_claims.is_empty() {
            problem("audience_claims", "is empty: every token would be rejected");
        }
        if self.algorithms.is_empty() {
            problem("algorithms", "is empty: every token would be rejected");
        }
        if self.leeway.get().subsec_nanos() != 0 {
            problem("leeway", "expected whole seconds");
        }
        let places = [
            ("jwks_url", self.jwks_url.is_some()),
            ("discovery_url", self.discovery_url.is_some()),
            ("jwks_file", self.jwks_file.is_some()),
        ];
        let mut set = places.iter().filter(|(_, is_set)| *is_set);
        match (set.next(), set.next()) {
            (None, _) => {
                let (discovery, file) = (section.key("discovery_url"), section.key("jwks_file"));
                let words = format!(
                    "is required unless {discovery} or {file} is set: auth.mode includes jwt"
                );
                problem("jwks_url", &words);
            }
            (Some((first, _)), Some((second, _))) => {
                let first = section.key(first);
                problem(
                    second,
                    &format!("is set, and so is {first}; set only one of them"),
                );
            }
            _ => {}
        }
        if let Some(path) = &self.jwks_file {
            let read = text(path).and_then(|text| KeySet::parse(&text));
            if let Err(words) = read {
                problem("jwks_file", &words);
            }
        }
        if let Some(words) = self.proxy.as_ref().and_then(proxy_problem) {
            problem("proxy", words);
        }
        let urls = [&self.jwks_url, &self.discovery_url];
        let mut urls = urls.into_iter().flatten();
        if self.proxy.is_some() && urls.any(|url| url.get().scheme() == "http") {
            problem(
                "proxy",
                "is set, and the key set's URL is plain http, which must not leave this host",
            );
        }
        if self.jwks_file.is_some() {
            for (key, is_set) in [
                ("ca_file", self.ca_file.is_some()),
                ("proxy", self.proxy.is_some()),
                ("token_file", self.token_file.is_some()),
            ] {
                if is_set {
                    problem(
                        key,
                        "has no effect: jwks_file is set, and nothing is fetched",
                    );
                }
            }
        }
        if let Some(path) = &self.token_file {
            let read = reload::read(path).and_then(|token| secret::credential(&token));
            if let Err(words) = read {
                problem("token_file", &words);
            }
        }
        problems
    }
}

/// A signature algorithm of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// The same, SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// The same, SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA, PSS, SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// The same, SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// The same, SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA, P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA, P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// The same for the library.
    #[must_use]
    pub const fn algorithm(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm;
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}
