//! Several issuers side by side, and tokens in the form in which real ones make them.

use super::*;
use crate::auth::issuer::claims_of;
use settings::Issuer as Other;

const PARTNER: &str = "https://login.partner.example";

fn partner(jwks: &Jwks) -> Other {
    Other {
        issuer: Some(PARTNER.to_owned()),
        audience: vec!["partner-gateway".to_owned()],
        jwks_url: Some(jwks.url().parse().unwrap()),
        identity_prefix: "partner:".to_owned(),
        ..Other::default()
    }
}

#[tokio::test]
async fn an_issuers_keys_and_audience_and_names_are_its_own() {
    let (own, theirs) = (Signer::es256("one"), Signer::es256("one"));
    let other_kid = Signer::es256("two");
    let jwks = Jwks::start(key_set(&[&own])).await;
    let partners = Jwks::start(key_set(&[&theirs, &other_kid])).await;
    let mut settings = settings(&jwks);
    settings.issuers = vec![partner(&partners)];
    let jwt = start(&settings).unwrap();
    let of =
        |issuer: &str, aud: &str, sub: &str| claims_of(issuer, json!({"aud": aud, "sub": sub}));
    for (signer, claims, expected) in [
        (&own, of(ISSUER, AUDIENCE, "alice"), Ok("alice")),
        (
            &theirs,
            of(PARTNER, "partner-gateway", "alice"),
            Ok("partner:alice"),
        ),
        // The same key id is another key, and a key of the other's only is none.
        (
            &theirs,
            of(ISSUER, AUDIENCE, "alice"),
            Err(Cause::Signature),
        ),
        (
            &own,
            of(PARTNER, "partner-gateway", "alice"),
            Err(Cause::Signature),
        ),
        (
            &other_kid,
            of(ISSUER, AUDIENCE, "alice"),
            Err(Cause::UnknownKey),
        ),
        (
            &theirs,
            of(PARTNER, AUDIENCE, "alice"),
            Err(Cause::Audience),
        ),
        (
            &own,
            of(ISSUER, "partner-gateway", "alice"),
            Err(Cause::Audience),
        ),
        // A name that only the other may give.
        (
            &own,
            of(ISSUER, AUDIENCE, "partner:alice"),
            Err(Cause::Identity),
        ),
        (
            &own,
            of("https://evil.example", AUDIENCE, "alice"),
            Err(Cause::Issuer),
        ),
    ] {
        let token = signer.sign(&claims);
        let who = who(&jwt, &token).await;
        assert_eq!(who.as_deref(), expected.as_ref().copied(), "{claims}");
    }
    // A token of nobody's makes nobody fetch a key set.
    let asked = (jwks.asked(), partners.asked());
    tokio::time::sleep(Duration::from_millis(250)).await;
    for number in 0..20 {
        let issuer = format!("https://{number}.example");
        let token = other_kid.sign(&of(&issuer, AUDIENCE, "alice"));
        assert_eq!(who(&jwt, &token).await, Err(Cause::Issuer));
    }
    assert_eq!((jwks.asked(), partners.asked()), asked);
}

#[tokio::test]
async fn issuers_may_stand_in_the_list_alone() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let settings = Settings {
        issuers: vec![partner(&jwks)],
        ..Settings::default()
    };
    assert!(settings.problems().is_empty());
    let jwt = start(&settings).unwrap();
    let token = signer.sign(&claims_of(
        PARTNER,
        json!({"aud": "partner-gateway", "sub": "a"}),
    ));
    assert_eq!(who(&jwt, &token).await.as_deref(), Ok("partner:a"));
}

#[tokio::test]
async fn whose_token_it_was_is_known_once_its_signature_holds_and_not_before() {
    let signer = Signer::es256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let jwt = started(&jwks);
    let forger = Signer::es256("one");
    for (signer, claim, value, cause, name) in [
        (
            &signer,
            "exp",
            json!(now() - 600),
            Cause::Expired,
            Some("alice"),
        ),
        (
            &signer,
            "nbf",
            json!(now() + 600),
            Cause::NotYetValid,
            Some("alice"),
        ),
        (&signer, "aud", json!("x"), Cause::Audience, Some("alice")),
        (&signer, "typ", json!("ID"), Cause::TokenType, Some("alice")),
        (&signer, "iss", json!("x"), Cause::Issuer, None),
        (&forger, "exp", json!(now() - 600), Cause::Signature, None),
        (&forger, "aud", json!("x"), Cause::Signature, None),
    ] {
        let token = Secret::new(signer.sign(&changed(claim, value)));
        let refused = jwt.identify(&token).await.unwrap_err();
        assert_eq!(refused.cause, cause);
        let identity = refused.identity.as_ref().map(|identity| identity.name());
        assert_eq!(identity, name, "{cause:?}");
    }
}

