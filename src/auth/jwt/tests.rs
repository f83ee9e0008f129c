// Long: the cases of one standard, against one issuer that they all need.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

mod issuers;
mod places;

use super::*;
use crate::auth::issuer::{AUDIENCE, ISSUER, Jwks, Signer, claims, key_set, now};
use crate::setting::Span;

fn settings(jwks: &Jwks) -> Settings {
    Settings {
        issuer: Some(ISSUER.to_owned()),
        audience: vec![AUDIENCE.to_owned()],
        jwks_url: Some(jwks.url().parse().unwrap()),
        jwks_cooldown: "200ms".parse().unwrap(),
        ..Settings::default()
    }
}

fn start(settings: &Settings) -> Result<Jwt, StartError> {
    Jwt::start(settings, &mut Vec::new())
}

fn started(jwks: &Jwks) -> Jwt {
    start(&settings(jwks)).unwrap()
}

/// Who the token names, or why nobody.
async fn who(jwt: &Jwt, token: &str) -> Result<String, Cause> {
    let identified = jwt.identify(&Secret::new(token)).await;
    let caller = identified.map_err(|unidentified| unidentified.cause)?;
    Ok(caller.identity.name().to_owned())
}

fn changed(claim: &str, value: Value) -> Value {
    let mut claims = claims("alice", "kyc");
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(claim),
        value => claims
            .as_object_mut()
            .unwrap()
            .insert(claim.to_owned(), value),
    };
    claims
}

#[tokio::test]
async fn a_token_is_good_only_if_everything_about_it_is() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let jwt = started(&jwks);
    let good = Ok("alice");
    for (claim, value, expected) in [
        ("sub", json!("alice"), good),
        ("aud", json!(["other", AUDIENCE]), good),
        // Within the leeway of 30 seconds, and beyond it.
        ("exp", json!(now() - 20), good),
        ("exp", json!(now() - 40), Err(Cause::Expired)),
        ("nbf", json!(now() + 20), good),
        ("nbf", json!(now() + 60), Err(Cause::NotYetValid)),
        ("nbf", json!("soon"), Err(Cause::Malformed)),
        ("exp", json!(now() as f64 + 5.5), good),
        ("exp", json!("tomorrow"), Err(Cause::Malformed)),
        ("exp", json!(-1), Err(Cause::Malformed)),
        ("exp", Value::Null, Err(Cause::Malformed)),
        (
            "iss",
            json!("https://login.bank.example/"),
            Err(Cause::Issuer),
        ),
        ("iss", json!("https://evil.example"), Err(Cause::Issuer)),
        ("iss", Value::Null, Err(Cause::Issuer)),
        ("iss", json!([ISSUER]), Err(Cause::Malformed)),
        (
            "iss",
            json!([ISSUER, "https://evil.example"]),
            Err(Cause::Malformed),
        ),
        ("at_hash", json!("x"), Err(Cause::TokenType)),
        ("events", json!({}), Err(Cause::TokenType)),
        ("typ", json!("ID"), Err(Cause::TokenType)),
        ("typ", json!("Refresh"), Err(Cause::TokenType)),
        ("typ", json!("Bearer"), good),
        ("token_use", json!("id"), Err(Cause::TokenType)),
        ("token_use", json!("access"), good),
        ("aud", json!("somebody-else"), Err(Cause::Audience)),
        ("aud", json!([]), Err(Cause::Audience)),
        ("aud", Value::Null, Err(Cause::Audience)),
        ("sub", Value::Null, Err(Cause::Identity)),
        ("sub", json!(""), Err(Cause::Identity)),
        ("sub", json!(7), Err(Cause::Identity)),
        ("sub", json!("a\nb"), Err(Cause::Identity)),
        ("scope", json!(["kyc"]), good),
        ("scope", json!(7), Err(Cause::Malformed)),
        ("scp", json!([7]), Err(Cause::Malformed)),
        ("scp", json!("kyc"), good),
    ] {
        let token = signer.sign(&changed(claim, value.clone()));
        let who = who(&jwt, &token).await;
        assert_eq!(
            who.as_deref(),
            expected.as_ref().copied(),
            "{claim} {value}"
        );
    }
}

