//! Why there is no answer to print, with the exit code of each.

use std::{error::Error as _, io, process::ExitCode};

use serde_json::json;
use tonic::Status;

use super::{
    Format,
    connect::{self, Address, ConnectError},
    headers::HeaderError,
    json::JsonError,
    print_error,
    reflect::ReflectError,
    security::Security,
    tls_words,
    token::TokenError,
};
use crate::cli::{printable, terminal::ERROR};

/// Exit code of what is wrong with the command line (`EX_USAGE`), and to which a gRPC code is added.
const USAGE: u8 = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What was said cannot be done.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or not in this language. Nothing was called.
    #[error("{0}")]
    Unavailable(String),
    /// The request cannot be read.
    #[error("{0}: {1}")]
    Input(String, io::Error),
    /// The answer cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The RPC ended with an error.
    #[error("{0}")]
    Answer(Status),
}

impl Failure {
    /// Of a call that was sent. What happened to the connection is named; the request may have arrived, unless the
    /// port speaks another language.
    pub(super) async fn of_call(status: Status, address: &Address, security: &Security) -> Self {
        let Some(cause) = status.source().map(connect::innermost) else {
            return Self::Answer(status);
        };
        let known = tls_words::explained(address.as_str(), security, &cause).await;
        match known == cause {
            true => Self::Answer(Status::new(
                status.code(),
                format!("the connection broke: {cause}"),
            )),
            false => Self::Unavailable(known),
        }
    }

    /// The same, with what a broken connection means.
    pub(super) async fn explained(self, address: &Address, security: &Security) -> Self {
        match self {
            Self::Unavailable(why) if why.starts_with(NO_GRPC) => {
                Self::Unavailable(tls_words::explained(address.as_str(), security, &why).await)
            }
            other => other,
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Answer(status) => {
                u8::try_from(i32::from(status.code())).map_or(USAGE, |code| USAGE + code)
            }
            Self::Usage(_) => USAGE,
            Self::Unavailable(_) => 1,
            Self::Input(..) | Self::Output(_) => 2,
        })
    }

    pub(super) fn print(&self, format: Format, err: &mut impl io::Write) -> io::Result<()> {
        match (self, format) {
            (Self::Answer(status), Format::Text) => print_error::print(status, err),
            (Self::Answer(status), Format::Json) => {
                writeln!(
                    err,
                    "{}",
                    printable::json(&print_error::json(status).to_string())
                )
            }
            (other, Format::Text) => {
                writeln!(
                    err,
                    "{ERROR}error:{ERROR:#} {}",
                    printable::line(&other.to_string())
                )
            }
            (other, Format::Json) => {
                let text = json!({ "error": { "message": other.to_string() } }).to_string();
                writeln!(err, "{}", printable::json(&text))
            }
        }
    }
}

/// How a sentence about a port of another language begins.
const NO_GRPC: &str = "no gRPC server answers";

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
                Some(source) => {
                    Self::Unavailable(format!("{NO_GRPC}: {}", connect::innermost(source)))
                }
                None => Self::Answer(status),
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}
