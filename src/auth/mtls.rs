//! `mtls`: the name in the client's certificate, which the TLS handshake has verified.
//!
//! A SPIFFE id (the URI in the subject alternative names, of which an X.509-SVID has exactly one)
//! comes first; else the first DNS name that is no wildcard. Subject names are not looked at: nobody
//! agrees on what stands in them.

use std::{sync::Arc, time::SystemTime};

use rustls::pki_types::CertificateDer;

use super::{
    Unidentified,
    identity::{Caller, Identity},
    settings::AuthMode,
    spiffe,
};
use crate::{
    domain::cause::Cause,
    x509::{AltName, Certificate},
};

/// Who presents these certificates; none if there are none.
///
/// # Errors
///
/// If the first has no name that can be used.
pub fn identify(
    certificates: Option<&[CertificateDer<'_>]>,
) -> Result<Option<Arc<Caller>>, Unidentified> {
    let Some(own) = certificates.and_then(<[_]>::first) else {
        return Ok(None);
    };
    let identity = identity(own).ok_or(Cause::Identity)?;
    Ok(Some(Arc::new(Caller::new(identity))))
}

/// Why these certificates, which were good when their connection began, are so no more.
#[must_use]
pub fn refused(certificates: &[CertificateDer<'_>]) -> Unidentified {
    let now = SystemTime::now();
    let has_ended = |certificate: &CertificateDer<'_>| {
        Certificate::read(certificate).is_some_and(|read| read.not_after < now)
    };
    let cause = match certificates.iter().any(has_ended) {
        true => Cause::Expired,
        false => Cause::Certificate,
    };
    Unidentified {
        identity: certificates
            .first()
            .and_then(|own| identity(own))
            .map(Arc::new),
        ..Unidentified::from(cause)
    }
}

fn identity(certificate: &[u8]) -> Option<Identity> {
    Identity::new(AuthMode::Mtls, &name(certificate)?)
}

fn name(certificate: &[u8]) -> Option<String> {
    let names = Certificate::read(certificate)?.alt_names();
    let uris: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            AltName::Uri(uri) => Some(*uri),
            AltName::Dns(_) => None,
        })
        .collect();
    if uris.iter().any(|uri| spiffe::is_meant(uri)) {
        return spiffe::only(&uris).map(str::to_owned);
    }
    names.iter().find_map(|name| match name {
        AltName::Dns(name) => spiffe::dns_name(name),
        AltName::Uri(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], names: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        let names = names
            .iter()
            .map(|name| SanType::DnsName((*name).try_into().unwrap()));
        params.subject_alt_names = uris.chain(names).collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_spiffe_id_comes_first_then_the_dns_name() {
        const API: &str = "spiffe://bank.example/ns/payments/sa/api";
        for (uris, names, expected) in [
            (vec![API], vec!["api.bank.example"], Some(API)),
            (
                vec![],
                vec!["API.bank.example", "b.example"],
                Some("api.bank.example"),
            ),
            (
                vec!["https://bank.example"],
                vec!["api.bank.example"],
                Some("api.bank.example"),
            ),
            (
                vec![],
                vec!["*.bank.example", "api.bank.example"],
                Some("api.bank.example"),
            ),
            (vec![], vec!["*.bank.example"], None),
            // Not where an authority vouches for SPIFFE ids.
            (vec![], vec![API], None),
            (
                vec![],
                vec!["SPIFFE://bank.example/a", "b.example"],
                Some("b.example"),
            ),
            (vec![API, "spiffe://bank.example/other"], vec![], None),
            (vec![API, "https://bank.example"], vec![], None),
            (
                vec!["spiffe://bank.example/a/../b"],
                vec!["api.bank.example"],
                None,
            ),
            (vec![], vec![], None),
        ] {
            let certificates = [certificate(&uris, &names)];
            let caller = identify(Some(&certificates));
            match expected {
                Some(name) => assert_eq!(caller.unwrap().unwrap().identity.name(), name),
                None => assert_eq!(caller, Err(Cause::Identity.into()), "{uris:?} {names:?}"),
            }
        }
    }

    #[test]
    fn without_a_certificate_another_mode_is_asked_and_garbage_is_nobody() {
        assert_eq!(identify(None), Ok(None));
        assert_eq!(identify(Some(&[])), Ok(None));
        let garbage = [CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])];
        assert_eq!(identify(Some(&garbage)), Err(Cause::Identity.into()));
    }
}
