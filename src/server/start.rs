//! Binds the ports, puts the services together, serves, and leaves in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prost_reflect::DescriptorError;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tonic::{codec::CompressionEncoding, service::Routes};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::{
    v1::server_reflection_server::ServerReflectionServer,
    v1alpha::server_reflection_server::ServerReflectionServer as AlphaServer,
};
use tower_layer::Layer as _;

use super::{
    admin, admin_port,
    admission::Admission,
    call_layer::{CallLayer, Times},
    connections::Connections,
    grpc_only::GrpcOnlyLayer,
    health::HealthService,
    lifecycle::{Lifecycle, Phase},
    listener, memory,
    page::{Fixed, Page, Sources},
    passing,
    quota::Quota,
    reflection::Reflection,
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
    /// Reflection cannot be made of the descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] DescriptorError),
    /// The system gives no signals.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// How long connections have to hear of an end that nobody waits for.
const FAREWELL: Duration = Duration::from_millis(200);

/// What SIGINT does. SIGTERM, which supervisors send, always begins with the lame-duck time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The same as SIGTERM.
    Terminate,
    /// On a terminal: nobody has to hear of it before calls are refused, but calls in flight, which may be paid for,
    /// finish.
    Drain,
    /// In the sandbox, where nothing can be lost: the end.
    Exit,
}

/// A server with its ports, ready to run.
#[derive(Debug)]
pub struct Serving {
    grpc: TcpListener,
    admin: TcpListener,
    interrupt: Interrupt,
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
        interrupt: Interrupt::Terminate,
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
    /// Says what SIGINT does.
    #[must_use]
    pub fn on_interrupt(self, interrupt: Interrupt) -> Self {
        Self { interrupt, ..self }
    }

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
        let left = door.left();
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
        let page = Page::start(
            Fixed::of(settings, self.grpc_address, &policies, max_memory),
            Sources {
                lifecycle: lifecycle.clone(),
                health: health.clone(),
                circuits: circuits(&gateway),
                left,
            },
        );
        let (requests, answers) = (
            settings.server.max_request_bytes,
            settings.server.max_response_bytes,
        );
        let gzip = CompressionEncoding::Gzip;
        let identity = IdentityServiceServer::new(Identity::new(&gateway)?)
            .accept_compressed(gzip)
            .send_compressed(gzip)
            .max_decoding_message_size(requests)
            .max_encoding_message_size(answers);
        let persons = PersonServiceServer::new(Persons::new(gateway.clone())?)
            .accept_compressed(gzip)
            .send_compressed(gzip)
            .max_decoding_message_size(requests)
            .max_encoding_message_size(answers);
        let health = HealthServer::new(health)
            .accept_compressed(gzip)
            .max_decoding_message_size(passing::BYTES);
        let mut routes = Routes::new(health)
            .add_service(identity)
            .add_service(persons);
        if settings.server.reflection {
            let reflection = Reflection::new()?;
            let (v1, v1alpha) = (
                ServerReflectionServer::new(reflection.clone()),
                AlphaServer::new(reflection),
            );
            routes = routes
                .add_service(
                    v1.accept_compressed(gzip)
                        .max_decoding_message_size(passing::BYTES),
                )
                .add_service(
                    v1alpha
                        .accept_compressed(gzip)
                        .max_decoding_message_size(passing::BYTES),
                );
        }
        let service = UnreadLayer::default()
            .layer(GrpcOnlyLayer.layer(recorded.layer(layer.layer(routes.prepare()))));

        let mut signals = Signals::listen()?;
        tokio::spawn(page.keep());
        let routes = admin::routes(lifecycle.clone(), page);
        let admin = tokio::spawn(admin_port::serve(self.admin, routes));
        let incoming = listener::incoming(self.grpc, tls, &limits(settings, max_memory));
        tokio::spawn(reload::run(watches, settings.server.reload_interval.get()));
        let server = Connections::new(&settings.server, lifecycle.clone()).serve(incoming, service);
        ready();
        let leaving = leave(&mut signals, &lifecycle, settings, self.interrupt);
        tokio::select! {
            () = async {
                server.await;
                // A create whose caller gave up runs to its end, and the other replicas wait to hear of it.
                gateway.finished().await;
            } => {}
            end = leaving => match end {
                End::OutOfTime => {
                    tracing::warn!("drain timeout passed: calls in flight are cancelled");
                }
                End::Interrupted => {}
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

/// Why the calls in flight are not waited for any longer.
enum End {
    OutOfTime,
    Interrupted,
}

/// Goes through the phases; returns when the calls in flight have had their time.
async fn leave(
    signals: &mut Signals,
    lifecycle: &Lifecycle,
    settings: &Settings,
    interrupt: Interrupt,
) -> End {
    let server = &settings.server;
    let first = signals.next().await;
    let terminated = first == Signal::Terminate || interrupt == Interrupt::Terminate;
    if !terminated && interrupt == Interrupt::Exit {
        lifecycle.enter(Phase::Draining);
        tokio::time::sleep(FAREWELL).await;
        return End::Interrupted;
    }
    if terminated {
        lifecycle.enter(Phase::LameDuck);
        tracing::info!(
            lame_duck = %server.lame_duck,
            "lame duck: health is NOT_SERVING, new calls are still accepted"
        );
        tokio::select! {
            () = tokio::time::sleep(server.lame_duck.get()) => {}
            _ = signals.next() => {}
        }
    }
    lifecycle.enter(Phase::Draining);
    tracing::info!(
        drain_timeout = %server.drain_timeout,
        "draining: new calls are refused, calls in flight finish"
    );
    tokio::select! {
        () = tokio::time::sleep(server.drain_timeout.get()) => {}
        _ = signals.next() => {}
    }
    End::OutOfTime
}

/// Which of the two came.
#[derive(PartialEq, Eq)]
enum Signal {
    Terminate,
    Interrupt,
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

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}
