//! gRPC's own rules on the wire: compression, one message, the deadline's header. What breaks them is told so before
//! anybody is asked.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::HeaderMap;
use identity_gateway::proto::{
    identity::v1::{CheckCurpRequest, CheckCurpResponse},
    person::v1::{ListPersonsRequest, ListPersonsResponse},
};
use prost::{Message, bytes::Bytes};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    it::{scenarios::accuauth, stage::Stage, table::Setting},
    kit::wire::says,
};

const CURP: &str = "/idgw.identity.v1.IdentityService/CheckCurp";
const LIST: &str = "/idgw.person.v1.PersonService/ListPersons";

fn curp() -> Vec<u8> {
    let curp = "AAPR630321HDFLRC09".to_owned();
    CheckCurpRequest {
        curp,
        ..CheckCurpRequest::default()
    }
    .encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// Sends these bytes as the body; headers, body and trailers of the reply, the first and last in one.
async fn ask(
    stage: &Stage,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Vec<u8>,
) -> (HeaderMap, Vec<u8>) {
    let stream = tokio::net::TcpStream::connect(&stage.gateway.grpc)
        .await
        .unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let (answer, mut sending) = client.send_request(request, false).unwrap();
    sending.send_data(Bytes::from(body), true).unwrap();
    let (head, mut answer) = answer.await.unwrap().into_parts();
    let mut read = Vec::new();
    while let Some(data) = answer.data().await {
        let data = data.unwrap();
        answer.flow_control().release_capacity(data.len()).unwrap();
        read.extend_from_slice(&data);
    }
    let mut headers = head.headers;
    headers.extend(answer.trailers().await.unwrap().unwrap_or_default());
    (headers, read)
}

/// Code, reason, and the field or header that is named.
fn told(headers: &HeaderMap) -> (Code, String, String) {
    let status = Status::from_header_map(headers).unwrap();
    let info = status.get_details_error_info();
    let fields = status.get_details_bad_request();
    let field = fields.and_then(|bad| bad.field_violations.into_iter().next());
    (
        status.code(),
        info.map(|info| info.reason).unwrap_or_default(),
        field.map(|bad| bad.field).unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_grpcs_rules_is_told_so_and_nobody_is_asked() {
    let stage = Stage::set(Setting::Usual).await;
    let (plain, zipped) = (frame(0, &curp()), frame(1, &gzip(&curp())));
    // A request may have 8 MiB.
    let bomb = frame(1, &gzip(&vec![0; 64 << 20]));
    let two = [plain.clone(), plain.clone()].concat();
    let begun = [plain.clone(), plain[..9].to_vec()].concat();
    let invalid = |field: &str| {
        let reason = "INVALID_FIELD".to_owned();
        (Code::InvalidArgument, reason, field.to_owned())
    };
    let frame_is = |code, reason: &str| (code, reason.to_owned(), String::new());
    let (encoding, timeout) = ("grpc-encoding", "grpc-timeout");
    let unflagged = frame_is(Code::Internal, "INVALID_FRAME");
    let unknown = frame_is(Code::Unimplemented, "ENCODING_NOT_SUPPORTED");
    for (what, headers, body, expected) in [
        ("flagged, no encoding", vec![], &zipped, &unflagged),
        (
            "flagged, identity",
            vec![(encoding, "identity")],
            &zipped,
            &unflagged,
        ),
        (
            "no gzip",
            vec![(encoding, "gzip")],
            &frame(1, &curp()),
            &unflagged,
        ),
        (
            "cut gzip",
            vec![(encoding, "gzip")],
            &frame(1, &gzip(&curp())[..20]),
            &unflagged,
        ),
        ("deflate", vec![(encoding, "deflate")], &zipped, &unknown),
        (
            "an unknown encoding",
            vec![(encoding, "zstd, gzip")],
            &plain,
            &unknown,
        ),
        (
            "a bomb",
            vec![(encoding, "gzip")],
            &bomb,
            &invalid("request"),
        ),
        ("two messages", vec![], &two, &invalid("request")),
        ("one and a bit", vec![], &begun, &invalid("request")),
        ("none", vec![], &Vec::new(), &invalid("request")),
        (
            "no time",
            vec![(timeout, "soon")],
            &plain,
            &invalid(timeout),
        ),
        ("no unit", vec![(timeout, "5")], &plain, &invalid(timeout)),
        (
            "nine digits",
            vec![(timeout, "100000000m")],
            &plain,
            &invalid(timeout),
        ),
        (
            "two times",
            vec![(timeout, "5S"), (timeout, "9S")],
            &plain,
            &invalid(timeout),
        ),
    ] {
        let (answered, body) = ask(&stage, CURP, &headers, body.clone()).await;
        assert_eq!(&told(&answered), expected, "{what}");
        assert!(body.is_empty());
        let accepted = answered.get("grpc-accept-encoding");
        let accepted = accepted.map(|value| value.to_str().unwrap());
        let is_unknown = expected == &unknown;
        assert_eq!(accepted, is_unknown.then_some("gzip,identity"), "{what}");
        assert!(!format!("{answered:?}").contains("AAPR"), "{what}");
    }
    assert_eq!(stage.provider.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_without_its_memory() {
    let stage = Stage::set(Setting::Usual).await;
    let mut zeros = GzEncoder::new(Vec::new(), Compression::fast());
    // 256 MiB, a thousandth of it on the wire.
    for _ in 0..256 {
        zeros.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = frame(1, &zeros.finish().unwrap());
    assert!(bomb.len() < 2 << 20);
    let before = stage.gateway.highest();
    let headers = [("grpc-encoding", "gzip")];
    let thrown = (0..8).map(|_| ask(&stage, CURP, &headers, bomb.clone()));
    for (answered, _) in futures_util::future::join_all(thrown).await {
        assert_eq!(told(&answered).0, Code::InvalidArgument);
    }
    // Decompressed, one of them alone would not fit.
    let grown = stage.gateway.highest() - before;
    assert!(grown < 200, "{grown} MiB");
    assert_eq!(stage.provider.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_request_is_answered_and_a_reply_is_compressed_if_that_is_worth_it() {
    let stage = Stage::set(Setting::Usual).await;
    let both = [
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "identity,gzip"),
    ];
    stage.provider.next(says(200, accuauth::found()));
    let (headers, body) = ask(&stage, CURP, &both, frame(1, &gzip(&curp()))).await;
    assert_eq!(told(&headers).0, Code::Ok);
    assert_eq!(body[0], 0, "it is small");
    let found = CheckCurpResponse::decode(&body[5..]).unwrap();
    assert!(found.record.is_some());

    let person = |number| {
        let email = format!("ada.{number}@example.com");
        json!({"id": format!("person_{number}"), "firstName": "Ada", "lastName": "Muster", "email": email})
    };
    let many: Vec<_> = (0..200).map(person).collect();
    let asked = ListPersonsRequest {
        page_size: 200,
        ..ListPersonsRequest::default()
    }
    .encode_to_vec();
    let zipped = frame(1, &gzip(&asked));
    let asked = frame(0, &asked);
    for (headers, body, is_compressed) in [
        // It takes gzip, as most libraries say by themselves, and does not compress.
        (&both[1..], asked.clone(), false),
        (&both[..1], zipped.clone(), false),
        (&both[..], zipped, true),
        // Flagged as it is, in an encoding that is named all the same.
        (&both[..], asked, true),
    ] {
        stage.provider.next(says(200, json!({"data": many})));
        let (answered, body) = ask(&stage, LIST, headers, body).await;
        assert_eq!(told(&answered).0, Code::Ok, "{headers:?}");
        assert_eq!(body[0], u8::from(is_compressed), "{headers:?}");
        let encoding = answered
            .get("grpc-encoding")
            .map(|value| value.to_str().unwrap());
        assert_eq!(encoding, is_compressed.then_some("gzip"));
        let mut message = body[5..].to_vec();
        if is_compressed {
            let mut read = Vec::new();
            GzDecoder::new(&*message).read_to_end(&mut read).unwrap();
            assert!(message.len() < read.len() / 2);
            message = read;
        }
        let list = ListPersonsResponse::decode(&*message).unwrap();
        assert_eq!(list.persons.len(), 200);
    }
}
