//! What is called, and the canaries in the requests.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use identity_gateway::sandbox::{
    ACCUAUTH_API_ID, ACCUAUTH_API_SECRET, Row, VERIFIK_TOKEN, YOUVERIFY_TOKEN,
};
use serde_json::{Value, json};

use super::{Seen, go_between::Plant};
use crate::stage::{CURP, FOREIGNER, GET};

/// Whether a row is called. After a 429 the provider is left alone for a second, and what takes seconds is
/// called once.
pub fn is_run(row: &Row, plant: Plant) -> bool {
    let limits = row.gives.contains("RATE_LIMITED");
    let waits = row.answer.contains("after ") || row.answer.contains("16 MiB");
    !limits && (plant == Plant::Data || !waits)
}

/// The canaries that were sent.
#[derive(Default)]
pub struct Canaries(BTreeSet<String>);

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
        if row.method.ends_with("ScrubKenyaId") {
            request["metadata"] = json!({"zqxkey": {"zqx": ["zqx"]}});
        }
        self.collect(&request);
        request
    }

    fn collect(&mut self, value: &Value) {
        match value {
            // Short ones, zeros and the sandbox's plain words (`MALFORMED`) stand elsewhere by chance.
            Value::String(text) if text.len() >= 7 && !text.starts_with("KENYA_ID_TYPE") => {
                let plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'0';
                if !text.bytes().all(plain) {
                    self.0.insert(text.to_lowercase());
                }
                if let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] {
                    self.0.insert(format!("{day}/{month}/{year}"));
                    self.0.insert(format!("{day}%2f{month}%2f{year}"));
                }
            }
            Value::Array(list) => list.iter().for_each(|one| self.collect(one)),
            Value::Object(object) => object.values().for_each(|one| self.collect(one)),
            _ => {}
        }
    }

    /// Where canaries and credentials were found, with what stands around them.
    pub fn found(&self, seen: &Seen) -> Vec<String> {
        assert!(self.0.len() > 50, "{:?}", self.0);
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
            for canary in self.0.iter().chain(&secrets) {
                leaks.extend(
                    find(&text, canary, true).map(|leak| format!("{place}: {canary}: {leak}")),
                );
            }
            for canary in ["zqx", "fictional 7731"] {
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

/// Requests that are refused before a provider is asked: canaries where they break a rule.
pub fn refused() -> Vec<(&'static str, Value)> {
    let create = "person.v1.PersonService/CreatePerson";
    vec![
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
        (
            "identity.v1.IdentityService/ScrubKenyaId",
            json!({"id": "zqx zqx"}),
        ),
        (GET, json!({"id": "zqx/../zqx"})),
        (
            create,
            json!({"person": {"given_name": "zqx", "email": "zqx", "birthdate": "zqx"}}),
        ),
        (
            create,
            json!({"person": {"given_name": "zqx", "family_name": "zqx"}, "request_id": "zqx"}),
        ),
        (
            "person.v1.PersonService/ListPersons",
            json!({"page_token": "zqx"}),
        ),
        (
            "person.v1.PersonService/UpdatePerson",
            json!({"person": {"id": "zqx zqx"}, "update_mask": "zqx"}),
        ),
        (
            "person.v1.PersonService/DeletePerson",
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
        ("/identity.v1.IdentityService/zqx?zqx=zqx", frame(b"zqx")),
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
