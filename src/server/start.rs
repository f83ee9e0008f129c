//! Binds the ports, puts the services together, serves, and leaves in order.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower_layer::Layer as _;

use super::{
    admin, admin_port,
    admission::Admission,
    call_layer::{CallLayer, Times},
    connections::Connections,
    health::HealthService,
    lifecycle::{Lifecycle, Phase},
    listener, memory,
    quota::Quota,
    tls::{self, TlsError},
    unread::UnreadLayer,
};
use crate::{
    access::door::Door,
    audit::{Audit, StartError},
    auth,
    call::recorder::AuditLayer,
    config::Settings,
    domain::verification::Provider,
    policy::{Policies, PolicyError},
    proto::{
        self, identity::v1::identity_service_server::IdentityServiceServer,
        person::v1::person_service_server::PersonServiceServer,
    },
    reload,
    service::{
        gateway::{BuildError, Gateway},
        identity::Identity,
        person::Persons,
    },
    transport::breaker::Circuit,
};

/// Why the server did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port is not to be had.
    #[error("{key}: cannot listen on {address}: {source}")]
    Bind {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The contract's policy table has a gap.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A provider cannot be reached as configured.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// TLS cannot be served as configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit cannot begin.
    #[error(transparent)]
    Audit(#[from] StartError),
    /// Callers cannot be identified as configured.
    #[error(transparent)]
    Auth(#[from] auth::StartError),
    /// Reflection cannot be made of the descriptor set.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The system gives no signals.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// A server with its ports, ready to run.
#[derive(Debug)]
pub struct Serving {
    grpc: TcpListener,
    admin: TcpListener,
    /// Where gRPC is served.
    pub grpc_address: SocketAddr,
    /// Where the admin port is.
    pub admin_address: SocketAddr,
}

/// Takes both ports.
///
/// # Errors
///
/// If one is not to be had.
pub async fn bind(settings: &Settings) -> Result<Serving, ServeError> {
    let (grpc, grpc_address) = listen("server.listen", settings.server.listen).await?;
    let (admin, admin_address) = listen("admin.listen", settings.admin.listen).await?;
    Ok(Serving {
        grpc,
        admin,
        grpc_address,
        admin_address,
    })
}

async fn listen(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Bind {
        key,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Serving {
    /// Serves until a signal comes and all calls have ended.
    ///
    /// # Errors
    ///
    /// If the server cannot be put together.
    pub async fn run(self, settings: &Settings, ready: impl FnOnce()) -> Result<(), ServeError> {
        let lifecycle = Lifecycle::default();
        let policies = Policies::from_descriptors(proto::descriptors())?;
        let memory_is_short = Arc::default();
        let max_memory = memory::limit(settings.server.max_memory);
        // What the process makes of the limits of its container: seen here rather than guessed.
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        tracing::info!(workers, max_memory, "limits");
        if let Some(limit) = max_memory {
            tokio::spawn(memory::watch(limit, Arc::clone(&memory_is_short)));
        }
        let audit = Audit::start(&settings.audit)?;
        let recorded = AuditLayer::new(audit.clone(), &policies, settings.providers.environments());
        let answers = memory::answers(max_memory);
        let (gateway, mut watches) =
            Gateway::new(settings.of_service(), policies.clone(), answers)?;
        let door = Door::start(&settings.auth, &policies, gateway.counts(), &mut watches)?;
        if door.has_owners() && settings.persons.handle_key.is_none() {
            tracing::warn!(
                "persons.handle_key is not set: person handles are made with a key derived from cache.key or, \
                 without that, from Verifik's token; changing it invalidates every handle"
            );
        }
        let layer = CallLayer::new(
            &policies,
            door,
            Admission::new(settings.server.max_in_flight, memory_is_short),
            Quota::new(memory::held(max_memory)),
            Times {
                default_deadline: settings.server.default_deadline.get(),
                request_timeout: settings.server.request_timeout.get(),
            },
        );
        let tls = tls::start(&settings.server.tls)?.map(|(tls, watch)| {
            watches.push(watch);
            tls
        });
        let health = HealthService::new(lifecycle.clone(), circuits(&gateway));
        let (requests, answers) = (
            settings.server.max_request_bytes,
            settings.server.max_response_bytes,
        );
        let identity = IdentityServiceServer::new(Identity::new(&gateway)?)
            .max_decoding_message_size(requests)
            .max_encoding_message_size(answers);
        let persons = PersonServiceServer::new(Persons::new(gateway.clone())?)
            .max_decoding_message_size(requests)
            .max_encoding_message_size(answers);
        let mut routes = Routes::new(HealthServer::new(health))
            .add_service(identity)
            .add_service(persons);
        if settings.server.reflection {
            routes = routes
                .add_service(reflection().build_v1()?)
                .add_service(reflection().build_v1alpha()?);
        }
        let service = UnreadLayer::default().layer(recorded.layer(layer.layer(routes.prepare())));

        let mut signals = Signals::listen()?;
        let routes = admin::routes(lifecycle.clone());
        let admin = tokio::spawn(admin_port::serve(self.admin, routes));
        let incoming = listener::incoming(self.grpc, tls, &limits(settings, max_memory));
        tokio::spawn(reload::run(watches, settings.server.reload_interval.get()));
        let server = Connections::new(&settings.server, lifecycle.clone()).serve(incoming, service);
        ready();
        let leaving = leave(&mut signals, &lifecycle, settings);
        tokio::select! {
            () = async {
                server.await;
                // A create whose caller gave up runs to its end, and the other replicas wait to hear of it.
                gateway.finished().await;
            } => {}
            () = leaving => {
                tracing::warn!("drain timeout passed: calls in flight are cancelled");
            }
        }
        // The admin port answers to the last: a probe must not take the end of a drain for a crash.
        admin.abort();
        audit.close().await;
        Ok(())
    }
}

/// What the gRPC port takes.
fn limits(settings: &Settings, max_memory: Option<u64>) -> listener::Limits {
    let server = &settings.server;
    listener::Limits {
        connections: server.max_connections,
        per_peer: server.max_connections_per_peer,
        handshakes: server.max_handshakes,
        handshake_timeout: server.handshake_timeout.get(),
        headers: usize::try_from(server.max_header_bytes).unwrap_or(usize::MAX),
        held: memory::held_by_connections(max_memory),
    }
}

/// The circuits of the configured providers.
fn circuits(gateway: &Gateway) -> Vec<(Provider, watch::Receiver<Circuit>)> {
    let upstreams = gateway.upstreams();
    let circuits = upstreams.map(|upstream| (upstream.provider(), upstream.circuit()));
    circuits.collect()
}

/// Goes through the phases; returns when the calls in flight have had their time.
async fn leave(signals: &mut Signals, lifecycle: &Lifecycle, settings: &Settings) {
    let server = &settings.server;
    signals.next().await;
    lifecycle.enter(Phase::LameDuck);
    tracing::info!(
        lame_duck = %server.lame_duck,
        "lame duck: health is NOT_SERVING, new calls are still accepted"
    );
    tokio::select! {
        () = tokio::time::sleep(server.lame_duck.get()) => {}
        () = signals.next() => {}
    }
    lifecycle.enter(Phase::Draining);
    tracing::info!(
        drain_timeout = %server.drain_timeout,
        "draining: new calls are refused, calls in flight finish"
    );
    tokio::select! {
        () = tokio::time::sleep(server.drain_timeout.get()) => {}
        () = signals.next() => {}
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // The types of the error details, so that grpcurl shows them in words.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, ServeError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(ServeError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(ServeError::Signals)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
