//! The gateway's own refusals: bad fields, each named, and missing consent. No provider is called.

use serde_json::{Value, json};

use super::calls::{
    self, CREATE, CREATE_WITH_LIVENESS, CURP, DELETE, DNI, FOREIGNER, GET, KENYA, LIST, UPDATE,
    call,
};
use crate::it::{cases, table::Row};

pub fn rows() -> Vec<Row> {
    [
        foreigners(),
        dnis(),
        kenyans(),
        curps(),
        creates(),
        reads(),
        updates(),
        consent(),
    ]
    .concat()
}

fn provider_of(method: &str) -> &'static str {
    match method {
        KENYA => "youverify",
        CURP => "accuauth",
        _ => "verifik",
    }
}

/// A bad request, and every field that is named for it.
fn bad<const N: usize>(method: &'static str, request: Value, fields: [&'static str; N]) -> Row {
    let what = match method {
        FOREIGNER | DNI | KENYA | CURP => {
            "fields of a lookup that are missing, malformed or impossible"
        }
        _ => "bad fields in a call about persons",
    };
    let row = Row::new(provider_of(method), call(method, request), what, Vec::new());
    row.hidden()
        .fails(cases::INVALID_FIELD.bare().fields(fields))
}

fn dnis() -> Vec<Row> {
    let numbers = ["", "7164001", "716400011", "7164000A", "71640001 "];
    let bad_number = |number| bad(DNI, json!({"document_number": number}), ["document_number"]);
    let every_field = bad(
        DNI,
        json!({"document_number": "x", "max_age": "-1s", "read_mask": "record.nothing"}),
        ["document_number", "max_age", "read_mask"],
    );
    numbers
        .into_iter()
        .map(bad_number)
        .chain([every_field])
        .collect()
}

fn foreigners() -> Vec<Row> {
    let bad_number = |number: &str| {
        bad(
            FOREIGNER,
            json!({"document_number": number, "birthdate": "1993-08-16"}),
            ["document_number"],
        )
    };
    let bad_date = |date: &str| {
        bad(
            FOREIGNER,
            json!({"document_number": "005015372", "birthdate": date}),
            ["birthdate"],
        )
    };
    let mut rows = vec![
        bad(FOREIGNER, json!({}), ["document_number", "birthdate"]),
        bad(
            FOREIGNER,
            json!({"document_number": "x", "birthdate": "x", "max_age": "-1s", "read_mask": "record.nothing"}),
            ["document_number", "birthdate", "max_age", "read_mask"],
        ),
        bad(
            FOREIGNER,
            calls::foreigner()
                .with("read_mask", json!("record.nameParts.x"))
                .request,
            ["read_mask"],
        ),
        bad(
            FOREIGNER,
            calls::foreigner().with("max_age", json!("-0.5s")).request,
            ["max_age"],
        ),
    ];
    let long = "1".repeat(5000);
    rows.extend(
        [
            "",
            "1234567",
            "1234567890123",
            "12345678a",
            "1234 56789",
            "１２３４５６７８",
            &long,
        ]
        .map(bad_number),
    );
    rows.extend(
        [
            "",
            "16/08/1993",
            "1993-8-16",
            "1993-02-29",
            "2999-01-01",
            "1000-01-01",
            "yesterday",
        ]
        .map(bad_date),
    );
    // One row stands for all of them in the document.
    rows[0].shown = true;
    rows
}

fn kenyans() -> Vec<Row> {
    let bad_id = |id_type: &str, id: &str| {
        let id_type = format!("KENYA_ID_TYPE_{id_type}");
        bad(
            KENYA,
            json!({"id": id, "id_type": id_type, "subject_consent": true}),
            ["id"],
        )
    };
    vec![
        bad(KENYA, json!({}), ["id_type", "id"]),
        bad(KENYA, json!({"id": "1234567"}), ["id_type"]),
        bad(
            KENYA,
            json!({"id": "1234567", "id_type": 99, "subject_consent": true}),
            ["id_type"],
        ),
        bad(
            KENYA,
            json!({"id": "x", "id_type": 1, "max_age": "-1s", "read_mask": "recordd"}),
            ["id", "max_age", "read_mask"],
        ),
        bad_id("NATIONAL_ID", ""),
        bad_id("NATIONAL_ID", "1234567890"),
        bad_id("NATIONAL_ID", "12345A"),
        bad_id("PASSPORT", "A1234"),
        bad_id("PASSPORT", "A123456789"),
        bad_id("PASSPORT", "a1234567"),
        bad_id("SERVICE_ID", "123456789012345678901"),
        bad_id("SERVICE_ID", "KDF_12345"),
        bad_id("ALIEN_ID", "12345"),
        bad_id("ALIEN_ID", "1234567890"),
        // Fields are checked before consent.
        bad(
            KENYA,
            json!({"id": "12345x", "id_type": 1, "subject_consent": false}),
            ["id"],
        ),
    ]
}