#[tokio::test]
async fn every_configured_kind_of_key_verifies_and_none_verifies_for_another() {
    let (ec, ed, rsa) = (
        Signer::es256("ec"),
        Signer::ed25519("ed"),
        Signer::rs256("rsa"),
    );
    let jwks = Jwks::start(key_set(&[&ec, &ed, &rsa])).await;
    let jwt = started(&jwks);
    for signer in [&ec, &ed, &rsa] {
        let token = signer.token("alice", "");
        assert_eq!(
            who(&jwt, &token).await.as_deref(),
            Ok("alice"),
            "{}",
            signer.kid
        );
        for other in [&ec, &ed, &rsa]
            .into_iter()
            .filter(|other| other.kid != signer.kid)
        {
            let header = Header {
                kid: Some(other.kid.clone()),
                ..signer.header()
            };
            let token = signer.sign_with(&header, &claims("alice", ""));
            assert_eq!(who(&jwt, &token).await, Err(Cause::UnknownKey));
        }
    }
    // Not in the list, though the key would do.
    let mut only = settings(&jwks);
    only.algorithms = vec![settings::JwtAlgorithm::Es256];
    let jwt = start(&only).unwrap();
    assert!(who(&jwt, &ec.token("alice", "")).await.is_ok());
    assert_eq!(
        who(&jwt, &rsa.token("alice", "")).await,
        Err(Cause::Algorithm)
    );
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let signer = Signer::rs256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let jwt = started(&jwks);
    let good = signer.token("alice", "");
    assert!(who(&jwt, &good).await.is_ok());
    let parts: Vec<_> = good.split('.').collect();
    let json_part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json_part(json!({"alg": "none", "kid": "one"}));
    let other_claims = json_part(claims("mallory", ""));
    // The public key as the secret of an HMAC, in each form in which it is at hand.
    let hmac = |secret: &[u8]| {
        let header = Header {
            kid: Some("one".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        let key = EncodingKey::from_secret(secret);
        jsonwebtoken::encode(&header, &claims("mallory", ""), &key).unwrap()
    };
    let modulus = signer.jwk["n"].as_str().unwrap();
    let with_header = |change: fn(&mut Header)| {
        let mut header = signer.header();
        change(&mut header);
        signer.sign_with(&header, &claims("alice", ""))
    };
    let mut cut = good.clone();
    cut.pop();
    for (what, token, cause) in [
        (
            "alg none, no signature",
            format!("{none}.{}.", parts[1]),
            Cause::Malformed,
        ),
        (
            "alg none, a signature",
            format!("{none}.{}.{}", parts[1], parts[2]),
            Cause::Malformed,
        ),
        (
            "HS256 under the modulus",
            hmac(modulus.as_bytes()),
            Cause::Algorithm,
        ),
        (
            "HS256 under the raw modulus",
            hmac(&URL_SAFE_NO_PAD.decode(modulus).unwrap()),
            Cause::Algorithm,
        ),
        (
            "HS256 under the JWK",
            hmac(signer.jwk.to_string().as_bytes()),
            Cause::Algorithm,
        ),
        ("HS256 under nothing", hmac(b""), Cause::Algorithm),
        (
            "other claims",
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            Cause::Signature,
        ),
        (
            "no signature",
            format!("{}.{}.", parts[0], parts[1]),
            Cause::Signature,
        ),
        (
            "two parts",
            format!("{}.{}", parts[0], parts[1]),
            Cause::Malformed,
        ),
        ("four parts", format!("{good}.x"), Cause::Malformed),
        ("cut", cut, Cause::Malformed),
        ("nothing", String::new(), Cause::Malformed),
        ("dots", "..".to_owned(), Cause::Malformed),
        (
            "an unknown extension",
            with_header(|header| header.crit = Some(vec!["b64".to_owned()])),
            Cause::Malformed,
        ),
        // What a header says of keys is not asked.
        (
            "no kid of ours",
            with_header(|header| header.kid = Some("two".to_owned())),
            Cause::UnknownKey,
        ),
        (
            "another key",
            Signer::rs256("one").token("alice", ""),
            Cause::Signature,
        ),
    ] {
        assert_eq!(who(&jwt, &token).await, Err(cause), "{what}");
    }
    // Only one key fits, so its id may be left out.
    assert!(
        who(&jwt, &with_header(|header| header.kid = None))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_token_of_another_type_lets_nobody_in() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let usual = started(&jwks);
    let mut settings = settings(&jwks);
    settings.require_at_jwt = true;
    let strict = start(&settings).unwrap();
    for (typ, by_usual, by_strict) in [
        (None, true, false),
        (Some("JWT"), true, false),
        (Some("jwt"), true, false),
        (Some("at+jwt"), true, true),
        (Some("application/at+jwt"), true, true),
        (Some("AT+JWT"), true, true),
        (Some("logout+jwt"), false, false),
        (Some("secevent+jwt"), false, false),
        (Some("id_token"), false, false),
    ] {
        let mut header = signer.header();
        header.typ = typ.map(str::to_owned);
        let token = signer.sign_with(&header, &claims("alice", ""));
        for (jwt, is_good) in [(&usual, by_usual), (&strict, by_strict)] {
            assert_eq!(who(jwt, &token).await.is_ok(), is_good, "{typ:?}");
        }
    }
}

#[tokio::test]
async fn scopes_come_from_scope_and_scp() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let jwt = started(&jwks);
    let mut claims = claims("alice", " a  b ");
    claims["scp"] = json!(["c d", "b"]);
    let caller = jwt
        .identify(&Secret::new(signer.sign(&claims)))
        .await
        .unwrap();
    let scopes: Vec<_> = caller.token_scopes.iter().map(AsRef::as_ref).collect();
    assert_eq!(scopes, ["a", "b", "c d"]);
}

#[tokio::test]
async fn another_claim_can_name_the_caller() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let mut settings = settings(&jwks);
    settings.identity_claim = "azp".to_owned();
    let jwt = start(&settings).unwrap();
    let token = signer.sign(&changed("azp", json!("onboarding-app")));
    assert_eq!(who(&jwt, &token).await.as_deref(), Ok("onboarding-app"));
    let token = signer.token("alice", "");
    assert_eq!(who(&jwt, &token).await, Err(Cause::Identity));
}

#[tokio::test]
async fn a_rotated_key_is_known_with_its_first_token_and_the_old_one_as_long_as_it_is_listed() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let jwks = Jwks::start(key_set(&[&old])).await;
    let jwt = started(&jwks);
    let old_token = old.token("alice", "");
    assert!(who(&jwt, &old_token).await.is_ok());
    jwks.answers(200, &key_set(&[&old, &new]));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(who(&jwt, &new.token("alice", "")).await.is_ok());
    assert!(who(&jwt, &old_token).await.is_ok());
    // The old one is withdrawn: also its verified tokens are good no more.
    let newest = Signer::es256("newest");
    jwks.answers(200, &key_set(&[&new, &newest]));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(who(&jwt, &newest.token("alice", "")).await.is_ok());
    assert_eq!(who(&jwt, &old_token).await, Err(Cause::UnknownKey));
}

