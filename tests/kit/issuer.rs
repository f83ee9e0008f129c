//! An issuer of tokens: keys, tokens, and a key set over HTTP. The unit tests of `auth::jwt` use it too.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::IntoResponse,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://login.bank.example";
pub const AUDIENCE: &str = "identity-gateway";

/// A private key, and its public half as it stands in a key set.
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
    pub jwk: Value,
}

impl Signer {
    pub fn es256(kid: &str) -> Self {
        use aws_lc_rs::{rand::SystemRandom, signature};
        let (kind, random) = (
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            SystemRandom::new(),
        );
        let key = signature::EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::of(
            kid,
            Algorithm::ES256,
            EncodingKey::from_ec_der(key.as_ref()),
        )
    }

    pub fn ed25519(kid: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        Self {
            kid: kid.to_owned(),
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(der.as_ref()),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": public}),
        }
    }

    pub fn rs256(kid: &str) -> Self {
        use aws_lc_rs::{encoding::AsDer as _, rsa};
        let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let der = key.as_der().unwrap();
        // The key within, without PKCS #8's 26 bytes about it, as the library wants it.
        Self::of(
            kid,
            Algorithm::RS256,
            EncodingKey::from_rsa_der(&der.as_ref()[26..]),
        )
    }

    fn of(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
            jwk: serde_json::to_value(jwk).unwrap(),
        }
    }

    pub fn header(&self) -> Header {
        Header {
            kid: Some(self.kid.clone()),
            ..Header::new(self.algorithm)
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }

    /// A token of `subject` that is good for ten minutes.
    pub fn token(&self, subject: &str, scope: &str) -> String {
        self.sign(&claims(subject, scope))
    }
}

/// Claims that are good for ten minutes.
pub fn claims(subject: &str, scope: &str) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "exp": now() + 600,
        "scope": scope,
    })
}

pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The claims in the form of real issuers: what differs from [`claims`].
pub fn claims_of(issuer: &str, more: Value) -> Value {
    let mut claims = json!({"iss": issuer, "exp": now() + 600});
    let Value::Object(more) = more else {
        panic!("claims are an object");
    };
    claims.as_object_mut().unwrap().extend(more);
    claims
}

/// The key set of these keys.
pub fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk.clone()).collect();
    json!({ "keys": keys }).to_string()
}

/// A key set over HTTP.
#[derive(Clone)]
pub struct Jwks {
    pub address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    answer: Mutex<(StatusCode, String, Duration)>,
    /// Documents at paths of their own.
    others: Mutex<Vec<(String, String)>>,
    /// What was asked for, and the token that was shown.
    requests: Mutex<Vec<(String, Option<String>)>>,
    asked: AtomicUsize,
}

impl Jwks {
    pub async fn start(body: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            answer: Mutex::new((StatusCode::OK, body, Duration::ZERO)),
            others: Mutex::default(),
            requests: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, inner }
    }

    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    pub fn answers(&self, status: u16, body: &str) {
        self.answers_after(status, body, Duration::ZERO);
    }

    pub fn answers_after(&self, status: u16, body: &str, wait: Duration) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.inner.answer.lock().unwrap() = (status, body.to_owned(), wait);
    }

    /// Answers with another document at this path.
    pub fn has(&self, path: &str, body: &str) {
        let mut others = self.inner.others.lock().unwrap();
        others.push((path.to_owned(), body.to_owned()));
    }

    /// Every request: its path and query, and the token that was shown.
    pub fn requests(&self) -> Vec<(String, Option<String>)> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    uri: Uri,
    headers: HeaderMap,
) -> impl IntoResponse {
    inner.asked.fetch_add(1, Ordering::SeqCst);
    let shown = headers.get(header::AUTHORIZATION);
    let shown = shown.map(|value| value.to_str().unwrap().to_owned());
    inner
        .requests
        .lock()
        .unwrap()
        .push((uri.to_string(), shown));
    let (status, mut body, wait) = inner.answer.lock().unwrap().clone();
    let others = inner.others.lock().unwrap().clone();
    if let Some((_, other)) = others.into_iter().find(|(path, _)| path == uri.path()) {
        body = other;
    }
    tokio::time::sleep(wait).await;
    // A redirect leads back here: whoever follows it is counted twice.
    (status, [("location", "/elsewhere")], body)
}
