//! The command line: what can be said, and which command it becomes.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use super::{
    audit,
    call::{self, Security, token::Token},
    check_config, health, sandbox, serve,
};
use crate::config::{self, Sources};

/// Exit code of a command line that cannot be understood (`EX_USAGE`).
const USAGE: u8 = 64;

/// One typed gRPC contract in front of commercial identity providers.
#[derive(Debug, Parser)]
#[command(name = "identity-gateway", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// TOML file with the configuration [env: IDGW_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one configuration key, such as `server.lame_duck=5s`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves gRPC
    Serve {
        /// Uses the built-in provider sandbox instead of the providers: no credential needed
        #[arg(long)]
        sandbox: bool,
        /// Address of the gRPC port (`server.listen`)
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<SocketAddr>,
        /// Address of the admin port (`admin.listen`)
        #[arg(long, value_name = "HOST:PORT")]
        admin_listen: Option<SocketAddr>,
    },
    /// Serves the provider sandbox alone, over HTTP
    Sandbox {
        /// Prints the table of magic ids and exits
        #[arg(long)]
        list: bool,
        /// Address of the sandbox (`sandbox.listen`)
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<SocketAddr>,
        /// Delay before each answer (`sandbox.delay`)
        #[arg(long, value_name = "DURATION")]
        delay: Option<String>,
    },
    /// Reports errors in the configuration, or prints the effective one with secrets redacted
    CheckConfig {
        /// Prints the JSON schema of the configuration instead
        #[arg(long)]
        schema: bool,
    },
    /// Checks the health of a running gateway; exit code 0 only on SERVING
    Health {
        /// The service; empty for the whole process
        #[arg(long, default_value = "")]
        service: String,
        /// Address of the gateway; default: the configured address
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
        /// How long to wait
        #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = duration)]
        timeout: Duration,
        #[command(flatten)]
        tls: TlsArgs,
    },
    /// Works with audit files
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Calls any RPC of a running gateway and prints JSON
    Call {
        /// `package.Service/Method`, `package.Service.Method`, or the bare name if only one has it
        method: String,
        /// The request as JSON; `-` reads it from standard input
        json: String,
        /// Address of the gateway; default: the configured address
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
        /// Request metadata as `name: value`; may be repeated
        #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
        headers: Vec<String>,
        /// A file with the token or key that is sent as `authorization: Bearer …`
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// The environment variable with that token or key
        #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
        token_env: Option<String>,
        /// The call's deadline
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
        #[command(flatten)]
        tls: TlsArgs,
    },
}

/// Without any of these, a gateway of this configuration is called as `server.tls` says, and one at another `--address` in plaintext.
#[derive(Debug, Args)]
struct TlsArgs {
    /// Use TLS; the server certificate must be issued by one of the system's CAs
    #[arg(long)]
    tls: bool,
    /// Use TLS; the server certificate must be issued by a CA in this PEM file
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The name that the server certificate must have; default: the host of the address
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
    /// PEM file with the client certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Verifies the hash chain: finds lines that were removed, changed, moved or truncated; exit code 0 only if there are none
    Verify(audit::Verify),
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Reads the command line and runs the command.
pub async fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _told = error.print();
            return ExitCode::from(code);
        }
    };
    let ConfigArgs { config, set } = cli.config;
    let sources = move |flags: Vec<(&str, Option<String>)>| {
        let flags = flags.into_iter();
        let flags = flags.filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Sources::from_process(config, set.into_iter().chain(flags).collect())
    };
    match cli.command {
        Command::Serve {
            sandbox,
            listen,
            admin_listen,
        } => {
            let flags = vec![
                ("server.listen", listen.map(|address| address.to_string())),
                (
                    "admin.listen",
                    admin_listen.map(|address| address.to_string()),
                ),
            ];
            let providers = if sandbox {
                serve::Providers::Sandbox
            } else {
                serve::Providers::Configured
            };
            serve::run(sources(flags), providers).await
        }
        Command::Sandbox { list: true, .. } => sandbox::list(),
        Command::Sandbox { listen, delay, .. } => {
            let flags = vec![
                ("sandbox.listen", listen.map(|address| address.to_string())),
                ("sandbox.delay", delay),
            ];
            sandbox::run(sources(flags)).await
        }
        Command::CheckConfig { schema } => {
            let output = if schema {
                check_config::Output::Schema
            } else {
                check_config::Output::Toml
            };
            check_config::run(sources(Vec::new()), output)
        }
        Command::Audit {
            command: AuditCommand::Verify(asked),
        } => audit::verify(&asked, || sources(Vec::new())),
        Command::Health {
            service,
            address,
            timeout,
            tls,
        } => match gateway(address, tls, || sources(Vec::new())) {
            Ok((address, security)) => {
                let (mut out, mut err) = (io::stdout(), io::stderr());
                health::run(&address, &security, &service, timeout, &mut out, &mut err).await
            }
            Err(code) => code,
        },
        Command::Call {
            method,
            json,
            address,
            headers,
            token_file,
            token_env,
            timeout,
            tls,
        } => match gateway(address, tls, || sources(Vec::new())) {
            Ok((address, security)) => {
                let args = call::CallArgs {
                    method,
                    json,
                    address,
                    security,
                    headers,
                    token: token_file
                        .map(Token::File)
                        .or(token_env.map(Token::Variable)),
                    timeout,
                };
                call::run(args, &mut io::stdout(), &mut io::stderr()).await
            }
            Err(code) => code,
        },
    }
}

/// Where the gateway is, and how it is reached: as said, and for the rest as `serve` is configured.
fn gateway(
    address: Option<String>,
    tls: TlsArgs,
    sources: impl FnOnce() -> Sources,
) -> Result<(String, Security), ExitCode> {
    let refused = |error: &dyn std::fmt::Display| {
        let _told = io::Write::write_fmt(&mut io::stderr(), format_args!("{error}\n"));
        ExitCode::from(USAGE)
    };
    let said = tls.tls || tls.tls_ca.is_some() || tls.tls_name.is_some() || tls.tls_cert.is_some();
    let own = tls.tls_cert.zip(tls.tls_key);
    let said = said.then(|| call::Tls {
        trust: tls.tls_ca.map_or(call::Trust::System, call::Trust::Cas),
        name: tls.tls_name,
        own,
    });
    let (address, configured) = match address {
        Some(address) => (address, None),
        None => {
            let settings = config::load(sources()).map_err(|error| refused(&error))?;
            let server = settings.server;
            (server.listen.to_string(), call::Tls::of_server(&server.tls))
        }
    };
    match said.or(configured) {
        None => Ok((address, Security::Plain)),
        Some(tls) => {
            let security = tls.load().map_err(|error| refused(&error))?;
            Ok((address, security))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
