//! The lookups: values that exist only if every rule of their request holds.
//!
//! Two lookups are identical if the provider would be sent the same, apart from what changes nothing
//! about its answer: a Kenyan call's `metadata`, and whether a CURP's PDF is wanted (the provider
//! always sends it; who wants it reads it out of the same answer).

use super::{
    consent::SubjectConsent, curp::Curp, date::Birthdate, foreigner_id::ForeignerId,
    identifier::Identifier, kenya_id::KenyaId, redaction::Pii,
};

/// What one RPC looks up.
pub trait Lookup: Clone + Send + Sync + 'static {
    /// Whom it is about, for the audit.
    fn identifier(&self) -> Identifier<'_>;

    /// The lookup that stands for all identical ones; none if it is this one.
    fn common(&self) -> Option<Self> {
        None
    }

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

/// Look up a Peruvian foreigner's card.
#[derive(Debug, Clone)]
pub struct ForeignerLookup {
    /// Number of the card.
    pub document_number: ForeignerId,
    /// Birth date of the holder.
    pub birthdate: Birthdate,
}

impl Lookup for ForeignerLookup {
    fn identifier(&self) -> Identifier<'_> {
        self.document_number.identifier()
    }
}

/// Look up a Kenyan identity number.
#[derive(Debug, Clone)]
pub struct KenyaLookup {
    /// The number.
    pub id: KenyaId,
    /// The person's consent.
    pub consent: SubjectConsent,
    /// What the caller wants to have back, as JSON; it may hold anything.
    pub metadata: Option<Pii<serde_json::Value>>,
}

impl Lookup for KenyaLookup {
    fn identifier(&self) -> Identifier<'_> {
        self.id.identifier()
    }

    fn common(&self) -> Option<Self> {
        self.metadata.as_ref()?;
        Some(Self {
            metadata: None,
            ..self.clone()
        })
    }
}

/// Look up a Mexican CURP.
#[derive(Debug, Clone)]
pub struct CurpLookup {
    /// The CURP.
    pub curp: Curp,
    /// Whether the certified PDF is wanted.
    pub document: Document,
}

impl Lookup for CurpLookup {
    fn identifier(&self) -> Identifier<'_> {
        self.curp.identifier()
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

/// Whether a document, such as a CURP's certified PDF, is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// Decode it and return it.
    Include,
    /// Leave it out: it is neither decoded nor copied.
    Omit,
}
