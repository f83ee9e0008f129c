//! The command line: what can be said, and which command it becomes.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use super::{
    audit, audit_find,
    call::{self, Detail, Format, Security, Task, token::Token},
    check_config,
    completions::{self, Completions},
    health, sandbox, serve,
    terminal::{Problems, WARNING},
};
use crate::config::{self, Sources};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Exit code of a command line that cannot be understood (`EX_USAGE`).
const USAGE: u8 = 64;

/// One typed gRPC contract in front of commercial identity providers.
#[derive(Debug, Parser)]
#[command(name = "identity-gateway", propagate_version = true)]
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
        /// What the configuration is for
        #[arg(long = "for", value_enum, default_value_t = check_config::Purpose::Serve)]
        purpose: check_config::Purpose,
        /// Prints nothing if the configuration is accepted
        #[arg(long, short, conflicts_with = "schema")]
        quiet: bool,
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
    /// Prints a script that completes commands, options, methods and requests in a shell
    Completions(Completions),
    /// Works with audit files
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Calls any RPC of a running gateway and prints JSON
    Call {
        #[command(flatten)]
        task: CallTask,
        /// Prints the server's headers and trailers too, to standard error
        #[arg(long, short)]
        verbose: bool,
        /// How errors, headers and trailers are printed, to standard error
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
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
    /// Use TLS without verifying the server certificate: whoever is on the way can read and change the call
    #[arg(long, conflicts_with_all = ["tls_ca", "tls_name"])]
    insecure: bool,
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

// What `call` is asked for. No doc comment: clap would take it for that of the command.
#[derive(Debug, Args)]
struct CallTask {
    /// `package.Service/Method`, `package.Service.Method`, or the bare name if only one has it
    #[arg(required_unless_present = "list")]
    method: Option<String>,
    /// The request as JSON; `-` reads it from standard input, `@FILE` from a file
    #[arg(required_unless_present_any = ["list", "describe"], conflicts_with_all = ["list", "describe"])]
    json: Option<String>,
    /// Lists the server's methods, or those of the service METHOD, instead of calling one
    #[arg(long, conflicts_with = "describe")]
    list: bool,
    /// Describes METHOD, which may be a service, message or enum too, instead of calling it; `describe NAME` does the same
    #[arg(long)]
    describe: bool,
}

impl CallTask {
    /// The command line has seen to it that what each needs is there.
    fn task(self) -> Task {
        let (method, json) = (self.method, self.json.unwrap_or_default());
        match (self.list, self.describe) {
            (true, _) => Task::List(method),
            (false, true) => Task::Describe(method.unwrap_or_default()),
            // As grpcurl has it.
            (false, false) if method.as_deref() == Some("describe") => Task::Describe(json),
            (false, false) => Task::Call {
                method: method.unwrap_or_default(),
                json,
            },
        }
    }
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Verifies the hash chain: finds lines that were removed, changed, moved or truncated; exit code 0 only if there are none
    Verify(audit::Verify),
    /// Prints the records about one number, which is read from standard input; exit code 1 if there are none
    Find(audit_find::Find),
}

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// The command line with what `--version` says.
pub(super) fn command(version: &'static str) -> clap::Command {
    Cli::command().version(version)
}

/// Reads the command line and runs the command.
pub async fn run(version: &'static str) -> ExitCode {
    let parsed = command(version).try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
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
        Command::CheckConfig {
            schema,
            purpose,
            quiet,
        } => {
            let output = match (schema, quiet) {
                (true, _) => check_config::Output::Schema,
                (false, true) => check_config::Output::Nothing,
                (false, false) => check_config::Output::Toml,
            };
            check_config::run(sources(Vec::new()), purpose, output)
        }
        Command::Completions(asked) => completions::run(&asked, command(version)),
        Command::Audit {
            command: AuditCommand::Verify(asked),
        } => audit::verify(&asked, || sources(Vec::new())),
        Command::Audit {
            command: AuditCommand::Find(asked),
        } => audit_find::find(&asked, || sources(Vec::new())),
        Command::Health {
            service,
            address,
            timeout,
            tls,
        } => match gateway(address, tls, || sources(Vec::new())) {
            Ok((address, security)) => {
                let (mut out, mut err) = (io::stdout(), anstream::stderr());
                health::run(&address, &security, &service, timeout, &mut out, &mut err).await
            }
            Err(code) => code,
        },
        Command::Call {
            task,
            verbose,
            format,
            address,
            headers,
            token_file,
            token_env,
            timeout,
            tls,
        } => match gateway(address, tls, || sources(Vec::new())) {
            Ok((address, security)) => {
                let args = call::CallArgs {
                    task: task.task(),
                    detail: if verbose {
                        Detail::Metadata
                    } else {
                        Detail::Answer
                    },
                    format,
                    address,
                    security,
                    headers,
                    token: token_file
                        .map(Token::File)
                        .or(token_env.map(Token::Variable)),
                    timeout,
                };
                call::run(args, &mut io::stdout(), &mut anstream::stderr()).await
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
        let _told =
            io::Write::write_fmt(&mut anstream::stderr(), format_args!("{}", Problems(error)));
        ExitCode::from(USAGE)
    };
    let said = tls.tls
        || tls.insecure
        || tls.tls_ca.is_some()
        || tls.tls_name.is_some()
        || tls.tls_cert.is_some();
    if tls.insecure {
        let warning = "--insecure: the server certificate is not verified; whoever is on the way can read and change \
                       this call, its token included";
        let _told = io::Write::write_fmt(
            &mut anstream::stderr(),
            format_args!("{WARNING}warning:{WARNING:#} {warning}\n"),
        );
    }
    let own = tls.tls_cert.zip(tls.tls_key);
    let said = said.then(|| call::Tls {
        trust: match tls.insecure {
            true => call::Trust::Anybody,
            false => tls.tls_ca.map_or(call::Trust::System, call::Trust::Cas),
        },
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
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command("1").debug_assert();
    }

    #[test]
    fn what_call_is_asked_for_is_one_of_three() {
        let asked = |words: &str| {
            #[derive(Parser)]
            struct Line {
                #[command(flatten)]
                task: CallTask,
            }
            let words = std::iter::once("call").chain(words.split(' '));
            Line::try_parse_from(words)
                .ok()
                .map(|line| line.task.task())
        };
        for words in ["describe a.B", "--describe a.B", "a.B --describe"] {
            assert!(
                matches!(asked(words), Some(Task::Describe(name)) if name == "a.B"),
                "{words}"
            );
        }
        assert!(matches!(asked("--list a.B"), Some(Task::List(Some(name))) if name == "a.B"));
        assert!(matches!(asked("--list"), Some(Task::List(None))));
        assert!(matches!(asked("CheckCurp {}"), Some(Task::Call { .. })));
        for wrong in [
            "CheckCurp",
            "--list a.B {}",
            "--describe a.B {}",
            "--list --describe a.B",
        ] {
            assert!(asked(wrong).is_none(), "{wrong}");
        }
    }
}