#[tokio::test]
async fn unknown_key_ids_cause_one_question_in_a_while() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let mut settings = settings(&jwks);
    settings.jwks_cooldown = Span::seconds(600);
    let jwt = Arc::new(start(&settings).unwrap());
    assert!(who(&jwt, &signer.token("alice", "")).await.is_ok());
    assert_eq!(jwks.asked(), 1);
    for number in 0..50 {
        let made_up = Signer::es256(&format!("made up {number}")).token("alice", "");
        assert_eq!(who(&jwt, &made_up).await, Err(Cause::UnknownKey));
    }
    assert_eq!(jwks.asked(), 1);
    // After a while it is asked again, once for all who come at the same moment.
    settings.jwks_cooldown = "300ms".parse().unwrap();
    let jwt = Arc::new(start(&settings).unwrap());
    assert!(who(&jwt, &signer.token("alice", "")).await.is_ok());
    let before = jwks.asked();
    tokio::time::sleep(Duration::from_millis(350)).await;
    let calls = (0..50).map(|number| {
        let (jwt, signer) = (
            Arc::clone(&jwt),
            Signer::es256(&format!("unknown {number}")),
        );
        async move { who(&jwt, &signer.token("alice", "")).await }
    });
    for refused in futures_util::future::join_all(calls).await {
        assert_eq!(refused, Err(Cause::UnknownKey));
    }
    assert_eq!(jwks.asked(), before + 1);
}