type Row = (
    Box<dyn Fn(&mut Other)>,
    Value,
    Result<&'static [&'static str], Cause>,
);

/// A row: the settings that docs/access.md names for the issuer, its claims, its scopes.
fn real(
    change: impl Fn(&mut Other) + 'static,
    claims: Value,
    expected: Result<&'static [&'static str], Cause>,
) -> Row {
    (Box::new(change), claims, expected)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn tokens_of_real_issuers_bring_their_scopes() {
    let signer = Signer::rs256("one");
    let jwks = Jwks::start(key_set(&[&signer])).await;
    let cognito = |settings: &mut Other| {
        settings.audience_claims = words(&["client_id"]);
        settings.audience = words(&["4ts0c7ibv4example"]);
    };
    for (change, claims, expected) in [
        // Entra ID: of an application, of a user.
        real(
            |settings| settings.scope_claims = words(&["roles", "scp"]),
            json!({"aud": AUDIENCE, "sub": "a", "oid": "a", "azp": "b", "ver": "2.0", "roles": ["Kyc.Bureau"]}),
            Ok(&["Kyc.Bureau"]),
        ),
        real(
            |settings| settings.scope_claims = words(&["roles", "scp"]),
            json!({"aud": AUDIENCE, "sub": "a", "scp": "kyc.read kyc.bureau"}),
            Ok(&["kyc.bureau", "kyc.read"]),
        ),
        // Auth0, with RBAC's permissions.
        real(
            |settings| settings.scope_claims = words(&["permissions"]),
            json!({"aud": [AUDIENCE, "https://bank.eu.auth0.com/userinfo"], "sub": "x@clients",
                "gty": "client-credentials", "permissions": ["kyc:bureau"]}),
            Ok(&["kyc:bureau"]),
        ),
        // Keycloak.
        real(
            |settings| {
                settings.scope_claims = words(&[
                    "realm_access.roles",
                    "resource_access.identity-gateway.roles",
                ]);
            },
            json!({"aud": ["identity-gateway", "account"], "typ": "Bearer", "sub": "a", "scope": "email profile",
                "realm_access": {"roles": ["offline_access"]},
                "resource_access": {"identity-gateway": {"roles": ["kyc"]}, "account": {"roles": ["view"]}}}),
            Ok(&["kyc", "offline_access"]),
        ),
        // Cognito: an access token, and an ID token.
        real(
            cognito,
            json!({"client_id": "4ts0c7ibv4example", "sub": "a", "token_use": "access", "scope": "kyc/bureau"}),
            Ok(&["kyc/bureau"]),
        ),
        real(
            cognito,
            json!({"aud": "4ts0c7ibv4example", "sub": "a", "token_use": "id"}),
            Err(Cause::Audience),
        ),
        real(
            cognito,
            json!({"client_id": "somebody-else", "sub": "a", "token_use": "access"}),
            Err(Cause::Audience),
        ),
        // A Kubernetes service account's.
        real(
            |_| {},
            json!({"aud": [AUDIENCE], "sub": "system:serviceaccount:payments:api", "jti": "x",
                "kubernetes.io": {"namespace": "payments"}, "nbf": now()}),
            Ok(&[]),
        ),
    ] {
        let mut settings = Other {
            issuer: Some(ISSUER.to_owned()),
            audience: vec![AUDIENCE.to_owned()],
            jwks_url: Some(jwks.url().parse().unwrap()),
            ..Other::default()
        };
        change(&mut settings);
        let jwt = start(&Settings {
            issuers: vec![settings],
            ..Settings::default()
        });
        let token = Secret::new(signer.sign(&claims_of(ISSUER, claims.clone())));
        let caller = jwt.unwrap().identify(&token).await;
        let scopes = caller.as_ref().map(|caller| {
            let scopes = caller.token_scopes.iter();
            scopes.map(AsRef::as_ref).collect::<Vec<&str>>()
        });
        let scopes = scopes.map_err(|refused| refused.cause);
        assert_eq!(scopes, expected.map(<[&str]>::to_vec), "{claims}");
    }
}

#[tokio::test]
async fn a_spiffe_bundle_is_a_key_set_of_its_keys_for_tokens() {
    let signer = Signer::es256("svid");
    let with = |purpose: &str| {
        let mut jwk = signer.jwk.clone();
        jwk["use"] = json!(purpose);
        json!({"keys": [jwk], "spiffe_sequence": 1, "spiffe_refresh_hint": 300}).to_string()
    };
    for (purpose, good) in [("jwt-svid", true), ("x509-svid", false)] {
        let jwks = Jwks::start(with(purpose)).await;
        let jwt = started(&jwks);
        let mut header = signer.header();
        header.typ = Some("JOSE".to_owned());
        let id = "spiffe://bank.example/ns/payments/sa/api";
        let token = signer.sign_with(&header, &claims(id, ""));
        let expected = if good { Ok(id) } else { Err(Cause::UnknownKey) };
        let who = who(&jwt, &token).await;
        assert_eq!(who.as_deref(), expected.as_ref().copied(), "{purpose}");
    }
}

#[tokio::test]
async fn a_modulus_may_begin_with_a_zero() {
    let signer = Signer::rs256("one");
    let modulus = URL_SAFE_NO_PAD.decode(signer.jwk["n"].as_str().unwrap());
    let padded = [&[0][..], &modulus.unwrap()].concat();
    let mut jwk = signer.jwk.clone();
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode(padded));
    let jwks = Jwks::start(json!({ "keys": [jwk] }).to_string()).await;
    let jwt = started(&jwks);
    assert!(who(&jwt, &signer.token("alice", "")).await.is_ok());
}

