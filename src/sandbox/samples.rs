//! The sample answers of the provider documents, field by field, with their quirks.
//!
//! Changed against the documents: in YouVerify's the e-mail address, the telephone numbers and one
//! user's name (they look real); in AccuAuth's the masked CURP and the placeholder for the PDF; in
//! Verifik's person the placeholders for the images.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pdf;

pub(super) const PE_NUMBER: &str = "005015372";
pub(super) const PE_BIRTHDATE: &str = "16/08/1993";
pub(super) const KE_FOUND: &str = "1234567";
pub(super) const KE_NOT_FOUND: &str = "00000000";
/// Stands for the document's masked `RAZR81101xxxxxxxx`.
pub(super) const MX_CURP: &str = "RAZR811011HVZXPB01";
pub(super) const PERSON_ID: &str = "person_123456789";
/// A PNG of one pixel: stands for the images of a person.
pub(super) const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";

/// Sets in `base` what `change` holds: objects are merged, everything else, null too, is replaced.
pub(super) fn overlay(base: &mut Value, change: Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (name, value) in change {
                overlay(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change,
    }
}

/// Verifik, Peruvian Foreigner Resident, 200. `lastName` contradicts `fullName`: so does the
/// document's.
pub(super) fn verifik_found() -> Value {
    json!({
        "data": {
            "arrayName": ["CORDERO", "SANCHEZ", "ANA", "RENE"],
            "dateOfBirth": PE_BIRTHDATE,
            "documentNumber": PE_NUMBER,
            "firstName": "ANA RENE",
            "foreignerIdExpiration": "12/08/2025",
            "foreignerIdLastIssuance": "12/08/2021",
            "fullName": "ANA RENE CORDERO SANCHEZ",
            "immigrationStatus": "HUMANITARIA",
            "lastName": "CORDERO CAMPERO",
            "nationality": "VENEZOLANA",
            "residenceExpiration": "26/02/2025"
        },
        "signature": {
            "dateTime": "November 6, 2024 3:22 PM",
            "message": "Certified by Verifik.co"
        },
        "id": "K0MMA"
    })
}

/// Verifik, Peruvian Foreigner Resident, 404.
pub(super) fn verifik_not_found() -> Value {
    json!({
        "code": "NotFound",
        "message": "Record not found.",
        "signature": {
            "dateTime": "August 31, 2022 3:24 PM",
            "message": "Certified by Verifik.co"
        }
    })
}

/// Verifik, Persons, the person object.
pub(super) fn verifik_person() -> Value {
    json!({
        "id": PERSON_ID,
        "firstName": "John",
        "lastName": "Doe",
        "email": "john.doe@example.com",
        "phone": "+1234567890",
        "dateOfBirth": "1990-01-15",
        "documentType": "passport",
        "documentNumber": "123456789",
        "biometricData": {
            "faceImage": IMAGE,
            "fingerprint": IMAGE,
            "livenessScore": 0.95
        },
        "verificationStatus": "verified",
        "createdAt": "2024-01-15T10:30:00Z",
        "updatedAt": "2024-01-15T10:30:00Z"
    })
}

/// YouVerify, identity number found. Midnight in Nairobi is printed in UTC, the day before.
pub(super) fn youverify_found() -> Value {
    let mut answer = youverify_envelope();
    overlay(
        &mut answer,
        json!({ "data": {
            "id": "64eed6026b1a9b8f72c2925e",
            "status": "found",
            "reason": null,
            "dateOfBirth": "1999-12-31T21:00:00Z",
            "idNumber": KE_FOUND,
            "firstName": "John",
            "middleName": "M",
            "lastName": "Doe",
            "fullName": "John M Doe",
            "gender": "Male",
            "maritalStatus": "Married",
            "email": "john.doe@example.com",
            "homeTelephoneNumber": "+8760000000",
            "mobileTelephoneNumber": "254700000000",
            "workTelephoneNumber": "040-0000000",
            "employmentName": "Teachers Service Commission.",
            "lastEmployment": "NotSpecified",
            "mainAddress": { "address": "NYAHURURU  KCC", "country": "KE", "town": "Nyahururu" },
            "secondaryAddress": {
                "address": "NAKURU-CENTRE",
                "country": "KE",
                "town": "NYAHURURU",
                "postalCode": "20300"
            },
            "contractSummary": { "closedContracts": "2", "openContracts": "10" },
            "inquiries": {
                "numberOfInquiriesLast12Months": "89",
                "numberOfInquiriesLast1Month": "6",
                "numberOfInquiriesLast24Months": "355",
                "numberOfInquiriesLast3Months": "12",
                "numberOfInquiriesLast6Months": "27"
            },
            "type": "keCreditInfo",
            "requestedAt": "2023-08-30T05:39:15.781Z",
            "createdAt": "2023-08-30T05:39:15.974Z",
            "lastModifiedAt": "2023-08-30T05:39:15.974Z",
            "requestedBy": { "id": "628b38f03ae28a5a122d4bf3" }
        }}),
    );
    answer
}

/// YouVerify, not found. Some fields are null, others absent, and `allValidationPassed` is true.
pub(super) fn youverify_not_found() -> Value {
    let mut answer = youverify_envelope();
    overlay(
        &mut answer,
        json!({ "data": {
            "id": "64db6940563aa72892176950",
            "status": "not_found",
            "reason": "Person Not Found",
            "dateOfBirth": null,
            "idNumber": KE_NOT_FOUND,
            "email": null,
            "homeTelephoneNumber": null,
            "mobileTelephoneNumber": null,
            "workTelephoneNumber": null,
            "type": "keCreditInfoPhone",
            "requestedAt": "2023-08-15T12:02:09.602Z",
            "createdAt": "2023-08-15T12:02:09.767Z",
            "lastModifiedAt": "2023-08-15T12:02:09.767Z",
            "requestedBy": { "id": "628b38f13ae28a7b742d4bf9" }
        }}),
    );
    answer
}

/// What both of YouVerify's sample answers say alike.
fn youverify_envelope() -> Value {
    json!({
        "success": true,
        "statusCode": 200,
        "message": "success",
        "data": {
            "parentId": null,
            "dataValidation": false,
            "selfieValidation": false,
            "identityType": "national-id",
            "isConsent": true,
            "businessId": "628b38f03ae28a14f52d4bf7",
            "allValidationPassed": true,
            "requestedById": "628b38f03ae28a5a122d4bf3",
            "country": "KE",
            "metadata": {},
            "requestedBy": { "firstName": "API", "lastName": "User", "middleName": "" }
        },
        "links": []
    })
}

/// AccuAuth, section 3, response syntax.
pub(super) fn accuauth_found() -> Value {
    json!({
        "status": "OK",
        "result_code": "0",
        "result_message": "success",
        "result": {
            "estatus": "OK",
            "codigoValidacion": "vc16752xxxxx1.73xxxxxx",
            "curp": MX_CURP,
            "nombre": "ROBERTO ALONSO",
            "apellidoPaterno": "RAXXX",
            "apellidoMaterno": "ZAPAXX",
            "sexo": "HOMBRE",
            "fechaNacimiento": "11/10/1981",
            "paisNacimiento": "MEXICO",
            "estadoNacimiento": "VERACRUZ",
            "docProbatorio": 1,
            "datosDocProbatorio": {
                "entidadRegistro": "VERACRUZ",
                "tomo": "",
                "claveMunicipioRegistro": "108",
                "anioReg": "1983",
                "claveEntidadRegistro": "30",
                "foja": "",
                "numActa": "03382",
                "libro": "",
                "municipioRegistro": "MINATITLÁN"
            },
            "estatusCurp": "RCN",
            "codigoMensaje": "0",
            "documento": STANDARD.encode(pdf::sample())
        },
        "request_id": "TID6f814b81bfb44c97a63b13e2750a3a2a"
    })
}
