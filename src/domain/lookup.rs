//! The lookups: values that exist only if every rule of their request holds.

use super::{
    consent::SubjectConsent, curp::Curp, date::Birthdate, foreigner_id::ForeignerId,
    kenya_id::KenyaId, redaction::Pii,
};

/// Look up a Peruvian foreigner's card.
#[derive(Debug, Clone)]
pub struct ForeignerLookup {
    /// Number of the card.
    pub document_number: ForeignerId,
    /// Birth date of the holder.
    pub birthdate: Birthdate,
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

/// Look up a Mexican CURP.
#[derive(Debug, Clone)]
pub struct CurpLookup {
    /// The CURP.
    pub curp: Curp,
    /// Whether the certified PDF is wanted.
    pub document: Document,
}

/// Whether a CURP's certified PDF is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// Decode it and return it.
    Include,
    /// Leave it out: it is neither decoded nor copied.
    Omit,
}