#[test]
fn what_issuers_must_not_have_in_common_is_said_of_the_later_one() {
    let own = Settings {
        issuer: Some(ISSUER.to_owned()),
        audience: vec![AUDIENCE.to_owned()],
        jwks_url: Some("https://login.bank.example/jwks".parse().unwrap()),
        ..Settings::default()
    };
    let same = Settings {
        issuers: vec![Other {
            issuer: own.issuer.clone(),
            ..Other::default()
        }],
        ..own
    };
    let problems = same.problems();
    let keys: Vec<_> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "auth.jwt.issuers.0.audience",
            "auth.jwt.issuers.0.jwks_url",
            "auth.jwt.issuers.0.issuer",
            "auth.jwt.issuers.0.identity_prefix",
        ]
    );
}

#[test]
fn what_would_be_unsafe_or_without_effect_is_refused_by_its_key() {
    let good = || Settings {
        issuer: Some(ISSUER.to_owned()),
        audience: vec![AUDIENCE.to_owned()],
        jwks_url: Some("https://login.bank.example/jwks".parse().unwrap()),
        ..Settings::default()
    };
    let listed = || Settings {
        issuers: vec![Other {
            issuer: Some(ISSUER.to_owned()),
            audience: vec![AUDIENCE.to_owned()],
            jwks_url: good().jwks_url,
            ..Other::default()
        }],
        ..Settings::default()
    };
    let loopback = || Some("http://localhost:8080/jwks".parse().unwrap());
    let proxy = || Some(Secret::new("http://proxy.internal:3128"));
    type Row = (fn(&mut Settings), Settings, &'static [&'static str]);
    let rows: [Row; 8] = [
        (|_| {}, good(), &[]),
        (|_| {}, listed(), &[]),
        // Plain http is for this host only, and a proxy is another.
        (
            |_| {},
            Settings {
                proxy: proxy(),
                ..good()
            },
            &[],
        ),
        (
            |_| {},
            Settings {
                jwks_url: loopback(),
                ..good()
            },
            &[],
        ),
        (
            |_| {},
            Settings {
                jwks_url: None,
                discovery_url: loopback(),
                proxy: proxy(),
                ..good()
            },
            &["auth.jwt.proxy"],
        ),
        // One good audience hides no empty one.
        (
            |it| it.audience.push(String::new()),
            good(),
            &["auth.jwt.audience"],
        ),
        // Nothing that is said is silently without effect.
        (|it| it.require_at_jwt = true, listed(), &["auth.jwt"]),
        (
            |it| {
                it.jwks_url = None;
                it.jwks_file = Some("/dev/null".into());
                it.ca_file = Some("/ca".into());
            },
            good(),
            &["auth.jwt.jwks_file", "auth.jwt.ca_file"],
        ),
    ];
    for (change, mut settings, expected) in rows {
        change(&mut settings);
        let problems = settings.problems();
        let keys: Vec<_> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, expected, "{problems:?}");
    }
}
