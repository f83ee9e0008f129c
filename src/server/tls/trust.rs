//! Which client certificates are taken: the CAs of `client_ca_file`, and what `crl_file` revokes.
//!
//! With a revocation list every certificate between the client's and its CA must be looked up: one that no list of
//! the file speaks for is refused, and so is every one under a list that has expired. A CA without a list could let
//! nobody in, so the file must have one for each.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{CLIENT_CA_FILE, CRL_FILE, TlsError, certificates};
use crate::{
    config::ClientAuth,
    x509::{Certificate, RevocationList},
};

/// What client certificates are tested against.
pub(super) struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the first revocation list expires.
    pub crl_expires: Option<SystemTime>,
}

/// Whether a revocation list that has expired is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// It is new here: nobody would be let in.
    Refused,
    /// It is in force already, and lets nobody in; what else is new must not wait for it.
    Known,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("crl_expires", &self.crl_expires)
            .finish_non_exhaustive()
    }
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn read(
        client_ca: &[u8],
        crl: Option<(&[u8], Expired)>,
        auth: ClientAuth,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let wrong = |error: &dyn fmt::Display| TlsError::ClientCa(error.to_string());
        let cas = certificates(CLIENT_CA_FILE, client_ca)?;
        let (lists, crl_expires) = match crl {
            None => (Vec::new(), None),
            Some((pem, expired)) => {
                let (lists, expires) = lists(pem, &cas)?;
                if expired == Expired::Refused && expires <= now {
                    return Err(TlsError::Crl("the revocation list has expired"));
                }
                (lists, Some(expires))
            }
        };
        let mut roots = RootCertStore::empty();
        for ca in cas {
            roots.add(ca).map_err(|error| wrong(&error))?;
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .with_crls(lists)
            .enforce_revocation_expiration();
        let verifier = match auth {
            ClientAuth::Optional => verifier.allow_unauthenticated(),
            ClientAuth::Off | ClientAuth::Required => verifier,
        };
        Ok(Self {
            verifier: verifier.build().map_err(|error| wrong(&error))?,
            crl_expires,
        })
    }

    /// What rustls asks in handshakes.
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Whether this chain, the client's own certificate first, would be let in now.
    pub fn takes(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> bool {
        let Some((own, between)) = chain.split_first() else {
            return false;
        };
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        self.verifier.verify_client_cert(own, between, now).is_ok()
    }
}

/// The revocation lists of a PEM file, one at least for each CA, and when the first of them expires.
fn lists(
    pem: &[u8],
    cas: &[CertificateDer<'_>],
) -> Result<(Vec<CertificateRevocationListDer<'static>>, SystemTime), TlsError> {
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let found = found.unwrap_or_default();
    let mut expires = None;
    let mut lists = Vec::new();
    for list in &found {
        let list = RevocationList::read(list).ok_or(TlsError::Crl(
            "contains a revocation list that cannot be parsed",
        ))?;
        let next = list.next_update.ok_or(TlsError::Crl(
            "contains a revocation list without nextUpdate",
        ))?;
        expires = Some(expires.map_or(next, |first: SystemTime| first.min(next)));
        lists.push(list);
    }
    for ca in cas {
        let ca = Certificate::read(ca).ok_or(TlsError::Certificate(CLIENT_CA_FILE))?;
        if !found.is_empty() && !lists.iter().any(|list| list.is_of(&ca)) {
            return Err(TlsError::Crl(
                "contains no revocation list for a CA in client_ca_file: all its clients would be rejected",
            ));
        }
    }
    let expires = expires.ok_or(TlsError::Holds(CRL_FILE, "revocation list (X509 CRL)"))?;
    Ok((found, expires))
}
