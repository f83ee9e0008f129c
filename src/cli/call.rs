//! `identity-gateway call METHOD JSON`: calls one RPC of a running gateway and prints the answer.
//!
//! The contract's own methods are known; of other services the server's reflection says what a method takes and
//! answers. The answer goes to `out` as indented proto JSON with the names of the proto, unset fields left out; everything
//! else goes to `err`. No message of this command repeats a value of the request.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | the RPC answered; the answer was printed |
//! | 1 | no connection, or the server offers no reflection and the method is none of the contract |
//! | 2 | standard input or a file could not be read, or the answer could not be written |
//! | 64 | usage: METHOD, JSON, a header or the address is wrong, or the server has no such method |
//! | 64 + CODE | the RPC answered an error of this gRPC code, as grpcurl says it: 67 is INVALID_ARGUMENT; 68 also if there was no answer in time |

mod codec;
pub(crate) mod complete;
pub(crate) mod connect;
mod describe;
mod failure;
mod headers;
mod heard;
mod json;
mod method;
mod partial_json;
pub(crate) mod print_error;
mod reflect;
mod security;
pub(crate) mod tls_words;
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
    connect::{Address, connect},
    failure::Failure,
    heard::Heard,
    method::MethodName,
    reflect::Reflection,
    token::Token,
};
use super::{printable, terminal::Progress};

/// The largest answer that is read: four times what the gateway sends by default.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long connecting and asking what the method is may take.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than its deadline the end of an answer is waited for once it has begun.
const GRACE: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// One RPC.
    Call {
        /// `pkg.Service/Method`, `pkg.Service.Method`, `/pkg.Service/Method`, or `Method` if only one
        /// service has it.
        method: String,
        /// The request as proto JSON; `-` reads it from standard input, `@FILE` from a file.
        json: String,
    },
    /// The methods of the server, or of one of its services.
    List(Option<String>),
    /// What a service, method, message or enumeration is.
    Describe(String),
}

/// What is printed besides the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    Answer,
    /// The server's headers and trailers, to `err`.
    Metadata,
}

/// How errors are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// As one JSON object on a line.
    Json,
}

/// The command line of `call`.
#[derive(Debug, Clone)]
pub struct CallArgs {
    /// What is asked for.
    pub task: Task,
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
    /// What is printed besides the answer.
    pub detail: Detail,
    /// How errors are printed.
    pub format: Format,
}

/// Runs the command. The module says what the exit codes mean.
pub async fn run(args: CallArgs, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let (detail, format) = (args.detail, args.format);
    let mut heard = Heard::default();
    let answer = call(args, &mut heard).await;
    // If standard error is gone there is nobody left to tell; the exit code stands.
    if detail == Detail::Metadata {
        let _ = heard.print(format, err);
    }
    let answer = answer.and_then(|answer| {
        let printed = writeln!(out, "{answer}").and_then(|()| out.flush());
        printed.map_err(Failure::Output)
    });
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = failure.print(format, err);
            failure.exit_code()
        }
    }
}

async fn call(args: CallArgs, heard: &mut Heard) -> Result<String, Failure> {
    let mut headers = headers::parse(&args.headers)?;
    if let Some(token) = &args.token {
        headers::authorize(&mut headers, &token::read(token)?)?;
    }
    let address = Address::parse(&args.address)?;
    let (method, json) = match &args.task {
        Task::Call { method, json } => (method, request(json).await?),
        Task::List(service) => {
            let _waiting = waiting(&args);
            let asked =
                async |server: &mut Reflection| describe::list(server, service.as_deref()).await;
            let (_, text) = discover(&address, &args.security, headers, asked).await?;
            return Ok(text);
        }
        Task::Describe(name) => {
            let _waiting = waiting(&args);
            let asked = async |server: &mut Reflection| describe::describe(server, name).await;
            let (_, text) = discover(&address, &args.security, headers, asked).await?;
            return Ok(text);
        }
    };
    let name = MethodName::parse(method)?;
    let _waiting = waiting(&args);
    let asked = async |server: &mut Reflection| name.resolve(server).await;
    let (channel, method) = discover(&address, &args.security, headers.clone(), asked).await?;

    if method.is_client_streaming() || method.is_server_streaming() {
        let name = method.full_name();
        return Err(Failure::Usage(format!(
            "{name} is streaming; only unary methods can be called"
        )));
    }
    let request = json::read(&method.input(), json)?;
    let answer = send(channel, &method, request, headers, args.timeout, heard).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => {
            heard.trailers = Some(status.metadata().clone());
            return Err(Failure::of_call(status, &address, &args.security).await);
        }
    };
    json::write(&answer).map_err(|_| {
        Failure::Answer(Status::internal(
            "the answer cannot be written as proto JSON",
        ))
    })
}

