//! What is called, and the canaries in the requests.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use identity_gateway::sandbox::{
    ACCUAUTH_API_ID, ACCUAUTH_API_SECRET, Row, VERIFIK_TOKEN, YOUVERIFY_TOKEN,
};
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Value, json};

use super::{REDIS, Seen, go_between::Plant};
use crate::{
    kit::wire::base64,
    telemetry::stage::{CURP, DNI, FOREIGNER, GET},
};

const KENYA: &str = "idgw.identity.v1.IdentityService/ScrubKenyaId";
const CREATE: &str = "idgw.person.v1.PersonService/CreatePerson";

/// Whether a row is called. After a 429 the provider is left alone for a second, and what takes seconds is
/// called once.
pub fn is_run(row: &Row, plant: Plant) -> bool {
    let limits = row.gives.contains("RATE_LIMITED");
    let waits = row.answer.contains("after ") || row.answer.contains("16 MiB");
    !limits && (plant == Plant::Data || !waits)
}

/// The canaries that were sent, and the fields that held one.
#[derive(Default)]
pub struct Canaries {
    words: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Canaries {
    /// The row's request with canaries in every field that may hold one; its numbers are canaries too.
    pub fn planted(&mut self, row: &Row) -> Value {
        let mut request: Value = serde_json::from_str(row.request).unwrap();
        if let Some(person) = request.get_mut("person").and_then(Value::as_object_mut) {
            for (field, value) in [
                ("given_name", "Zqxgiven"),
                ("email", "zqx@example.com"),
                ("phone_number", "+254700007731"),
                ("birthdate", "1977-07-13"),
                ("document_number", "ZQX7731773"),
            ] {
                if field == "given_name" || !person.contains_key(field) {
                    person.insert(field.to_owned(), value.into());
                }
            }
        }
        if row.method == KENYA {
            request["metadata"] = json!({"zqxkey": {"zqx": ["zqx"]}});
        }
        self.sends(row.method, &request);
        request
    }

    /// Notes what is sent.
    pub fn sends(&mut self, method: &str, request: &Value) {
        self.collect(request);
        self.note(method, request);
    }

    /// The fields of all requests that can hold any text or bytes, and never held a canary.
    pub fn never_planted(&self) -> Vec<String> {
        let mut fields = Vec::new();
        for service in identity_gateway::proto::descriptors().services() {
            for method in service.methods() {
                let path = format!("{}/{}", service.full_name(), method.name());
                leaves(&path, &method.input(), &mut fields);
            }
        }
        assert!(fields.len() > 40, "{fields:?}");
        fields.retain(|field| !self.fields.contains(field));
        fields
    }

    fn note(&mut self, path: &str, value: &Value) {
        if let Value::Object(object) = value
            && !path.ends_with(".metadata")
        {
            for (name, value) in object {
                self.note(&format!("{path}.{name}"), value);
            }
            return;
        }
        let text = value.to_string().to_lowercase();
        let word = value.as_str().map(str::to_lowercase);
        if text.contains("zqx") || word.is_some_and(|word| self.words.contains(&word)) {
            self.fields.insert(path.to_owned());
        }
    }

    fn collect(&mut self, value: &Value) {
        match value {
            // Short ones, zeros and the sandbox's plain words (`MALFORMED`) stand elsewhere by chance.
            Value::String(text) if text.len() >= 7 && !text.starts_with("KENYA_ID_TYPE") => {
                let plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'0';
                if !text.bytes().all(plain) {
                    self.words.insert(text.to_lowercase());
                }
                if let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] {
                    self.words.insert(format!("{day}/{month}/{year}"));
                    self.words.insert(format!("{day}%2f{month}%2f{year}"));
                }
            }
            Value::Array(list) => list.iter().for_each(|one| self.collect(one)),
            Value::Object(object) => object.values().for_each(|one| self.collect(one)),
            _ => {}
        }
    }

    /// Where canaries and credentials were found, with what stands around them.
    pub fn found(&self, seen: &Seen) -> Vec<String> {
        assert!(self.words.len() > 50, "{:?}", self.words);
        let secrets = [
            VERIFIK_TOKEN,
            YOUVERIFY_TOKEN,
            ACCUAUTH_API_ID,
            ACCUAUTH_API_SECRET,
        ];
        let secrets = secrets.map(str::to_lowercase);
        let mut leaks = Vec::new();
        for (place, text) in seen {
            let text = text.to_lowercase();
            for canary in self.words.iter().chain(&secrets) {
                leaks.extend(
                    find(&text, canary, true).map(|leak| format!("{place}: {canary}: {leak}")),
                );
            }
            // What is encrypted holds any three letters by chance.
            let (short, long) = (&["zqx", "fictional 7731"], &["zqxgiven", "fictional 7731"]);
            for canary in if *place == REDIS { long } else { short } {
                leaks.extend(
                    find(&text, canary, false).map(|leak| format!("{place}: {canary}: {leak}")),
                );
            }
        }
        leaks
    }
}

/// What stands around the first find. A number must stand alone: within a longer one it is chance.
fn find(text: &str, canary: &str, alone: bool) -> Option<String> {
    let borders = |at: usize| {
        let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let before = at
            .checked_sub(1)
            .and_then(|before| text.as_bytes().get(before));
        !inside(before) && !inside(text.as_bytes().get(at + canary.len()))
    };
    let (at, _) = text
        .match_indices(canary)
        .find(|(at, _)| !alone || borders(*at))?;
    let around = at.saturating_sub(80)..(at + canary.len() + 80).min(text.len());
    Some(String::from_utf8_lossy(&text.as_bytes()[around]).into_owned())
}

