//! The way to Redis: what the settings say of it, with what their files hold now.
//!
//! A cluster and Sentinel are the library's own. Of a cluster every node may be named or only some, of Sentinel's
//! several; the rest is asked there, at every new connection.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult, TlsMode,
    aio::MultiplexedConnection,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};
use tokio::time::timeout;

use super::{
    CONNECT_TIMEOUT, cause,
    node::Node,
    parts::{Parts, Problem},
};
use crate::{
    sharing::settings::{Mode, Settings},
    telemetry::labels::CacheFailure,
};

/// How long finding a primary may take: several Sentinels and servers may each take their time.
const SENTINEL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node of a cluster may be silent.
const NODE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the library follows a cluster's refusals, and the pauses between, in milliseconds. Whoever waits has a
/// budget of its own.
const REDIRECTS: u32 = 8;
const PAUSES: (u64, u64) = (10, 100);

/// A connection, to one server or to all of a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection<Node>),
}

impl Connection {
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// The way, which is read again when its files change.
pub(super) struct Way {
    settings: Settings,
    parts: ArcSwap<Parts>,
}

impl Way {
    pub fn new(settings: &Settings) -> Result<Self, Problem> {
        Ok(Self {
            parts: ArcSwap::from_pointee(Parts::read(settings)?),
            settings: settings.clone(),
        })
    }

    /// Reads the files again; whether they say something else. What cannot be used changes nothing. Nor does another
    /// server: the replicas would go there one after the other, and not know each other's request ids meanwhile.
    pub fn read_again(&self) -> Result<bool, Problem> {
        let (parts, known) = (Parts::read(&self.settings)?, self.parts.load());
        let is_new = parts.fingerprint != known.fingerprint;
        if parts.servers() != known.servers() {
            let problem = "names another server or database, or has TLS no more or only now: that needs a rollout";
            return Err(("cache.url_file", problem.to_owned()));
        }
        if is_new {
            self.parts.store(Arc::new(parts));
        }
        Ok(is_new)
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let settings = &self.settings;
        let files = [
            &settings.url_file,
            &settings.username_file,
            &settings.password_file,
            &settings.sentinel_password_file,
            &settings.ca_file,
            &settings.client_certificate_file,
            &settings.client_key_file,
        ];
        files.into_iter().flatten().cloned().collect()
    }

    pub async fn connect(&self) -> Result<Connection, CacheFailure> {
        let parts = self.parts.load_full();
        let connected = match parts.mode {
            Mode::Single => parts.server().await,
            Mode::Cluster => parts.cluster().await,
            Mode::Sentinel => match timeout(SENTINEL_TIMEOUT, parts.primary()).await {
                Ok(connected) => connected,
                Err(_elapsed) => return Err(CacheFailure::Timeout),
            },
        };
        connected.map_err(|error| cause::of(&error))
    }
}

/// How a connection is made of them.
impl Parts {
    fn config() -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Each operation has its own budget.
            .set_response_timeout(Some(CONNECT_TIMEOUT))
    }

    async fn server(&self) -> RedisResult<Connection> {
        let node = self.nodes.first().cloned();
        let node = node.ok_or((redis::ErrorKind::InvalidClientConfig, "no host"))?;
        let node = node.set_redis_settings(self.login.clone());
        let client = match &self.certificates {
            None => Client::open(node)?,
            Some(certificates) => Client::build_with_tls(node, certificates.clone())?,
        };
        let config = Self::config();
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(Connection::Server(connection.await?))
    }

    async fn cluster(&self) -> RedisResult<Connection> {
        let nodes = self.nodes.iter().cloned();
        let nodes = nodes.map(|node| node.set_redis_settings(self.login.clone()));
        let (shortest, longest) = PAUSES;
        let mut builder = ClusterClientBuilder::new(nodes)
            .retries(REDIRECTS)
            .min_retry_wait(shortest)
            .max_retry_wait(longest)
            .connection_timeout(NODE_TIMEOUT)
            .response_timeout(NODE_TIMEOUT);
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        let connected = builder.build()?.get_async_generic_connection().await?;
        Ok(Connection::Cluster(connected))
    }

    /// The primary that the Sentinels name, and that calls itself one.
    async fn primary(&self) -> RedisResult<Connection> {
        let sentinels = self.nodes.iter().map(|node| node.addr().clone());
        let no_master = (redis::ErrorKind::InvalidClientConfig, "no sentinel_master");
        let sentinel = self.sentinel.as_ref().ok_or(no_master)?;
        let mut builder =
            SentinelClientBuilder::new(sentinels, &sentinel.master, SentinelServerType::Master)?;
        builder = builder.set_client_to_redis_db(self.login.db());
        if let Some(username) = self.login.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = self.login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &sentinel.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &sentinel.password {
            builder = builder.set_client_to_sentinel_password(password.expose());
        }
        if self.is_over_tls() {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &self.certificates {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        let mut client = builder.build()?;
        let config = Self::config();
        let connected = client.get_async_connection_with_config(&config);
        Ok(Connection::Server(connected.await?))
    }
}
