//! One good call of each RPC, about fictional people.

use serde_json::{Value, json};

use crate::it::table::Call;

pub const FOREIGNER: &str = "idgw.identity.v1.IdentityService/VerifyPeForeignerId";
pub const DNI: &str = "idgw.identity.v1.IdentityService/VerifyPeDni";
pub const KENYA: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";
pub const CURP: &str = "idgw.identity.v1.IdentityService/CheckCurp";
pub const CREATE: &str = "idgw.person.v1.PersonService/CreatePerson";
pub const CREATE_WITH_LIVENESS: &str = "idgw.person.v1.PersonService/CreatePersonWithLiveness";
pub const GET: &str = "idgw.person.v1.PersonService/GetPerson";
pub const LIST: &str = "idgw.person.v1.PersonService/ListPersons";
pub const UPDATE: &str = "idgw.person.v1.PersonService/UpdatePerson";
pub const DELETE: &str = "idgw.person.v1.PersonService/DeletePerson";

/// The CURP that is asked for: the sample's.
pub const ASKED: &str = "RAZR811011HVZXPB01";

pub fn foreigner() -> Call {
    call(
        FOREIGNER,
        json!({"document_number": "005015372", "birthdate": "1993-08-16"}),
    )
}

pub fn dni() -> Call {
    call(DNI, json!({"document_number": "71640001"}))
}

pub fn kenya() -> Call {
    kenya_numbered("1234567")
}

pub fn kenya_numbered(id: &str) -> Call {
    let id_type = "KENYA_ID_TYPE_NATIONAL_ID";
    call(
        KENYA,
        json!({"id": id, "id_type": id_type, "subject_consent": true}),
    )
}

pub fn curp() -> Call {
    curp_numbered(ASKED)
}

pub fn curp_numbered(curp: &str) -> Call {
    call(CURP, json!({"curp": curp}))
}

pub fn create() -> Call {
    call(
        CREATE,
        json!({"person": {
            "given_name": "John", "family_name": "Doe-Fictional", "email": "john.doe@example.com",
            "phone_number": "+1234567890", "birthdate": "1990-01-15",
            "document_type": "passport", "document_number": "123456789",
        }}),
    )
}

pub fn create_with_liveness() -> Call {
    call(
        CREATE_WITH_LIVENESS,
        json!({"person": {
            "given_name": "John", "family_name": "Doe-Fictional", "email": "john.doe@example.com",
            "biometric_data": {"face_image": "/9j/4AAQSkZJRg=="},
        }}),
    )
}

pub fn get() -> Call {
    call(GET, json!({"id": "person_123456789"}))
}

pub fn list() -> Call {
    call(LIST, json!({}))
}

pub fn update() -> Call {
    call(
        UPDATE,
        json!({
            "person": {"id": "person_123456789", "email": "john.new@example.com"},
            "update_mask": "email",
        }),
    )
}

pub fn delete() -> Call {
    call(DELETE, json!({"id": "person_123456789"}))
}

/// A call of an RPC with any request.
pub fn call(method: &'static str, request: Value) -> Call {
    Call { method, request }
}

impl Call {
    /// The same call with another value in a field of the request.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.request[field] = value;
        self
    }
}

/// An HTTP date (RFC 9110) this many seconds from now.
pub fn http_date_in(seconds: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
