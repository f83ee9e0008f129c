//! AccuAuth's `result` object, field by field (sections 3.2 to 3.4 of its document).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{base64, country, gender, lenient};
use crate::{
    domain::lookup::{CurpLookup, Document},
    proto::identity::v1::{CurpRecord, CurpStatus, Gender, ProofDocument, ProofDocumentType},
};

/// `result`, as the document names its fields. The PDF stays where it lies in the answer.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Registration<'a> {
    #[serde(deserialize_with = "lenient::text")]
    estatus: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    codigo_validacion: Option<String>,
    #[serde(deserialize_with = "lenient::trimmed")]
    pub curp: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    nombre: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    apellido_paterno: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    apellido_materno: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    sexo: Option<String>,
    #[serde(deserialize_with = "lenient::date")]
    fecha_nacimiento: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pais_nacimiento: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    estado_nacimiento: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    doc_probatorio: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    datos_doc_probatorio: Option<Evidence>,
    #[serde(deserialize_with = "lenient::text")]
    estatus_curp: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    codigo_mensaje: Option<String>,
    #[serde(borrow)]
    documento: Option<&'a RawValue>,
    /// Seen beside the codes that find nobody.
    #[serde(deserialize_with = "lenient::trimmed")]
    pub mensaje: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Evidence {
    #[serde(deserialize_with = "lenient::text")]
    entidad_registro: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    clave_municipio_registro: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    anio_reg: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    clave_entidad_registro: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    num_acta: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    municipio_registro: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    libro: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    tomo: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    foja: Option<String>,
}

impl Registration<'_> {
    /// The record of the contract; the document's text, if it was taken out of the answer.
    pub fn into_record(self, lookup: &CurpLookup, document: Option<&[u8]>) -> CurpRecord {
        let asked = lookup.curp.reveal();
        // A CURP is upper case, whatever the registry's programs make of it.
        let curp = self.curp.map(|curp| curp.to_ascii_uppercase());
        let superseded = curp.as_deref().is_some_and(|curp| curp != asked);
        let (status, active) = status(self.estatus_curp.as_deref());
        let document = match lookup.document {
            Document::Include => match document {
                Some(text) => base64::decode_text(text),
                None => base64::decode(self.documento),
            },
            Document::Omit => None,
        };
        CurpRecord {
            curp,
            superseded_curp: superseded.then(|| asked.to_owned()),
            given_name: self.nombre,
            first_family_name: self.apellido_paterno,
            second_family_name: self.apellido_materno,
            gender: gender(self.sexo.as_deref()).into(),
            gender_raw: self.sexo,
            birthdate: self.fecha_nacimiento,
            birth_country_code: self.pais_nacimiento.as_deref().and_then(country::alpha2),
            birth_country: self.pais_nacimiento,
            birth_state: self.estado_nacimiento,
            status: status.into(),
            status_raw: self.estatus_curp,
            active,
            proof_document_type: proof(self.doc_probatorio.as_deref()).into(),
            proof_document_type_raw: self.doc_probatorio,
            proof_document: self.datos_doc_probatorio.and_then(Evidence::into_proof),
            validation_code: self.codigo_validacion,
            message_code: self.codigo_mensaje,
            estatus: self.estatus,
            document,
        }
    }
}

impl Evidence {
    /// None if nothing stands in it.
    fn into_proof(self) -> Option<ProofDocument> {
        let proof = ProofDocument {
            registry_entity: self.entidad_registro,
            registry_entity_code: self.clave_entidad_registro,
            registry_municipality: self.municipio_registro,
            registry_municipality_code: self.clave_municipio_registro,
            registry_year: self.anio_reg,
            act_number: self.num_acta,
            book: self.libro,
            volume: self.tomo,
            page: self.foja,
        };
        (proof != ProofDocument::default()).then_some(proof)
    }
}

fn gender(sexo: Option<&str>) -> Gender {
    sexo.map_or(Gender::Unspecified, |word| {
        gender::read(word, Gender::Female)
    })
}

/// Section 3.2: what the number means, as a number or as a text.
fn proof(number: Option<&str>) -> ProofDocumentType {
    number
        .and_then(|number| lenient::whole(number.trim()))
        .and_then(|number| ProofDocumentType::try_from(number).ok())
        .unwrap_or_default()
}

/// Section 3.3, and what RENAPO itself has besides: what the code means, and whether the registration is active. Words
/// may follow the code: `RCN - Registro de cambio no afectando a CURP`.
fn status(text: Option<&str>) -> (CurpStatus, Option<bool>) {
    let text = text.unwrap_or_default().trim_start();
    let end = text.find(|letter: char| !letter.is_alphanumeric());
    let code = end.and_then(|end| text.get(..end)).unwrap_or(text);
    let (status, active) = match code.to_ascii_uppercase().as_str() {
        "AN" => (CurpStatus::An, true),
        "AH" => (CurpStatus::Ah, true),
        "RCC" => (CurpStatus::Rcc, true),
        "RCN" => (CurpStatus::Rcn, true),
        "CRA" => (CurpStatus::Cra, true),
        "BAP" => (CurpStatus::Bap, false),
        "BSU" => (CurpStatus::Bsu, false),
        "BD" => (CurpStatus::Bd, false),
        "BDM" => (CurpStatus::Bdm, false),
        "BDP" => (CurpStatus::Bdp, false),
        "BJD" => (CurpStatus::Bjd, false),
        "BDA" => (CurpStatus::Bda, false),
        "BCC" => (CurpStatus::Bcc, false),
        "BCN" => (CurpStatus::Bcn, false),
        _ => return (CurpStatus::Unspecified, None),
    };
    (status, Some(active))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_words_for_gender_are_known() {
        for (word, expected) in [
            (Some("HOMBRE"), Gender::Male),
            (Some("MUJER"), Gender::Female),
            // Mexico's own letters: `M` is a man in Peru and Kenya.
            (Some("M"), Gender::Female),
            (Some("H"), Gender::Male),
            (Some("X"), Gender::NonBinary),
            (Some("No binario"), Gender::NonBinary),
            (Some("OTRO"), Gender::Unspecified),
            (None, Gender::Unspecified),
        ] {
            assert_eq!(gender(word), expected, "{word:?}");
        }
    }

    #[test]
    fn a_status_says_whether_it_is_active() {
        let read = |code: &str| status(Some(code)).1;
        let active = ["AN", "AH", "RCC", "RCN", "CRA"];
        let gone = ["BAP", "BSU", "BD", "BDM", "BDP", "BJD", "BDA", "BCC", "BCN"];
        for (codes, expected) in [(&active[..], true), (&gone, false)] {
            for code in codes {
                for text in [
                    (*code).to_owned(),
                    code.to_lowercase(),
                    format!(" {code} "),
                    format!("{code} - Alta o baja"),
                    format!("{code}: alta o baja"),
                    format!("{code}_ALTA"),
                    format!("{code} (Defunción)"),
                ] {
                    assert_eq!(read(&text), Some(expected), "{text}");
                    assert_eq!(status(Some(&text)), status(Some(code)), "{text}");
                }
            }
        }
        for unknown in ["RCNX", "ANÁ", "A", "ALTA", "- RCN"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
        assert_eq!(status(Some("ZZZ")), (CurpStatus::Unspecified, None));
        assert_eq!(status(None), (CurpStatus::Unspecified, None));
    }
}