/// Adds the paths of the fields that can hold any text or bytes.
fn leaves(path: &str, message: &MessageDescriptor, found: &mut Vec<String>) {
    for field in message.fields() {
        let path = format!("{path}.{}", field.name());
        match field.kind() {
            Kind::String | Kind::Bytes => found.push(path),
            Kind::Message(inner) => match inner.full_name() {
                "google.protobuf.Duration" | "google.protobuf.Timestamp" => {}
                name if name.starts_with("google.protobuf.") => found.push(path),
                _ => leaves(&path, &inner, found),
            },
            _ => {}
        }
    }
}

/// Requests with canaries in every field that pass all checks, different ones in each round.
pub fn whole(round: usize) -> Vec<(&'static str, Value)> {
    let biometric = json!({"face_image": base64(b"zqx face 7731"),
        "fingerprint": base64(b"zqx fingerprint 7731"), "liveness_score": 0.7731});
    let person = json!({"id": "zqx-id-7731", "given_name": "Zqxgiven", "family_name": "Zqxfamily",
        "email": "zqx@example.com", "phone_number": "+254700007731", "birthdate": "1977-07-13",
        "document_type": "ZQX TYPE", "document_number": format!("ZQX7731773{round}"),
        "biometric_data": biometric});
    let request_id = |kind| format!("01977317-7317-7731-8731-7731773177{kind}{round}");
    let metadata = json!({"zqxkey": {"zqx": ["zqx"]}});
    let number = format!("ZQX773177{round}");
    vec![
        (
            FOREIGNER,
            json!({"document_number": number, "birthdate": "1977-07-13", "max_age": "60s"}),
        ),
        (
            KENYA,
            json!({"id": number, "id_type": "KENYA_ID_TYPE_PASSPORT", "subject_consent": true,
                "metadata": metadata, "max_age": "60s"}),
        ),
        (
            CREATE,
            json!({"person": person, "request_id": request_id(1)}),
        ),
        (
            "idgw.person.v1.PersonService/CreatePersonWithLiveness",
            json!({"person": person, "request_id": request_id(2)}),
        ),
        (
            "idgw.person.v1.PersonService/UpdatePerson",
            json!({"person": person}),
        ),
    ]
}

/// Requests that are refused before a provider is asked: canaries where they break a rule.
pub fn refused() -> Vec<(&'static str, Value)> {
    vec![
        (
            KENYA,
            json!({"id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": true,
                "read_mask": "zqx"}),
        ),
        (
            FOREIGNER,
            json!({"document_number": "005015372", "birthdate": "1993-08-16", "read_mask": "zqx"}),
        ),
        (
            DNI,
            json!({"document_number": "71640001", "read_mask": "zqx"}),
        ),
        (
            DNI,
            json!({"document_number": "zqx zqx", "request_id": "zqx"}),
        ),
        (
            KENYA,
            json!({"id": "1234567", "id_type": "KENYA_ID_TYPE_NATIONAL_ID", "subject_consent": true,
                "request_id": "zqx"}),
        ),
        (
            FOREIGNER,
            json!({"document_number": "005015372", "birthdate": "1993-08-16", "request_id": "zqx"}),
        ),
        (
            CURP,
            json!({"curp": "AAPR630321HDFLRC09", "request_id": "zqx"}),
        ),
        (CURP, json!({"curp": "zqx"})),
        (
            CURP,
            json!({"curp": "AAPR630321HDFLRC09", "read_mask": "zqx"}),
        ),
        (
            FOREIGNER,
            json!({"document_number": "zqx zqx", "birthdate": "zqx"}),
        ),
        (
            FOREIGNER,
            json!({"document_number": "ZQX7731773", "birthdate": "2999-07-13"}),
        ),
        (KENYA, json!({"id": "zqx zqx"})),
        (GET, json!({"id": "zqx/../zqx"})),
        (
            CREATE,
            json!({"person": {"given_name": "zqx", "email": "zqx", "birthdate": "zqx"}}),
        ),
        (
            CREATE,
            json!({"person": {"given_name": "zqx", "family_name": "zqx"}, "request_id": "zqx"}),
        ),
        (
            "idgw.person.v1.PersonService/ListPersons",
            json!({"page_token": "zqx"}),
        ),
        (
            "idgw.person.v1.PersonService/UpdatePerson",
            json!({"person": {"id": "zqx zqx"}, "update_mask": "zqx"}),
        ),
        (
            "idgw.person.v1.PersonService/DeletePerson",
            json!({"id": "zqx zqx"}),
        ),
    ]
}

/// Messages that are none, and paths that lead nowhere.
pub async fn broken_messages(gateway: SocketAddr, seen: &mut Seen) {
    let frame = |message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        Bytes::from([&[0], &length[..], message].concat())
    };
    let curp = format!("/{CURP}");
    for (path, body) in [
        (curp.as_str(), frame(b"\x0a\xffzqx")),
        (curp.as_str(), frame(b"\x0a\x05zqx\xff\xfe")),
        (curp.as_str(), Bytes::from_static(b"zqx")),
        (curp.as_str(), Bytes::from_static(b"\x01\0\0\0\x03zqx")),
        ("/zqx.Zqx/Zqx", frame(b"zqx")),
        (
            "/idgw.identity.v1.IdentityService/zqx?zqx=zqx",
            frame(b"zqx"),
        ),
    ] {
        let request = http::Request::post(format!("http://{gateway}{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "zqx")
            .header("x-zqx", "zqx")
            .body(Full::new(body))
            .unwrap();
        let socket = tokio::net::TcpStream::connect(gateway).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(socket),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let told = format!("{:?} ", answer.headers());
        let trailers = answer.into_body().collect().await.unwrap();
        let told = format!("{told} {:?}\n", trailers.trailers());
        seen.entry("errors").or_default().push_str(&told);
    }
}
