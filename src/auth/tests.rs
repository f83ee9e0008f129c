use std::time::Duration;

use http::HeaderValue;

use super::{settings::MeshHeader, *};
use crate::auth::peer::Peer;
use crate::sha256::Sha256;
use issuer::{AUDIENCE, ISSUER, Signer, key_set};

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(50);
const KEY: &str = "a preshared key of thirty-two bytes";
const L5D: &str = "l5d-client-id";
const SIDECAR: &str = "127.0.0.6:1";

fn settings(modes: &[AuthMode], jwks: &std::path::Path) -> Settings {
    let hash: String = Sha256::digest(KEY)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Settings {
        mode: modes.to_vec(),
        jwt: settings::Jwt {
            issuer: Some(ISSUER.to_owned()),
            audience: vec![AUDIENCE.to_owned()],
            jwks_file: Some(jwks.to_owned()),
            ..settings::Jwt::default()
        },
        mesh: settings::Mesh {
            peers: vec!["127.0.0.6".to_owned()],
            headers: vec![MeshHeader::L5dClientId],
        },
        keys: PresharedKeys {
            hashes: vec![format!("key-holder {hash}")],
            ..PresharedKeys::default()
        },
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_first_mode_whose_credential_is_there_decides() {
    use AuthMode::{Jwt, Keys, Mesh};
    let signer = Signer::es256("one");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, key_set(&[&signer])).unwrap();
    let token = format!("Bearer {}", signer.token("token-holder", ""));
    let forged = format!("Bearer {}", Signer::es256("one").token("token-holder", ""));
    let (key, wrong) = (
        format!("Bearer {KEY}"),
        format!("Bearer {}", "x".repeat(40)),
    );
    for (modes, sidecar, bearer, expected) in [
        (
            &[Mesh, Jwt][..],
            Some("workload"),
            Some(&token),
            Ok("workload"),
        ),
        (
            &[Jwt, Mesh],
            Some("workload"),
            Some(&token),
            Ok("token-holder"),
        ),
        (&[Jwt, Mesh], Some("workload"), None, Ok("workload")),
        // One that is bad is a refusal, whatever else is there.
        (
            &[Jwt, Mesh],
            Some("workload"),
            Some(&forged),
            Err(Cause::Signature),
        ),
        (&[Mesh, Jwt], None, Some(&forged), Err(Cause::Signature)),
        (&[Mesh], None, Some(&token), Err(Cause::Unsupported)),
        (&[Jwt, Keys], None, Some(&token), Ok("token-holder")),
        (&[Keys, Jwt], None, Some(&token), Ok("token-holder")),
        (&[Jwt, Keys], None, Some(&key), Ok("key-holder")),
        (&[Keys, Jwt], None, Some(&key), Ok("key-holder")),
        (&[Jwt, Keys], None, Some(&wrong), Err(Cause::WeakKey)),
        (&[Jwt], None, Some(&key), Err(Cause::Malformed)),
        (&[Keys], None, Some(&token), Err(Cause::UnknownKey)),
        (&[Jwt, Keys, Mesh], None, None, Err(Cause::NoCredential)),
    ] {
        let authenticator = Authenticator::start(&settings(modes, &path), &mut Vec::new()).unwrap();
        let mut headers = HeaderMap::new();
        let mut add = |name: &'static str, value: Option<&str>| {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        };
        add(L5D, sidecar);
        add("authorization", bearer.map(String::as_str));
        add(
            "x-forwarded-client-cert",
            Some("URI=spiffe://bank.example/admin"),
        );
        let mut extensions = Extensions::new();
        extensions.insert(Peer::new(SIDECAR.parse().unwrap(), None));
        let caller = authenticator.identify(&mut headers, &extensions).await;
        let name = caller.as_ref().map(|caller| caller.identity.name());
        assert_eq!(
            name.map_err(|unidentified| unidentified.cause),
            expected,
            "{modes:?} {sidecar:?} {bearer:?}"
        );
        assert!(headers.is_empty(), "{modes:?}: {:?}", headers.keys());
    }
}

#[tokio::test]
async fn where_nobody_is_identified_credentials_go_no_further_either() {
    let authenticator = Authenticator::start(&Settings::default(), &mut Vec::new()).unwrap();
    assert!(!authenticator.is_on());
    let mut headers = HeaderMap::new();
    for name in ["authorization", L5D, "x-forwarded-client-cert", "x-purpose"] {
        headers.insert(name, HeaderValue::from_static("canary"));
    }
    let caller = authenticator
        .identify(&mut headers, &Extensions::new())
        .await
        .unwrap();
    assert_eq!(caller.identity.mode(), AuthMode::None);
    assert_eq!(headers.len(), 1);
}

#[tokio::test]
async fn a_header_of_a_mesh_from_elsewhere_names_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&[AuthMode::Mesh], &directory.path().join("none"));
    let authenticator = Authenticator::start(&settings, &mut Vec::new()).unwrap();
    for address in ["127.0.0.1:1", "10.0.0.1:1"] {
        let mut headers = HeaderMap::new();
        headers.insert(L5D, HeaderValue::from_static("workload"));
        let mut extensions = Extensions::new();
        extensions.insert(Peer::new(address.parse().unwrap(), None));
        let caller = authenticator.identify(&mut headers, &extensions).await;
        assert_eq!(caller, Err(Cause::UntrustedPeer.into()), "{address}");
        assert!(headers.is_empty());
    }
}

#[tokio::test]
async fn keys_are_read_again_and_a_file_that_cannot_be_used_keeps_the_old_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let line = |name: &str, key: &str| {
        let hash: String = Sha256::digest(key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{name} {hash}\n")
    };
    let (old, new) = (
        "old key of thirty-two bytes at all",
        "new key of thirty-two bytes at all",
    );
    std::fs::write(&path, line("payments", old)).unwrap();
    let settings = PresharedKeys {
        file: Some(path.clone()),
        max_stale: "300ms".parse().unwrap(),
        ..PresharedKeys::default()
    };
    let mut watches = Vec::new();
    let keys = keys(&settings, &mut watches).unwrap();
    tokio::spawn(reload::run(watches, LOOK));
    let good = |key: &str| keys.identify(&Secret::new(key)).is_ok();
    let until = async |expected: (bool, bool)| {
        for _ in 0..400 {
            if (good(old), good(new)) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not {expected:?}");
    };
    until((true, false)).await;
    std::fs::write(&path, line("payments", old) + &line("payments", new)).unwrap();
    until((true, true)).await;
    std::fs::write(&path, line("payments", new)).unwrap();
    until((false, true)).await;
    // Whoever removes the last key lets nobody in.
    for empty in ["", "# none\n"] {
        std::fs::write(&path, empty).unwrap();
        until((false, false)).await;
        let unknown = keys.identify(&Secret::new(new));
        assert_eq!(unknown, Err(Cause::UnknownKey.into()));
        std::fs::write(&path, line("payments", new)).unwrap();
        until((false, true)).await;
    }
    // One that is broken, or was taken away, says nothing: the old keys are good for a while.
    for take_away in [false, true] {
        match take_away {
            false => std::fs::write(&path, "payments not-a-hash").unwrap(),
            true => std::fs::remove_file(&path).unwrap(),
        }
        tokio::time::sleep(LOOK * 2).await;
        assert!(good(new));
        until((false, false)).await;
        let unknown = keys.identify(&Secret::new(new));
        assert_eq!(unknown, Err(Unidentified::keys_unavailable(keys::WAIT)));
        std::fs::write(&path, line("payments", new)).unwrap();
        until((false, true)).await;
    }
}
