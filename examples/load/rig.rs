//! What stands around the load: gateway instances, Redis, Envoy.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use identity_gateway::sandbox;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    Failed,
    children::{Child, PATIENCE},
};

/// A gateway that can be ended and started again on the same ports.
pub struct Instance<'a> {
    name: String,
    program: &'a Path,
    directory: &'a Path,
    environment: Vec<(String, String)>,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// The process.
    pub process: Child,
}

impl<'a> Instance<'a> {
    /// Starts one that asks all three providers at one URL, and waits until it serves.
    pub async fn start(
        name: &str,
        program: &'a Path,
        directory: &'a Path,
        ports: [SocketAddr; 2],
        providers: &str,
        settings: &[(&str, String)],
    ) -> Result<Self, Failed> {
        let mut instance = Self::spawn(name, program, directory, ports, providers, settings)?;
        instance.serving().await?;
        Ok(instance)
    }

    /// Starts one.
    pub fn spawn(
        name: &str,
        program: &'a Path,
        directory: &'a Path,
        [grpc, admin]: [SocketAddr; 2],
        providers: &str,
        settings: &[(&str, String)],
    ) -> Result<Self, Failed> {
        let common = [
            ("SERVER__LISTEN", grpc.to_string()),
            ("ADMIN__LISTEN", admin.to_string()),
            ("AUTH__MODE", "none".to_owned()),
            ("LOG__FILTER", "error".to_owned()),
            ("PROVIDERS__VERIFIK__BASE_URL", providers.to_owned()),
            (
                "PROVIDERS__VERIFIK__TOKEN",
                sandbox::VERIFIK_TOKEN.to_owned(),
            ),
            ("PROVIDERS__YOUVERIFY__BASE_URL", providers.to_owned()),
            (
                "PROVIDERS__YOUVERIFY__TOKEN",
                sandbox::YOUVERIFY_TOKEN.to_owned(),
            ),
            ("PROVIDERS__ACCUAUTH__BASE_URL", providers.to_owned()),
            (
                "PROVIDERS__ACCUAUTH__API_ID",
                sandbox::ACCUAUTH_API_ID.to_owned(),
            ),
            (
                "PROVIDERS__ACCUAUTH__API_SECRET",
                sandbox::ACCUAUTH_API_SECRET.to_owned(),
            ),
        ];
        let environment: Vec<_> = common
            .iter()
            .chain(settings)
            .map(|(key, value)| match key.starts_with("OTEL_") {
                true => ((*key).to_owned(), value.clone()),
                false => (format!("IDGW_{key}"), value.clone()),
            })
            .collect();
        let process = spawn(name, program, directory, &environment)?;
        Ok(Self {
            name: name.to_owned(),
            program,
            directory,
            environment,
            grpc,
            process,
        })
    }

    /// Ends it by SIGTERM, which must make it exit with 0, and starts it anew. How long it took to leave.
    pub async fn restart(&mut self) -> Result<Duration, Failed> {
        let asked = Instant::now();
        let status = self.process.terminate().await?;
        let left = asked.elapsed();
        if status.code() != Some(0) {
            return Err(self.process.tell(&format!("left with {status}")));
        }
        self.process = spawn(&self.name, self.program, self.directory, &self.environment)?;
        self.serving().await?;
        Ok(left)
    }

    async fn serving(&mut self) -> Result<(), Failed> {
        let channel = channel(self.grpc)?;
        self.process.ready(|| is_serving(channel.clone())).await
    }
}

fn spawn(
    name: &str,
    program: &Path,
    directory: &Path,
    environment: &[(String, String)],
) -> Result<Child, Failed> {
    Child::start(name, program, &["serve".to_owned()], environment, directory)
}

/// A connection that is made when it is first needed.
pub fn channel(address: SocketAddr) -> Result<Channel, Failed> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect_timeout(PATIENCE).connect_lazy())
}

/// Whether the health service says SERVING.
pub async fn is_serving(channel: Channel) -> bool {
    let asked = HealthCheckRequest::default();
    let answer = HealthClient::new(channel).check(asked).await;
    answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}

/// Starts a Redis that keeps nothing on disk.
pub async fn redis(program: &Path, directory: &Path, at: SocketAddr) -> Result<Child, Failed> {
    let arguments = ["--port", &at.port().to_string(), "--bind", "127.0.0.1"];
    let volatile = ["--save", "", "--appendonly", "no", "--daemonize", "no"];
    let words = arguments
        .iter()
        .chain(&volatile)
        .map(|word| (*word).to_owned());
    let words: Vec<_> = words.collect();
    let mut redis = Child::start("redis", program, &words, &[], directory)?;
    let answers = || async { tokio::net::TcpStream::connect(at).await.is_ok() };
    redis.ready(answers).await?;
    Ok(redis)
}

/// Starts an Envoy in front of the instances, and waits until it has asked each for its health.
pub async fn envoy(
    program: &Path,
    directory: &Path,
    [listen, admin]: [SocketAddr; 2],
    instances: &[SocketAddr],
) -> Result<Child, Failed> {
    let endpoint = |at: &SocketAddr| {
        let port = at.port();
        format!(
            "{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}"
        )
    };
    let endpoints: Vec<_> = instances.iter().map(endpoint).collect();
    let config = include_str!("envoy.yaml")
        .replace("LISTEN_PORT", &listen.port().to_string())
        .replace("ADMIN_PORT", &admin.port().to_string())
        .replace("ENDPOINTS", &endpoints.join(", "));
    let path = directory.join("envoy.yaml");
    std::fs::write(&path, config)?;
    let path = path.to_string_lossy().into_owned();
    let words = ["--config-path", &path, "--concurrency", "1"];
    let quiet = ["--disable-hot-restart", "--log-level", "warn"];
    let words = words.iter().chain(&quiet).map(|word| (*word).to_owned());
    let words: Vec<_> = words.collect();
    let mut envoy = Child::start("envoy", program, &words, &[], directory)?;
    let ready = format!("http://{admin}/ready");
    envoy.ready(|| is_ok(&ready)).await?;
    Ok(envoy)
}

/// Whether a GET is answered with 200.
pub async fn is_ok(url: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    match client.build() {
        Ok(client) => client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status() == 200),
        Err(_) => false,
    }
}
