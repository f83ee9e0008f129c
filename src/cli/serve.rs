//! `serve`: the gRPC server, with the provider sandbox inside if asked for.
//!
//! Exit codes: 0 after a signal and a drain, 64 if the configuration is refused, 1 if a port is not
//! to be had or the server falls.

use std::{
    io::{self, IsTerminal as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::SystemTime,
};

use tokio::net::TcpListener;

use crate::{
    cli::{look_in, terminal::Problems},
    config::{self, BaseUrl, ProviderState, Settings, Sources, Warning},
    domain::{redaction::Secret, verification::Provider},
    sandbox,
    server::{self, Interrupt, ServeError},
    telemetry::{logging::Style, setup::Telemetry},
};

/// Exit code of a configuration that is refused (`EX_USAGE`).
const REFUSED: u8 = 64;

/// Where the answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Providers {
    /// From the providers, as configured.
    Configured,
    /// From the sandbox, over loopback HTTP.
    Sandbox,
}

/// Runs the command.
pub async fn run(sources: Sources, providers: Providers) -> ExitCode {
    let loaded = config::load(sources).and_then(|settings| {
        settings.validate_for_serve(providers == Providers::Sandbox)?;
        Ok(settings)
    });
    let mut settings = match loaded {
        Ok(settings) => settings,
        Err(error) => return refuse(REFUSED, &error),
    };
    let telemetry = match Telemetry::start(&settings.log, &settings.telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(1, &error),
    };
    let served = serve(&mut settings, providers, telemetry.style).await;
    if served.is_ok() {
        tracing::info!("stopped");
    }
    telemetry.end().await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(1, &error),
    }
}

fn refuse(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    // With standard error closed there is nobody to tell.
    let _told = write!(anstream::stderr(), "{}", Problems(error));
    ExitCode::from(code)
}

async fn serve(
    settings: &mut Settings,
    providers: Providers,
    style: Style,
) -> Result<(), ServeError> {
    let mut warnings = settings.warnings_of_callers();
    let (sandbox, interrupt) = match providers {
        Providers::Sandbox => (Some(start_sandbox(settings).await?), Interrupt::Exit),
        Providers::Configured => {
            warnings.extend(settings.warnings_of_providers(SystemTime::now()));
            let terminal = io::stdin().is_terminal();
            (
                None,
                if terminal {
                    Interrupt::Drain
                } else {
                    Interrupt::Terminate
                },
            )
        }
    };
    for Warning { name, key, problem } in warnings {
        tracing::warn!(warning = name, key, problem, "set-up");
    }
    let serving = server::bind(settings).await?.on_interrupt(interrupt);
    let serves = Serves {
        grpc: serving.grpc_address,
        admin: serving.admin_address,
        sandbox,
        look_in: look_in::line(settings, serving.grpc_address),
        states: settings.providers.states(),
    };
    serving.run(settings, || announce(style, &serves)).await
}

