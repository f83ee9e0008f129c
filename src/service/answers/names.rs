//! Under which names a lookup is known.

use crate::{
    call::Call,
    domain::lookup::{Document, Lookup as _},
    service::{routes::AnyRoute, verify::Verify},
    sharing::{Answers, Name},
    transport::Request,
};

/// The names of a lookup's cached answers: who shares them, at which account, and what is asked. A flight
/// has the name of the plain one.
#[derive(Clone, Copy)]
pub struct Names(pub Name);

impl Names {
    /// The names of the lookup, given what it sends.
    pub fn of<V: Verify>(
        answers: &Answers,
        call: &Call,
        route: &AnyRoute<V>,
        lookup: &V::Lookup,
        sent: &Request,
    ) -> Self {
        let common = lookup.common().map(|common| route.adapter.request(&common));
        let request = common.as_ref().unwrap_or(sent);
        let [kind, group] = call.share().parts();
        let credential = sent.credential.as_ref();
        let credential = credential.map(|known| known.fingerprint.as_bytes());
        let plain = answers.name([
            kind,
            group,
            credential.unwrap_or_default(),
            route.provider().as_str().as_bytes(),
            route.environment.as_str().as_bytes(),
            route.base_url.as_str().as_bytes(),
            request.method.as_str().as_bytes(),
            request.path.as_bytes(),
            request.query.as_bytes(),
            request.body.as_deref().unwrap_or_default(),
        ]);
        Self(plain)
    }

    pub fn of_document(&self, document: Document) -> Name {
        match document {
            Document::Omit => self.0,
            Document::Include => self.0.beside(),
        }
    }
}