/// Says whom it waits for. Begun once the request is read: whoever types it is not disturbed.
fn waiting(args: &CallArgs) -> Progress {
    let address = printable::line(&args.address);
    let limit = args.timeout.map(humantime::format_duration);
    let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    Progress::start(move |passed| format!("waiting for {address}: {} s{limit}", passed.as_secs()))
}

/// Connects, and asks the server what it is.
async fn discover<T>(
    address: &Address,
    security: &Security,
    headers: MetadataMap,
    asked: impl AsyncFnOnce(&mut Reflection) -> Result<T, Failure>,
) -> Result<(Channel, T), Failure> {
    let discovery = async {
        let channel = connect(address, security, DISCOVERY_TIMEOUT).await?;
        let mut server = Reflection::new(channel.clone(), headers);
        Ok::<_, Failure>((channel, asked(&mut server).await?))
    };
    match tokio::time::timeout(DISCOVERY_TIMEOUT, discovery).await {
        Ok(Err(failure)) => Err(failure.explained(address, security).await),
        Ok(found) => found,
        Err(_) => {
            let seconds = DISCOVERY_TIMEOUT.as_secs();
            Err(Failure::Unavailable(format!(
                "{address} did not answer within {seconds} s"
            )))
        }
    }
}

/// The request, from where the command line says it is.
async fn request(said: &str) -> Result<serde_json::Value, Failure> {
    let text = match (said, said.strip_prefix('@')) {
        ("-", _) => read(|| io::read_to_string(io::stdin()))
            .await
            .map_err(|error| Failure::Input("standard input".to_owned(), error))?,
        (_, Some(file)) => {
            let path = file.to_owned();
            read(move || std::fs::read_to_string(path))
                .await
                .map_err(|error| Failure::Input(file.to_owned(), error))?
        }
        _ => return Ok(json::parse(said)?),
    };
    Ok(json::parse(&text)?)
}

/// On a thread of its own: reading blocks.
async fn read(from: impl FnOnce() -> io::Result<String> + Send + 'static) -> io::Result<String> {
    tokio::task::spawn_blocking(from)
        .await
        .map_err(io::Error::other)?
}

async fn send(
    channel: Channel,
    method: &MethodDescriptor,
    message: DynamicMessage,
    headers: MetadataMap,
    timeout: Option<Duration>,
    heard: &mut Heard,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path)
        .map_err(|_| Status::internal("the method's name is not a path"))?;
    let mut request = Request::new(message);
    *request.metadata_mut() = headers;

    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
    let Some(timeout) = timeout else {
        return unary(&mut grpc, request, path, method, heard).await;
    };
    request.set_timeout(timeout);
    let late = || {
        let shown = humantime::format_duration(timeout);
        Status::deadline_exceeded(format!("no answer within {shown}"))
    };
    // Two clocks: tonic's runs until the headers of the answer, ours until its end.
    let answer = unary(&mut grpc, request, path, method, heard);
    match tokio::time::timeout(timeout + GRACE, answer).await {
        Err(_) => Err(late()),
        Ok(Err(status)) if was_local_timeout(&status) => Err(late()),
        Ok(answer) => answer,
    }
}

/// One message there and one back. Asked as a stream of answers, because only that tells headers from trailers.
async fn unary(
    grpc: &mut Grpc<Channel>,
    request: Request<DynamicMessage>,
    path: PathAndQuery,
    method: &MethodDescriptor,
    heard: &mut Heard,
) -> Result<DynamicMessage, Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let codec = DynamicCodec::new(method.output());
    let (headers, mut answers, _) = grpc
        .server_streaming(request, path, codec)
        .await?
        .into_parts();
    heard.headers = Some(headers);
    let answer = answers.message().await?;
    let answer = answer.ok_or_else(|| Status::internal("the server answered no message"))?;
    if answers.message().await?.is_some() {
        return Err(Status::internal("the server answered two messages to one"));
    }
    heard.trailers = answers.trailers().await?;
    Ok(answer)
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