/// Starts the sandbox where `sandbox.listen` says, else on a free loopback port, and points every adapter at it.
async fn start_sandbox(settings: &mut Settings) -> Result<SocketAddr, ServeError> {
    let (key, address) = match settings.sandbox.listen {
        Some(address) => ("sandbox.listen", address),
        None => ("--sandbox", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
    };
    let failed = |source| ServeError::Bind {
        key,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = look_in::reached(listener.local_addr().map_err(failed)?);
    let url = format!("http://{bound}");
    let options = sandbox::Options {
        delay: settings.sandbox.delay.get(),
        fixtures: settings.sandbox.fixtures.clone(),
    };
    tokio::spawn(async move {
        if let Err(error) = sandbox::serve(listener, options, std::future::pending()).await {
            tracing::error!(%error, "sandbox failed");
        }
    });
    let url = url.parse::<BaseUrl>().map_err(|_| {
        failed(io::Error::other(
            "the sandbox's own address is not a base URL",
        ))
    })?;
    point_at_sandbox(&mut settings.providers, &url);
    Ok(bound)
}

/// Nothing of the real providers may reach the sandbox: no credential from a file, no path that only they have.
fn point_at_sandbox(providers: &mut config::Providers, url: &BaseUrl) {
    let secret = |text: &str| Some(Secret::new(text));
    for provider in Provider::ALL {
        match provider {
            Provider::Verifik => {
                let verifik = &mut providers.verifik;
                verifik.point_at_sandbox(url.clone());
                verifik.token = secret(sandbox::VERIFIK_TOKEN);
                verifik.token_file = None;
                verifik.persons_path = config::Verifik::default().persons_path;
            }
            Provider::Youverify => {
                let youverify = &mut providers.youverify;
                youverify.point_at_sandbox(url.clone());
                youverify.token = secret(sandbox::YOUVERIFY_TOKEN);
                youverify.token_file = None;
                youverify.id_types = config::IdTypes::default();
            }
            Provider::Accuauth => {
                let accuauth = &mut providers.accuauth;
                accuauth.point_at_sandbox(url.clone());
                accuauth.api_id = secret(sandbox::ACCUAUTH_API_ID);
                accuauth.api_id_file = None;
                accuauth.api_secret = secret(sandbox::ACCUAUTH_API_SECRET);
                accuauth.api_secret_file = None;
            }
        }
    }
}

const fn word(state: ProviderState) -> &'static str {
    match state {
        ProviderState::Live => "live",
        ProviderState::Sandbox => "sandbox",
        ProviderState::NotConfigured => "disabled (no credential)",
    }
}

/// What is said once calls are taken.
struct Serves {
    grpc: SocketAddr,
    admin: SocketAddr,
    /// The sandbox's own address.
    sandbox: Option<SocketAddr>,
    look_in: String,
    states: [(Provider, ProviderState); Provider::ALL.len()],
}

/// Says where calls are taken, which providers answer, and how to look in.
fn announce(style: Style, serves: &Serves) {
    let Serves {
        grpc,
        admin,
        states,
        ..
    } = serves;
    let [(_, verifik), (_, youverify), (_, accuauth)] =
        states.map(|(provider, state)| (provider, word(state)));
    let sandbox = serves.sandbox.map(|address| address.to_string());
    let look_in = (style == Style::Json).then_some(serves.look_in.as_str());
    tracing::info!(%grpc, %admin, sandbox, verifik, youverify, accuauth, look_in, "serving");
    if style == Style::Text {
        let reached = look_in::reached(*admin);
        let mut text = format!("\n  gRPC      {grpc}\n  admin     http://{reached}/\n");
        if let Some(address) = sandbox {
            text.push_str(&format!("  sandbox   http://{address}/_sandbox\n"));
        }
        for (provider, state) in states {
            text.push_str(&format!("  {:<9} {}\n", provider.as_str(), word(*state)));
        }
        text.push_str(&format!("\n  Try:  {}\n\n", serves.look_in));
        // The log line above has said it all to whoever does not read this.
        let _told = io::stdout().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who adds a key that names a credential's file has to think of the sandbox.
    #[test]
    fn nothing_of_the_real_providers_reaches_the_sandbox() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"http://canary.example").unwrap();
        let path = file.path().display();
        let mut text = String::new();
        let schema = Settings::schema();
        for provider in Provider::ALL {
            let section = &schema["properties"]["providers"]["properties"][provider.as_str()];
            let keys = section["properties"].as_object().unwrap();
            text.push_str(&format!(
                "[providers.{provider}]\nbase_url = 'https://canary'\n"
            ));
            for secret in keys.keys().filter(|key| keys[*key]["x-secret"] == true) {
                text.push_str(&format!("{secret}_file = '{path}'\n"));
            }
        }
        let configuration = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(configuration.path(), text).unwrap();
        let mut settings = config::load(Sources {
            file: Some(configuration.path().to_owned()),
            ..Sources::default()
        })
        .unwrap();
        point_at_sandbox(
            &mut settings.providers,
            &"http://127.0.0.1:1".parse().unwrap(),
        );
        for provider in Provider::ALL {
            let upstream = settings.providers.upstream(provider);
            assert_eq!(upstream.base_url.as_str(), "http://127.0.0.1:1/");
            assert!(upstream.proxy.is_none());
            assert_eq!(settings.providers.state(provider), ProviderState::Sandbox);
        }
        let shown = settings.redacted_toml();
        let named = shown.matches(&path.to_string()).count();
        assert_eq!(
            named,
            Provider::ALL.len(),
            "only the proxies' files are left: {shown}"
        );
    }
}