fn curps() -> Vec<Row> {
    let wrong = [
        "",
        "AAPR630321HDFLRC08",  // check digit
        "AAPR000229HDFLRC01",  // 29 February 1900
        "ZAZD801124MBSYQN13",  // check digit
        "AAPR630231HDFLRC09",  // 31 February
        "AAPR630321HZZLRC09",  // entity
        "AAPR630321ZDFLRC09",  // sex
        "AAPR600321HDFLRCA9",  // a letter means 2060
        "AAPR630321HDFLRC0",   // short
        "AAPR630321HDFLRC099", // long
        "aapr630321hdflrc09",  // lower case
        "AAPR630321HDFLRC0 ",
        "ÁAPR630321HDFLRC0",
    ];
    let mut rows: Vec<Row> = wrong
        .map(|curp| bad(CURP, json!({"curp": curp}), ["curp"]))
        .into();
    rows.push(bad(
        CURP,
        json!({"max_age": "-1s", "read_mask": "verification.idd"}),
        ["curp", "max_age", "read_mask"],
    ));
    rows
}

fn creates() -> Vec<Row> {
    let person = |field: &str, value: Value| {
        let mut person = calls::create().request["person"].clone();
        person[field] = value;
        json!({"person": person})
    };
    let long = "x".repeat(300);
    vec![
        bad(
            CREATE,
            json!({}),
            ["person.given_name", "person.family_name"],
        ),
        bad(
            CREATE_WITH_LIVENESS,
            json!({}),
            [
                "person.given_name",
                "person.family_name",
                "person.biometric_data.face_image",
            ],
        ),
        bad(
            CREATE,
            json!({"request_id": "not-a-uuid", "person": {
                "given_name": "", "email": "nobody at home", "phone_number": "call me", "birthdate": "2999-01-01",
                "document_type": " ", "document_number": "9".repeat(65),
                "biometric_data": {"face_image": "", "fingerprint": ""},
            }}),
            [
                "person.given_name",
                "person.family_name",
                "person.email",
                "person.phone_number",
                "person.birthdate",
                "person.document_type",
                "person.document_number",
                "person.biometric_data.face_image",
                "person.biometric_data.fingerprint",
                "request_id",
            ],
        ),
        bad(
            CREATE,
            person("given_name", json!(long)),
            ["person.given_name"],
        ),
        bad(
            CREATE,
            person("family_name", json!("Doe\u{7}Fictional")),
            ["person.family_name"],
        ),
        bad(
            CREATE,
            person("email", json!("john@doe@example.com")),
            ["person.email"],
        ),
        bad(
            CREATE,
            person("phone_number", json!("123")),
            ["person.phone_number"],
        ),
        bad(
            CREATE,
            person("birthdate", json!("15/01/1990")),
            ["person.birthdate"],
        ),
    ]
}

fn reads() -> Vec<Row> {
    let mut rows = Vec::new();
    for method in [GET, DELETE] {
        for id in [
            "",
            "../persons",
            "a/b/c/d",
            "a?b=c&d",
            "a%2fb%2f",
            &"x".repeat(129),
        ] {
            rows.push(bad(method, json!({"id": id}), ["id"]));
        }
    }
    rows.extend([
        bad(GET, json!({"view": 7}), ["id", "view"]),
        bad(LIST, json!({"page_size": -1}), ["page_size"]),
        bad(
            LIST,
            json!({"page_token": "page=2&limit=50"}),
            ["page_token"],
        ),
        bad(
            LIST,
            json!({"page_size": -1, "view": 7, "page_token": "made-up"}),
            ["page_size", "view", "page_token"],
        ),
    ]);
    rows
}

fn updates() -> Vec<Row> {
    let masked = |mask: &str| json!({"person": {"id": "person_123456789", "email": "john.new@example.com"}, "update_mask": mask});
    vec![
        bad(UPDATE, json!({}), ["person.id", "person"]),
        bad(
            UPDATE,
            json!({"person": {"id": "person_123456789"}}),
            ["person"],
        ),
        bad(
            UPDATE,
            json!({"person": {"id": "a/b/c/d", "email": "nobody", "birthdate": "soon"}}),
            ["person.id", "person.email", "person.birthdate"],
        ),
        bad(UPDATE, masked("nothing"), ["update_mask"]),
        bad(UPDATE, masked("verificationStatus"), ["update_mask"]),
        bad(UPDATE, masked("email,id"), ["update_mask"]),
        // One name may go, if the other stays.
        bad(UPDATE, masked("familyName,givenName"), ["update_mask"]),
    ]
}

fn consent() -> Vec<Row> {
    let without = |what, request: Value| {
        Row::new("youverify", call(KENYA, request), what, Vec::new()).fails(cases::CONSENT.bare())
    };
    let refused = calls::kenya().with("subject_consent", json!(false));
    vec![
        without("`subject_consent` is false", refused.request),
        without(
            "`subject_consent` is not said",
            json!({"id": "1234567", "id_type": 1}),
        )
        .hidden(),
    ]
}
