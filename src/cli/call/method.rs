//! METHOD on the command line, and the method of the server that it means.

use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use super::{
    failure::Failure,
    reflect::{ReflectError, Reflection},
};
use crate::{nearest::nearest, proto};

/// Services that a bare method name never means.
const INFRASTRUCTURE: [&str; 2] = ["grpc.reflection.", "grpc.health."];

/// METHOD as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MethodName {
    /// `pkg.Service/Method`, `/pkg.Service/Method` or `pkg.Service.Method`.
    Full {
        /// Full name of the service.
        service: String,
        /// Name of the method.
        method: String,
    },
    /// `Method`.
    Bare(String),
}

impl MethodName {
    /// Reads METHOD.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::Usage(format!(
                "`{}` is not a method; it is written pkg.Service/Method, pkg.Service.Method or Method",
                text.escape_debug()
            ))
        };
        let parts = match text.strip_prefix('/').unwrap_or(text) {
            full if full.contains('/') => full.split_once('/'),
            _ if text.starts_with('/') => return Err(wrong()),
            full => full.rsplit_once('.'),
        };
        match parts {
            Some((service, method)) if service.split('.').all(identifier) && identifier(method) => {
                Ok(Self::Full {
                    service: service.to_owned(),
                    method: method.to_owned(),
                })
            }
            None if identifier(text) => Ok(Self::Bare(text.to_owned())),
            _ => Err(wrong()),
        }
    }

    /// The method of the contract that this program was built with, if it is one.
    pub(super) fn own(&self) -> Option<MethodDescriptor> {
        let services = proto::descriptors().services();
        let services = services.filter(|service| service.package_name().starts_with("idgw."));
        let mut found = services.filter_map(|candidate| match self {
            Self::Full { service, method } if candidate.full_name() == service => {
                named(&candidate, method)
            }
            Self::Full { .. } => None,
            Self::Bare(method) => named(&candidate, method),
        });
        found.next().filter(|_| found.next().is_none())
    }

    /// Which method is meant: the contract's own needs no question, of others the server is asked.
    pub(crate) async fn resolve(
        &self,
        server: &mut Reflection,
    ) -> Result<MethodDescriptor, Failure> {
        if let Some(own) = self.own() {
            return Ok(own);
        }
        match self {
            Self::Full { service, method } => match server.service(service).await {
                Ok(descriptor) => named(&descriptor, method).ok_or_else(|| {
                    let methods: Vec<_> = descriptor.methods().collect();
                    let methods: Vec<_> = methods.iter().map(MethodDescriptor::name).collect();
                    Failure::Usage(format!(
                        "{service} has no method `{method}`; {}it has: {}",
                        meant(method, &methods),
                        methods.join(", ")
                    ))
                }),
                Err(ReflectError::NotFound(missing)) if missing == *service => {
                    let services = Vec::from_iter(server.services().await?);
                    Err(Failure::Usage(format!(
                        "the server has no service `{service}`; {}it has: {}",
                        meant(service, &services),
                        services.join(", ")
                    )))
                }
                Err(error) => Err(error.into()),
            },
            Self::Bare(method) => search(method, server).await,
        }
    }
}

async fn search(method: &str, server: &mut Reflection) -> Result<MethodDescriptor, Failure> {
    let mut services = server.services().await?;
    services.retain(|name| !INFRASTRUCTURE.iter().any(|prefix| name.starts_with(prefix)));
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for service in &services {
        match server.service(service).await {
            Ok(descriptor) => {
                others.extend(descriptor.methods().map(|other| other.name().to_owned()));
                found.extend(named(&descriptor, method));
            }
            // Listed without a descriptor: it cannot be called by reflection, so it is not meant.
            Err(ReflectError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            let candidates: Vec<_> = found
                .iter()
                .map(|candidate| format!("{}/{method}", candidate.parent_service().full_name()))
                .collect();
            Err(Failure::Usage(format!(
                "`{method}` is ambiguous; use one of: {}",
                candidates.join(", ")
            )))
        }
        (None, _) => Err(Failure::Usage(format!(
            "no service has a method `{method}`; {}searched: {}",
            meant(method, &others),
            Vec::from_iter(services).join(", ")
        ))),
    }
}

/// The known name that was meant, if one is near.
fn meant<T: AsRef<str>>(unknown: &str, known: &[T]) -> String {
    let known = known.iter().map(AsRef::as_ref);
    nearest(unknown, known).map_or_else(String::new, |meant| format!("did you mean {meant}? "))
}

fn named(service: &ServiceDescriptor, method: &str) -> Option<MethodDescriptor> {
    service
        .methods()
        .find(|candidate| candidate.name() == method)
}

fn identifier(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.is_empty() && text.chars().all(part) && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_can_be_written_in_four_ways() {
        let full = MethodName::Full {
            service: "a.v1.S".to_owned(),
            method: "M".to_owned(),
        };
        for text in ["a.v1.S/M", "/a.v1.S/M", "a.v1.S.M"] {
            assert_eq!(MethodName::parse(text).unwrap(), full, "{text}");
        }
        assert_eq!(
            MethodName::parse("M").unwrap(),
            MethodName::Bare("M".to_owned())
        );
    }

    #[test]
    fn what_is_not_a_method_is_refused() {
        for text in [
            "", "/", "/M", "a/", "/a/", "a/b/c", "a/b.c", ".M", "a..M", "a.", "a b", "a/M?x", "1M",
        ] {
            assert!(MethodName::parse(text).is_err(), "{text}");
        }
    }
}
