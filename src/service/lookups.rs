//! The lookups as the sharing of answers sees them: which route each takes, what makes two of them
//! identical, and how each reads its provider's answer.
//!
//! Two lookups are identical if the provider would be sent the same, apart from what changes nothing
//! about its answer: a Kenyan call's `metadata`, and whether a CURP's PDF is wanted (the provider
//! always sends it; who wants it reads it out of the same answer).

use crate::{
    domain::{
        failure::Failure,
        lookup::{CurpLookup, Document, ForeignerLookup, KenyaLookup},
        verification::{Provider, Verified},
    },
    proto::identity::v1::{CurpRecord, KenyaIdRecord, PeForeignerIdRecord},
    provider::{Listed, accuauth::Accuauth, verifik::Verifik, youverify::Youverify},
    service::gateway::{Gateway, Route},
    sharing::answers::Record,
    transport::{Answer, Request},
};

/// A lookup whose answer can be shared.
pub trait Lookup: Clone + Send + Sync + 'static {
    /// The provider's adapter.
    type Adapter: Send + Sync + 'static;
    /// What the registry holds.
    type Record: Record + Listed;

    /// The provider that is asked.
    const PROVIDER: Provider;

    /// The route to it, if it is configured.
    fn route(gateway: &Gateway) -> Option<&Route<Self::Adapter>>;

    /// What to send.
    fn request(&self, adapter: &Self::Adapter) -> Request;

    /// The lookup that stands for all identical ones, if it is not this one.
    fn common(&self) -> Option<Self> {
        None
    }

    /// Reads the provider's answer.
    ///
    /// # Errors
    ///
    /// The provider's fault, or a malformed answer.
    fn read(
        &self,
        adapter: &Self::Adapter,
        answer: &Answer,
    ) -> Result<Verified<Self::Record>, Failure>;

    /// Whether a document is wanted with the record.
    fn document(&self) -> Document {
        Document::Omit
    }

    /// The same lookup, with another wish for the document.
    #[must_use]
    fn with(&self, _document: Document) -> Self {
        self.clone()
    }
}

impl Lookup for ForeignerLookup {
    type Adapter = Verifik;
    type Record = PeForeignerIdRecord;

    const PROVIDER: Provider = Provider::Verifik;

    fn route(gateway: &Gateway) -> Option<&Route<Verifik>> {
        gateway.verifik.as_ref()
    }

    fn request(&self, adapter: &Verifik) -> Request {
        adapter.foreigner_request(self)
    }

    fn read(
        &self,
        adapter: &Verifik,
        answer: &Answer,
    ) -> Result<Verified<PeForeignerIdRecord>, Failure> {
        adapter.read_foreigner(answer)
    }
}

impl Lookup for KenyaLookup {
    type Adapter = Youverify;
    type Record = KenyaIdRecord;

    const PROVIDER: Provider = Provider::Youverify;

    fn route(gateway: &Gateway) -> Option<&Route<Youverify>> {
        gateway.youverify.as_ref()
    }

    fn request(&self, adapter: &Youverify) -> Request {
        adapter.request(self)
    }

    fn common(&self) -> Option<Self> {
        self.metadata.as_ref()?;
        Some(Self {
            metadata: None,
            ..self.clone()
        })
    }

    fn read(
        &self,
        adapter: &Youverify,
        answer: &Answer,
    ) -> Result<Verified<KenyaIdRecord>, Failure> {
        adapter.read(answer)
    }
}

impl Lookup for CurpLookup {
    type Adapter = Accuauth;
    type Record = CurpRecord;

    const PROVIDER: Provider = Provider::Accuauth;

    fn route(gateway: &Gateway) -> Option<&Route<Accuauth>> {
        gateway.accuauth.as_ref()
    }

    fn request(&self, adapter: &Accuauth) -> Request {
        adapter.request(self)
    }

    fn read(&self, adapter: &Accuauth, answer: &Answer) -> Result<Verified<CurpRecord>, Failure> {
        adapter.read(self, answer)
    }

    fn document(&self) -> Document {
        self.document
    }

    fn with(&self, document: Document) -> Self {
        Self {
            document,
            ..self.clone()
        }
    }
}
