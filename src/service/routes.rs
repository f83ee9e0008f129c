//! The ways to the providers: each with its adapter, its credential that is read again when its file changes, and
//! the CAs it is checked against.

use std::sync::Arc;

use url::Url;

use super::verify::Verify;
use crate::{
    domain::{
        failure::{Failure, Kind},
        redaction::Secret,
        verification::{Environment, Provider},
    },
    provider::{
        Company, Supplies,
        settings::{ProviderState, Providers},
    },
    reload::{Content, Watch},
    setting::secret::credential,
    telemetry::{metrics, token},
    transport::{
        Credentials, Upstream,
        client::AddressError,
        settings,
        tls::{ClientTls, OwnCas, TlsError},
        upstream,
    },
};

/// An adapter with the way to its provider.
#[derive(Debug)]
pub struct Route<A: ?Sized> {
    /// The way there.
    pub upstream: Upstream,
    /// Where it leads.
    pub base_url: Url,
    /// Whether the registry behind it is about real people.
    pub environment: Environment,
    /// What to send and how to read the answer.
    pub adapter: A,
}

/// A route to whoever can answer an RPC.
pub type AnyRoute<V> = Route<dyn Supplies<<V as Verify>::Lookup, Record = <V as Verify>::Record>>;

/// A route, if its provider is configured.
pub type Configured<A> = Option<Arc<Route<A>>>;

impl<A: ?Sized> Route<A> {
    /// Whom it leads to.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.upstream.provider()
    }
}

/// One who can answer an RPC, if it is configured.
#[derive(Debug)]
pub struct Supplier<V: Verify> {
    /// Who.
    pub provider: Provider,
    /// The way there; none without a credential.
    pub route: Option<Arc<AnyRoute<V>>>,
}

impl<V: Verify> Supplier<V> {
    /// The supplier by its own route.
    pub fn new<A>(route: &Configured<A>) -> Self
    where
        A: Company + Supplies<V::Lookup, Record = V::Record>,
    {
        let route = route.as_ref().map(Arc::<Route<A>>::clone);
        Self {
            provider: A::PROVIDER,
            route: route.map(|route| -> Arc<AnyRoute<V>> { route }),
        }
    }
}

/// Why a provider cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be created: {0}")]
    Client(#[from] AddressError),
    /// A provider cannot be reached over TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A credential holds bytes that no HTTP header can.
    #[error("the credential of {0} contains characters that are not allowed in an HTTP header")]
    Credential(Provider),
}

/// What the routes have in common.
pub struct Routes<'a> {
    providers: &'a Providers,
    tls: ClientTls,
    /// Of each.
    answer_memory: usize,
    watches: Vec<Watch>,
}

impl<'a> Routes<'a> {
    /// Each provider has its own part of the memory: what one of them sends does not keep the others' answers.
    #[must_use]
    pub fn new(providers: &'a Providers, answer_memory: usize) -> Self {
        let states = providers.states();
        let configured = states
            .iter()
            .filter(|(_, state)| *state != ProviderState::NotConfigured);
        Self {
            providers,
            tls: ClientTls::default(),
            answer_memory: answer_memory / configured.count().max(1),
            watches: Vec::new(),
        }
    }

    /// The route to a company, if it is configured; it is not dialled yet.
    ///
    /// # Errors
    ///
    /// If its credential, its CA or the HTTP client is unusable.
    pub fn to<A: Company>(&mut self, settings: &A::Settings) -> Result<Configured<A>, RouteError> {
        let parts = A::credential(settings);
        if parts.is_empty() {
            return Ok(None);
        }
        let secrets: Vec<_> = parts.iter().map(|part| part.secret.clone()).collect();
        let headers = A::headers(&secrets).map_err(|_| RouteError::Credential(A::PROVIDER))?;
        let credentials = Credentials::new(headers);
        expires::<A>(&secrets);
        metrics::no_drift(A::PROVIDER);
        let files: Vec<_> = parts.iter().filter_map(|part| part.file.clone()).collect();
        if !files.is_empty() {
            let credentials = credentials.clone();
            // What is not in a file stays what it was at the start.
            let take = move |contents: &[Content]| {
                let mut contents = contents.iter();
                let mut next = |(secret, is_in_file): (&Secret, bool)| match is_in_file {
                    true => credential(contents.next().ok_or("is missing")?),
                    false => Ok(secret.clone()),
                };
                let parts = parts.iter();
                let parts = parts.map(|part| next((&part.secret, part.file.is_some())));
                let secrets: Vec<_> = parts.collect::<Result<_, String>>()?;
                credentials.replace(A::headers(&secrets).map_err(|error| error.to_string())?);
                expires::<A>(&secrets);
                Ok(())
            };
            self.watches.push(Watch::new(A::FILE_KEY, files, take));
        }
        let settings_of_way = self.providers.upstream(A::PROVIDER);
        metrics::none_left(A::PROVIDER, settings_of_way.price.as_ref());
        self.route(A::new(settings), credentials, settings_of_way)
            .map(Some)
    }

    fn route<A: Company>(
        &mut self,
        adapter: A,
        credentials: Credentials,
        settings: settings::Upstream,
    ) -> Result<Arc<Route<A>>, RouteError> {
        let base_url = settings.base_url.clone();
        let over_tls = base_url.scheme() == "https"
            || settings
                .proxy
                .as_ref()
                .is_some_and(|proxy| proxy.expose().starts_with("https:"));
        let tls = match &settings.ca_file {
            _ if !over_tls => ClientTls::none(),
            None => self.tls.system()?,
            Some(file) => self.tls.own(OwnCas {
                key: A::CA_FILE_KEY,
                file,
            })?,
        };
        let environment = settings.environment;
        let settings = upstream::Settings {
            provider: A::PROVIDER,
            base_url: settings.base_url,
            proxy: settings.proxy,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            keep_alive: settings.keep_alive,
            trace: settings.trace,
            max_response_bytes: settings.max_response_bytes,
            answer_memory: self.answer_memory,
            limits: settings.limits,
            price: settings.price,
        };
        Ok(Arc::new(Route {
            upstream: Upstream::new(settings, credentials, tls)?,
            base_url,
            environment,
            adapter,
        }))
    }

    /// What is to be done when files of the routes change.
    #[must_use]
    pub fn into_watches(self) -> Vec<Watch> {
        let mut watches = self.watches;
        watches.extend(self.tls.into_watches());
        watches
    }
}

/// Tells when a credential that says so expires.
fn expires<A: Company>(secrets: &[Secret]) {
    metrics::token_expires(A::PROVIDER, secrets.iter().find_map(token::expiry));
}

/// The route, or the failure that says that there is none.
///
/// # Errors
///
/// [`Kind::NotConfigured`].
pub fn configured<A: Company>(route: &Configured<A>) -> Result<&Route<A>, Failure> {
    let not_configured = || Failure::before_sending(Kind::NotConfigured, A::PROVIDER);
    route.as_deref().ok_or_else(not_configured)
}