#[tokio::test]
async fn while_the_key_set_cannot_be_had_known_keys_go_on_and_others_cannot_be_judged() {
    let (known, other) = (Signer::es256("one"), Signer::es256("two"));
    let jwks = Jwks::start(key_set(&[&known])).await;
    let jwt = started(&jwks);
    assert!(who(&jwt, &known.token("alice", "")).await.is_ok());
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(600 * 1024));
    for (what, status, body) in [
        ("an error", 500, key_set(&[&other])),
        ("a redirect", 302, key_set(&[&other])),
        ("garbage", 200, "<html>".to_owned()),
        ("too large a set", 200, large),
    ] {
        let asked = jwks.asked();
        jwks.answers(status, &body);
        tokio::time::sleep(Duration::from_millis(250)).await;
        let unknown = who(&jwt, &other.token("bob", "")).await;
        assert_eq!(unknown, Err(Cause::KeysUnavailable));
        assert_eq!(jwks.asked(), asked + 1, "{what}");
        assert!(
            who(&jwt, &known.token("alice", what)).await.is_ok(),
            "{what}"
        );
    }
    jwks.answers(200, &key_set(&[&known, &other]));
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(who(&jwt, &other.token("bob", "")).await.is_ok());
}

#[tokio::test]
async fn an_empty_set_is_a_set_and_a_withdrawn_key_is_good_no_more() {
    let signer = Signer::es256("one");
    let symmetric = json!({"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]});
    for empty in [json!({"keys": []}), symmetric] {
        let jwks = Jwks::start(key_set(&[&signer])).await;
        let jwt = started(&jwks);
        // Remembered, too.
        let token = signer.token("alice", "");
        assert!(who(&jwt, &token).await.is_ok());
        jwks.answers(200, &empty.to_string());
        tokio::time::sleep(Duration::from_millis(250)).await;
        let unknown = Signer::es256("two").token("bob", "");
        assert_eq!(who(&jwt, &unknown).await, Err(Cause::UnknownKey));
        assert_eq!(who(&jwt, &token).await, Err(Cause::UnknownKey));
        jwks.answers(200, &key_set(&[&signer]));
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(who(&jwt, &token).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_set_that_cannot_be_fetched_is_good_for_the_stated_time_and_no_longer() {
    let signer = Signer::es256("one");
    for (status, body) in [(503, ""), (200, "<html>")] {
        let jwks = Jwks::start(key_set(&[&signer])).await;
        let mut settings = settings(&jwks);
        settings.jwks_refresh = "1s".parse().unwrap();
        settings.jwks_max_stale = "2s".parse().unwrap();
        let jwt = start(&settings).unwrap();
        let token = signer.token("alice", "");
        assert!(who(&jwt, &token).await.is_ok());
        jwks.answers(status, body);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(who(&jwt, &token).await.is_ok());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        for token in [&token, &signer.token("bob", "")] {
            let unknown = who(&jwt, token).await;
            assert_eq!(unknown, Err(Cause::KeysUnavailable));
        }
        jwks.answers(200, &key_set(&[&signer]));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(who(&jwt, &token).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_set_that_does_not_answer_is_waited_for_no_longer_than_said() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    jwks.answers_after(200, &key_set(&[&signer]), Duration::from_secs(60));
    let mut settings = settings(&jwks);
    settings.jwks_timeout = "300ms".parse().unwrap();
    let jwt = start(&settings).unwrap();
    let begun = std::time::Instant::now();
    let unknown = who(&jwt, &signer.token("alice", "")).await;
    assert_eq!(unknown, Err(Cause::KeysUnavailable));
    assert!(begun.elapsed() < Duration::from_secs(30));
    // Nobody is there at all.
    settings.jwks_url = Some("http://127.0.0.1:1/jwks".parse().unwrap());
    let jwt = start(&settings).unwrap();
    let unknown = who(&jwt, &signer.token("alice", "")).await;
    assert_eq!(unknown, Err(Cause::KeysUnavailable));
}

#[tokio::test]
async fn a_key_set_in_a_file_is_read_again() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, key_set(&[&old])).unwrap();
    let jwt = start(&Settings {
        issuer: Some(ISSUER.to_owned()),
        audience: vec![AUDIENCE.to_owned()],
        jwks_file: Some(path.clone()),
        ..Settings::default()
    });
    let jwt = jwt.unwrap();
    assert!(who(&jwt, &old.token("alice", "")).await.is_ok());
    std::fs::write(&path, "broken").unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(who(&jwt, &old.token("bob", "")).await.is_ok());
    std::fs::write(&path, key_set(&[&old, &new])).unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    // At once: a token under an unknown key looks at the file.
    assert!(who(&jwt, &new.token("alice", "")).await.is_ok());
    assert!(who(&jwt, &old.token("carol", "")).await.is_ok());
}

#[tokio::test]
async fn a_verified_token_is_remembered_and_never_past_its_end() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let mut settings = settings(&jwks);
    settings.leeway = Span::seconds(0);
    let jwt = start(&settings).unwrap();
    let token = signer.sign(&changed("exp", json!(now() + 2)));
    let first = jwt.identify(&Secret::new(token.as_str())).await.unwrap();
    let again = jwt.identify(&Secret::new(token.as_str())).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "it was verified twice");
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(who(&jwt, &token).await, Err(Cause::Expired));
}

#[test]
fn only_public_keys_for_signatures_are_taken() {
    let signer = Signer::es256("one");
    let with = |name: &str, value: Value| {
        let mut jwk = signer.jwk.clone();
        jwk[name] = value;
        json!({ "keys": [jwk] }).to_string()
    };
    let symmetric =
        json!({"keys": [{"kty": "oct", "kid": "one", "alg": "HS256", "k": "c2VjcmV0"}]});
    for (what, set, usable) in [
        ("as it is", key_set(&[&signer]), true),
        ("for signatures", with("use", json!("sig")), true),
        ("for encryption", with("use", json!("enc")), false),
        ("to verify", with("key_ops", json!(["verify"])), true),
        ("to encrypt", with("key_ops", json!(["encrypt"])), false),
        ("of another algorithm", with("alg", json!("ECDH-ES")), false),
        ("symmetric", symmetric.to_string(), false),
        (
            "unknown",
            json!({"keys": [{"kty": "new"}]}).to_string(),
            false,
        ),
    ] {
        let parsed = key_set::KeySet::parse(&set);
        let found = parsed.is_ok_and(|set| set.find(Some("one"), Algorithm::ES256).is_some());
        assert_eq!(found, usable, "{what}");
    }
    // A key that names its algorithm is good for no other.
    let set = key_set::KeySet::parse(&with("alg", json!("ES384"))).unwrap();
    assert!(set.find(Some("one"), Algorithm::ES256).is_none());
}
