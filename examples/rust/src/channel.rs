//! The channel and what every call carries, by the environment: TLS if there is a CA file, a token if there is a token
//! file, trace context always.

use std::{env, error::Error, fs, path::PathBuf};

use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::Interceptor,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use uuid::Uuid;

/// What the gateway sends at most (`server.max_response_bytes`). Libraries take 4 MiB unless told otherwise, which is too
/// little for images and documents.
pub const LARGEST_REPLY: usize = 16 << 20;

/// The gateway's address.
pub fn address() -> String {
    env::var("GATEWAY_ADDRESS").unwrap_or_else(|_| "localhost:50051".to_owned())
}

/// Connects when the first call is made, and again whenever the connection is lost. tonic does not wait for a gateway that
/// cannot be reached: the call fails at once.
pub fn connect(address: &str) -> Result<Channel, Box<dyn Error>> {
    let endpoint = match env::var_os("GATEWAY_CA_FILE") {
        Some(file) => {
            let authority = Certificate::from_pem(fs::read(file)?);
            let tls = ClientTlsConfig::new().ca_certificate(authority);
            Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?
        }
        None if env::var_os("GATEWAY_TOKEN_FILE").is_some() => {
            return Err(
                "GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear".into(),
            );
        }
        None => Endpoint::from_shared(format!("http://{address}"))?,
    };
    Ok(endpoint.connect_lazy())
}

/// Says with each call who calls, and in which trace.
#[derive(Clone)]
pub struct Identification {
    trace_id: String,
    token_file: Option<PathBuf>,
}

impl Identification {
    pub fn from_env() -> Result<Self, Box<dyn Error>> {
        let trace_id = match env::var("TRACEPARENT") {
            Ok(parent) => parent
                .split('-')
                .nth(1)
                .ok_or("TRACEPARENT is not W3C trace context")?
                .to_owned(),
            Err(_) => Uuid::new_v4().simple().to_string(),
        };
        let token_file = env::var_os("GATEWAY_TOKEN_FILE").map(PathBuf::from);
        Ok(Self {
            trace_id,
            token_file,
        })
    }

    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }
}

impl Interceptor for Identification {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, inject
        // the current span's context here instead.
        let span_id = &Uuid::new_v4().simple().to_string()[..16];
        let traceparent = format!("00-{}-{span_id}-01", self.trace_id);
        request
            .metadata_mut()
            .insert("traceparent", ascii(&traceparent)?);
        // The file is read each time: tokens are renewed in place.
        if let Some(file) = &self.token_file {
            let token = fs::read_to_string(file)
                .map_err(|error| Status::unauthenticated(error.to_string()))?;
            let mut authorization = ascii(&format!("Bearer {}", token.trim()))?;
            authorization.set_sensitive(true);
            request
                .metadata_mut()
                .insert("authorization", authorization);
        }
        Ok(request)
    }
}

fn ascii(text: &str) -> Result<MetadataValue<tonic::metadata::Ascii>, Status> {
    text.parse()
        .map_err(|_| Status::internal("metadata must be visible ASCII"))
}
