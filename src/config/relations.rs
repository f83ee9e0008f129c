//! What values must satisfy together, or beyond what the schema can say. Each section knows its own rules; here are
//! those that need two of them. Messages say what is expected, never what was found.

use super::{server::ClientAuth, settings::Settings};
use crate::{
    access,
    auth::{self, AuthMode},
    domain::verification::Provider,
    policy::Policies,
    proto,
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
    sections.extend(settings.log.problem());
    sections.extend(ports(settings));
    sections.extend(settings.audit.problems());
    sections.extend(callers(settings));
    sections.extend(settings.server.tls.problems());
    let sections = sections.into_iter();
    providers
        .chain(sections.map(|(key, problem)| (key.to_owned(), problem)))
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
fn callers(settings: &Settings) -> Vec<(&'static str, String)> {
    let auth = &settings.auth;
    let mut problems = auth.problems();
    if auth.contradicts_itself() {
        return problems;
    }
    let by_certificate = auth.mode.contains(&AuthMode::Mtls);
    if by_certificate && settings.server.tls.client_auth == ClientAuth::Off {
        problems.push((
            "server.tls.client_auth",
            "is off: auth.mode includes mtls, which needs client certificates".to_owned(),
        ));
    }
    if let Some(path) = &auth.policy_file {
        let read = auth::text(path).and_then(|text| {
            let policies = Policies::from_descriptors(proto::descriptors());
            let policies = policies.map_err(|error| error.to_string())?;
            access::file::parse(&text, &policies).map_err(|error| error.to_string())
        });
        problems.extend(read.err().map(|problem| ("auth.policy_file", problem)));
    }
    problems
}
