//! Who calls and what they may do: tokens, key sets, lists of keys, the headers of a mesh, the policy file.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

use http::{Extensions, HeaderMap, HeaderValue};
use identity_gateway::{
    access::{classes, grants::Access},
    auth::{
        Authenticator,
        identity::{Caller, Identity},
        jwt::key_set::KeySet,
        keys::KeyTable,
        mesh::Mesh,
    },
    config::{self, AuthMode, MeshHeader},
    policy::Policies,
    proto::{self, gateway::v1::DataClass},
};
use prost_reflect::{Kind, MessageDescriptor};

use super::words;

const XFCC: &str = "x-forwarded-client-cert";
const SIDECAR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));
const API: &str = "spiffe://bank.example/ns/payments/sa/api";

/// What a sidecar writes of a client that it has verified: Envoy's element, with every key that it can be told to add.
const ELEMENT: &str = "By=spiffe://bank.example/ns/idgw/sa/idgw;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Subject=\"CN=api,O=Example Bank\";URI=spiffe://bank.example/ns/payments/sa/api";

/// `x-forwarded-client-cert`: whatever a client has put before the sidecar's own element, the name is the
/// sidecar's or nobody's; and who is no sidecar names nobody.
pub fn mesh_header(data: &[u8]) {
    let mesh = Mesh::new(
        &[SIDECAR.to_string()],
        vec![MeshHeader::XForwardedClientCert],
    )
    .expect("an address");
    let name = |value: &[u8], peer| {
        let mut headers = HeaderMap::new();
        headers.append(XFCC, HeaderValue::from_bytes(value).ok()?);
        let caller = mesh.identify(&headers, Some(peer)).ok()??;
        Some(caller.identity.name().to_owned())
    };
    assert_eq!(
        name(data, IpAddr::V4(Ipv4Addr::LOCALHOST)),
        None,
        "nobody has named somebody"
    );
    if let Some(name) = name(data, SIDECAR) {
        assert!((1..=512).contains(&name.len()));
        assert!(name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && name.trim() == name);
    }
    let forwarded = [data, b",", ELEMENT.as_bytes()].concat();
    let forwarded = name(&forwarded, SIDECAR);
    assert!(
        forwarded.is_none_or(|name| name == API),
        "a client has named itself"
    );
    assert_eq!(name(ELEMENT.as_bytes(), SIDECAR).as_deref(), Some(API));
}

/// A list of preshared keys: a line that is wrong may hold a key, and is not repeated.
pub fn key_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let said = |text: &str| {
        KeyTable::parse(text.lines())
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };
    words::are_not_repeated(text, said);
    if let Ok(table) = KeyTable::parse(text.lines()) {
        let again: Vec<_> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect();
        assert!(
            KeyTable::parse(again.into_iter()).is_ok_and(|again| again == table),
            "a comment matters"
        );
        let twice = text.lines().chain(text.lines());
        assert!(
            table.is_empty() || KeyTable::parse(twice).is_err(),
            "a key is somebody's twice"
        );
    }
}

/// A key set: what is wrong with it does not repeat it, and no key of it is for a shared secret.
pub fn key_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    words::are_not_repeated(text, |text| {
        KeySet::parse(text)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    });
    if KeySet::parse(text).is_ok_and(|set| !set.is_empty()) {
        let document: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let keys = document["keys"].as_array().expect("keys");
        let public = |key: &&serde_json::Value| key["kty"] != "oct";
        assert!(
            keys.iter().any(|key| public(&key)),
            "a shared secret became a public key"
        );
    }
}

/// A token: the first line is its header, the second its claims, the third its signature; or one line, taken as it
/// is. Nobody here has the issuer's key, so nobody is let in.
pub fn token(data: &[u8]) {
    static GATE: LazyLock<(tokio::runtime::Runtime, Authenticator)> = LazyLock::new(gate);
    let (runtime, authenticator) = &*GATE;
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    let token = match lines.as_slice() {
        [header, claims, signature, ..] => {
            let encode = |text: &str| {
                use base64::Engine as _;
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
            };
            format!(
                "{}.{}.{}",
                encode(header),
                encode(claims),
                encode(signature)
            )
        }
        _ => text.to_owned(),
    };
    let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, value);
    let identified = runtime.block_on(authenticator.identify(&mut headers, &Extensions::new()));
    assert!(identified.is_err(), "a token that nobody signed is good");
    assert!(headers.is_empty(), "a credential goes on");
}

