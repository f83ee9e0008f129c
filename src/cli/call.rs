//! `identity-gateway call METHOD JSON`: calls one RPC of a running gateway and prints the answer.
//!
//! The contract's own methods are known; of other services the server's reflection says what a method takes and
//! answers. The answer goes to `out` as indented proto JSON with the names of the proto, unset fields left out; everything
//! else goes to `err`. No message of this command repeats a value of the request.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | the RPC answered; the answer was printed |
//! | 1 | the RPC answered an error, or none in time |
//! | 64 | usage: METHOD, JSON, a header or the address is wrong, or the server has no such method |
//! | 69 | no connection, or the server offers no reflection and the method is none of the contract |
//! | 74 | standard input could not be read, or the answer could not be written |

mod codec;
pub(crate) mod connect;
mod headers;
mod json;
mod method;
pub(crate) mod print_error;
mod reflect;
mod security;
pub mod token;

use std::{
    error::Error as _,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{
    Request, Status, TimeoutExpired, client::Grpc, metadata::MetadataMap, transport::Channel,
};

pub use self::security::{Security, SecurityError, Tls, Trust};
use self::{
    codec::DynamicCodec,
    connect::{Address, ConnectError, connect},
    headers::HeaderError,
    json::JsonError,
    method::MethodName,
    reflect::{ReflectError, Reflection},
    token::{Token, TokenError},
};
use super::printable;

/// The largest answer that is read: four times what the gateway sends by default.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long connecting and asking what the method is may take.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than its deadline the end of an answer is waited for once it has begun.
const GRACE: Duration = Duration::from_millis(500);

/// The command line of `call`.
#[derive(Debug, Clone)]
pub struct CallArgs {
    /// `pkg.Service/Method`, `pkg.Service.Method`, `/pkg.Service/Method`, or `Method` if only one
    /// service has it.
    pub method: String,
    /// The request as proto JSON; `-` reads it from standard input.
    pub json: String,
    /// `HOST:PORT`. The unspecified address means loopback.
    pub address: String,
    /// Whether it is reached over TLS.
    pub security: Security,
    /// Request metadata, each `name: value`; also sent with the questions to the reflection service.
    pub headers: Vec<String>,
    /// The caller's own credential, sent with the headers as `authorization: Bearer …`.
    pub token: Option<Token>,
    /// How long the RPC may take; sent to the server as `grpc-timeout`. None: no limit.
    pub timeout: Option<Duration>,
}

/// Runs the command. The module says what the exit codes mean.
pub async fn run(args: CallArgs, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let answer = match call(args).await {
        Ok(answer) => writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .map_err(Failure::Output),
        Err(failure) => Err(failure),
    };
    let Err(failure) = answer else {
        return ExitCode::SUCCESS;
    };
    // If standard error is gone too there is nobody left to tell; the exit code stands.
    let _ = match &failure {
        Failure::Answer(status) => print_error::print(status, err),
        other => writeln!(err, "error: {}", printable::line(&other.to_string())),
    };
    failure.exit_code()
}

/// Why there is no answer to print.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("standard input: {0}")]
    Input(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("{0}")]
    Answer(Status),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Answer(_) => 1,
            Self::Usage(_) => 64,
            Self::Unavailable(_) => 69,
            Self::Input(_) | Self::Output(_) => 74,
        })
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Address(_) => Self::Usage(error.to_string()),
            ConnectError::Unreachable { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ReflectError> for Failure {
    fn from(error: ReflectError) -> Self {
        match error {
            // A status with a source was made on this side: the connection broke, or it is no gRPC.
            ReflectError::Refused(status) => match status.source() {
                Some(source) => Self::Unavailable(format!(
                    "no gRPC server answers: {}",
                    connect::innermost(source)
                )),
                None => Self::Answer(status),
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

async fn call(args: CallArgs) -> Result<String, Failure> {
    let method = MethodName::parse(&args.method)?;
    let mut headers = headers::parse(&args.headers)?;
    if let Some(token) = &args.token {
        headers::authorize(&mut headers, &token::read(token)?)?;
    }
    let address = Address::parse(&args.address)?;
    let json = match args.json.as_str() {
        "-" => json::parse(&read_stdin().await?)?,
        text => json::parse(text)?,
    };

    let discovery = async {
        let channel = connect(&address, &args.security, DISCOVERY_TIMEOUT).await?;
        let mut server = Reflection::new(channel.clone(), headers.clone());
        let method = method.resolve(&mut server).await?;
        Ok::<_, Failure>((channel, method))
    };
    let (channel, method) = tokio::time::timeout(DISCOVERY_TIMEOUT, discovery)
        .await
        .map_err(|_| {
            let seconds = DISCOVERY_TIMEOUT.as_secs();
            Failure::Unavailable(format!("{address} did not answer within {seconds} s"))
        })??;

    if method.is_client_streaming() || method.is_server_streaming() {
        let name = method.full_name();
        return Err(Failure::Usage(format!(
            "{name} is streaming; only unary methods can be called"
        )));
    }
    let request = json::read(&method.input(), json)?;
    let answer = send(channel, &method, request, headers, args.timeout)
        .await
        .map_err(|status| Failure::Answer(with_cause(status)))?;
    json::write(&answer).map_err(|_| {
        Failure::Answer(Status::internal(
            "the answer cannot be written as proto JSON",
        ))
    })
}

/// A status that was made on this side names what happened to the connection. The request may have arrived.
fn with_cause(status: Status) -> Status {
    match status.source().map(connect::innermost) {
        Some(cause) => Status::new(status.code(), format!("the connection broke: {cause}")),
        None => status,
    }
}

/// Reads standard input on a thread of its own: reading it blocks.
async fn read_stdin() -> Result<String, Failure> {
    tokio::task::spawn_blocking(|| io::read_to_string(io::stdin()))
        .await
        .map_err(|error| Failure::Input(io::Error::other(error)))?
        .map_err(Failure::Input)
}

async fn send(
    channel: Channel,
    method: &MethodDescriptor,
    message: DynamicMessage,
    headers: MetadataMap,
    timeout: Option<Duration>,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path)
        .map_err(|_| Status::internal("the method's name is not a path"))?;
    let mut request = Request::new(message);
    *request.metadata_mut() = headers;

    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let Some(timeout) = timeout else {
        return unary(&mut grpc, request, path, method).await;
    };
    request.set_timeout(timeout);
    let late = || {
        let shown = humantime::format_duration(timeout);
        Status::deadline_exceeded(format!("no answer within {shown}"))
    };
    // Two clocks: tonic's runs until the headers of the answer, ours until its end.
    match tokio::time::timeout(timeout + GRACE, unary(&mut grpc, request, path, method)).await {
        Err(_) => Err(late()),
        Ok(Err(status)) if was_local_timeout(&status) => Err(late()),
        Ok(answer) => answer,
    }
}

async fn unary(
    grpc: &mut Grpc<Channel>,
    request: Request<DynamicMessage>,
    path: PathAndQuery,
    method: &MethodDescriptor,
) -> Result<DynamicMessage, Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let codec = DynamicCodec::new(method.output());
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

/// tonic reports its own timer as CANCELLED; nobody cancelled anything.
fn was_local_timeout(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}
