//! What of the settings the page shows: no path of a file, no secret, no name of a caller.

use std::{net::SocketAddr, time::SystemTime};

use super::{
    gather::{Fixed, FixedAccount},
    snapshot::{Fact, Warning},
};
use crate::{
    audit::settings::AuditSink,
    config::{AuthMode, ClientAuth, Settings},
    domain::verification::Provider,
    policy::Policies,
    telemetry::names::setup,
};

impl Fixed {
    /// What is served on this address, by these settings.
    #[must_use]
    pub fn of(
        settings: &Settings,
        grpc: SocketAddr,
        policies: &Policies,
        max_memory: Option<u64>,
    ) -> Self {
        let accounts = Provider::ALL.map(|provider| {
            let upstream = settings.providers.upstream(provider);
            FixedAccount {
                provider,
                state: settings.providers.state(provider),
                host: upstream.base_url.host_str().unwrap_or_default().to_owned(),
                price: upstream.price,
            }
        });
        Self {
            facts: facts(settings, grpc),
            warnings: warnings(settings),
            rpcs: policies.iter().map(|(rpc, _)| rpc.to_owned()).collect(),
            accounts: accounts.into(),
            max_memory,
        }
    }
}

/// What was warned of at the start and can only change with another start: of tokens the page knows better.
fn warnings(settings: &Settings) -> Vec<Warning> {
    let mut found = settings.warnings_of_callers();
    found.extend(settings.warnings_of_providers(SystemTime::now()));
    let moves = |name| matches!(name, setup::TOKEN_EXPIRED | setup::TOKEN_EXPIRES);
    let fixed = found.into_iter().filter(|warning| !moves(warning.name));
    let fixed = fixed.map(|warning| Warning {
        name: warning.name,
        key: warning.key,
        problem: warning.problem,
    });
    fixed.collect()
}

fn facts(settings: &Settings, grpc: SocketAddr) -> Vec<Fact> {
    let (server, auth) = (&settings.server, &settings.auth);
    let fact = |name, value: String| Fact { name, value };
    let word = |yes: bool| if yes { "on" } else { "off" }.to_owned();
    let tls = match (server.tls.cert_file.is_some(), server.tls.client_auth) {
        (false, _) => "off: plain HTTP/2",
        (true, ClientAuth::Off) => "on, client certificates not requested",
        (true, ClientAuth::Optional) => "on, client certificates optional",
        (true, ClientAuth::Required) => "on, client certificates required",
    };
    let callers = match auth.identifies() {
        true => {
            let modes: Vec<_> = auth.mode.iter().copied().map(AuthMode::as_str).collect();
            format!("identified by {}", modes.join(", "))
        }
        false => "not identified (auth.mode = none)".to_owned(),
    };
    let policy = match auth.policy_file {
        Some(_) => "a policy file",
        None => "no policy file: every caller may do everything",
    };
    let audit = match settings.audit.sink {
        AuditSink::Off => "off".to_owned(),
        sink => {
            let place = if sink == AuditSink::File {
                "to a file"
            } else {
                "to standard output"
            };
            let required = if settings.audit.required {
                ", required"
            } else {
                ""
            };
            format!("{place}{required}")
        }
    };
    let shared = match settings.cache.url {
        Some(_) => "by all replicas, through Redis",
        None => "in this process",
    };
    vec![
        fact("gRPC", grpc.to_string()),
        fact("TLS", tls.to_owned()),
        fact("Callers", callers),
        fact("Rights", policy.to_owned()),
        fact("Reflection", word(server.reflection)),
        fact("Audit", audit),
        fact("Answers are shared", shared.to_owned()),
        fact(
            "Paid answers wait",
            format!("{} for their callers", settings.sharing.recover_ttl),
        ),
    ]
}