/// An authenticator that knows one issuer's public key, RFC 7515's example (A.3).
fn gate() -> (tokio::runtime::Runtime, Authenticator) {
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"one",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let file = tempfile::NamedTempFile::new()
        .expect("a file")
        .into_temp_path();
    std::fs::write(&file, KEYS).expect("the key set");
    let jwt = config::Jwt {
        issuer: Some("https://login.bank.example".to_owned()),
        audience: vec!["identity-gateway".to_owned()],
        jwks_file: Some(file.keep().expect("the file stays")),
        ..config::Jwt::default()
    };
    let settings = config::Auth {
        mode: vec![AuthMode::Jwt],
        jwt,
        ..config::Auth::default()
    };
    let guard = runtime.enter();
    let authenticator = Authenticator::start(&settings, &mut Vec::new()).expect("a mode");
    drop(guard);
    (runtime, authenticator)
}

/// A policy file: nobody is let in by accident, and no class of data is seen that no rule grants.
pub fn policy_file(data: &[u8]) {
    static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
        Policies::from_descriptors(proto::descriptors()).expect("the contract's policies")
    });
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(access) = Access::parse(text, &POLICIES) else {
        return;
    };
    let document: toml::Table = text.parse().expect("TOML");
    let rules = document
        .get("allow")
        .and_then(toml::Value::as_array)
        .cloned()
        .unwrap_or_default();
    let all = |key: &str| -> Vec<String> {
        let lists = rules.iter().filter_map(|rule| rule.get(key)?.as_array());
        lists
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let (identities, scopes) = (all("identities"), all("token_scopes"));
    let stranger = caller("zqxjkvzqxjkv", &[]);
    let is_meant = rules.iter().any(|rule| {
        let list = |key: &str| {
            rule.get(key)
                .and_then(toml::Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        list("token_scopes").is_empty()
            && list("identities").iter().any(|name| {
                name.as_str()
                    .is_some_and(|name| name.contains('*') || name == "zqxjkvzqxjkv")
            })
    });
    assert!(
        access.of(&stranger).is_none() || is_meant,
        "a stranger is let in"
    );
    let (classes, fields) = (all("classes"), all("fields"));
    let known = identities
        .iter()
        .map(|name| caller(&name.replace('*', "x"), &scopes));
    for caller in known.chain([stranger]) {
        let Some(grants) = access.of(&caller) else {
            continue;
        };
        for (rpc, seen) in &grants.rpcs {
            for (path, numbers, class) in classed(&answer(rpc)) {
                let granted = classes.iter().any(|word| word == classes::word(class));
                let named = fields
                    .iter()
                    .any(|field| covers(field, &path) || covers(&path, field));
                assert!(
                    !seen.has(&numbers) || granted || named,
                    "{rpc}: {path} is seen"
                );
            }
        }
    }
}

fn caller(name: &str, scopes: &[String]) -> Arc<Caller> {
    let identity =
        Identity::new(AuthMode::Jwt, name).or_else(|| Identity::new(AuthMode::Jwt, "zqxjkvzqxjkv"));
    let mut caller = Caller::new(identity.expect("a name"));
    caller.token_scopes = scopes.iter().map(|scope| scope.as_str().into()).collect();
    Arc::new(caller)
}

fn covers(path: &str, below: &str) -> bool {
    below
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn answer(path: &str) -> MessageDescriptor {
    let (service, method) = path
        .trim_start_matches('/')
        .split_once('/')
        .expect("a path");
    let service = proto::descriptors()
        .get_service_by_name(service)
        .expect("a service");
    let method = service.methods().find(|known| known.name() == method);
    method.expect("a method").output()
}

/// The fields of an answer that have a class, with their paths and numbers.
fn classed(message: &MessageDescriptor) -> Vec<(String, Vec<u32>, DataClass)> {
    let mut found = Vec::new();
    for field in message.fields() {
        let class = classes::of(&field);
        if class != DataClass::Unspecified {
            found.push((field.name().to_owned(), vec![field.number()], class));
        }
        if let Kind::Message(inner) = field.kind()
            && !inner.package_name().starts_with("google.")
        {
            for (path, numbers, class) in classed(&inner) {
                let numbers = [vec![field.number()], numbers].concat();
                found.push((format!("{}.{path}", field.name()), numbers, class));
            }
        }
    }
    found
}
