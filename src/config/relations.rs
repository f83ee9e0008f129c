//! What values must satisfy together, or beyond what the schema can say. Each section knows its own rules; here are
//! those that need two of them. Messages say what is expected, never what was found.

use super::{server::ClientAuth, settings::Settings};
use crate::{
    access,
    auth::{self, AuthMode},
    domain::verification::Provider,
    policy::Policies,
    proto, sandbox,
};

/// The keys, and the problem.
pub(super) fn problems(settings: &Settings) -> Vec<(String, String)> {
    let providers = Provider::ALL.into_iter().flat_map(|provider| {
        let problems = settings.providers.problems(provider).into_iter();
        problems.map(move |(key, problem)| (format!("providers.{provider}.{key}"), problem))
    });
    let verifik = settings.providers.upstream(Provider::Verifik);
    let mut sections = settings.cache.problems();
    sections.extend(settings.persons.problems(&verifik));
    sections.extend(Provider::ALL.into_iter().find_map(|provider| {
        let upstream = settings.providers.upstream(provider);
        settings.lookups.problem(provider.as_str(), &upstream)
    }));
    sections.extend(settings.log.problem());
    sections.extend(ports(settings));
    sections.extend(settings.audit.problems());
    sections.extend(settings.server.problems());
    if let Some(file) = &settings.sandbox.fixtures {
        let read = sandbox::check_fixtures(file);
        sections.extend(read.err().map(|problem| ("sandbox.fixtures", problem)));
    }
    let sections = sections.into_iter();
    providers
        .chain(sections.map(|(key, problem)| (key.to_owned(), problem)))
        .chain(callers(settings))
        .collect()
}

fn ports(settings: &Settings) -> Option<(&'static str, String)> {
    let (grpc, admin) = (settings.server.listen, settings.admin.listen);
    (grpc == admin && grpc.port() != 0).then(|| {
        let problem = "is the same address and port as server.listen".to_owned();
        ("admin.listen", problem)
    })
}

/// Who may call, with what that needs of TLS and of the policy file.
fn callers(settings: &Settings) -> Vec<(String, String)> {
    let auth = &settings.auth;
    let mut problems = auth.problems();
    if auth.contradicts_itself() {
        return problems;
    }
    let by_certificate = auth.mode.contains(&AuthMode::Mtls);
    if by_certificate && settings.server.tls.client_auth == ClientAuth::Off {
        problems.push((
            "server.tls.client_auth".to_owned(),
            "is off: auth.mode includes mtls, which needs client certificates".to_owned(),
        ));
    }
    if let Some(path) = &auth.policy_file {
        let read = auth::text(path).and_then(|text| {
            let policies = Policies::from_descriptors(proto::descriptors());
            let policies = policies.map_err(|error| error.to_string())?;
            access::file::parse(&text, &policies).map_err(|error| error.to_string())
        });
        let problem = read.err();
        problems.extend(problem.map(|problem| ("auth.policy_file".to_owned(), problem)));
    }
    problems
}
