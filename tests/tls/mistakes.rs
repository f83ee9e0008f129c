//! The mistakes that everybody makes with TLS on the command line, and the sentence that each leads to.

use std::{process::Output, time::Duration};

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME},
        process::{Process, program},
    },
    tls::server::{mutual, tls},
};

const REQUEST: &str = r#"{"curp":"AAPR630321HDFLRC09"}"#;

async fn run(arguments: Vec<String>) -> Output {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut command = program(&arguments, [("", ""); 0]);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn each_mistake_with_tls_is_said_in_words() {
    let (ca, other) = (Ca::new("right"), Ca::new("wrong"));
    // Its last second has begun; it is over before three programs have started.
    let (late, _) = ca.brief("client.test", Duration::ZERO);
    let (pair, own, foreign) = (
        ca.issue(&[NAME]),
        ca.issue(&["client.test"]),
        other.issue(&["client.test"]),
    );
    let mounted = Mounted::new(&[
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &ca.pem()),
        ("other.crt", &other.pem()),
        ("own.crt", &own.certificate),
        ("own.key", &own.key),
        ("foreign.crt", &foreign.certificate),
        ("foreign.key", &foreign.key),
        ("late.crt", &late.certificate),
        ("late.key", &late.key),
    ]);
    let text = |name: &str| mounted.text(name);
    let plain = Process::serve(&["--sandbox"], Vec::<(String, String)>::new()).await;
    let secure = Process::serve(&["--sandbox"], tls(&mounted)).await;
    let mutual = Process::serve(&["--sandbox"], mutual(&mounted, "required")).await;
    let right = vec![
        "--tls-ca".to_owned(),
        text("ca.crt"),
        "--tls-name".to_owned(),
        NAME.to_owned(),
    ];
    let wrong_name = vec![
        "--tls-ca".to_owned(),
        text("ca.crt"),
        "--tls-name".to_owned(),
        "other.test".to_owned(),
    ];
    let untrusted = vec![
        "--tls-ca".to_owned(),
        text("other.crt"),
        "--tls-name".to_owned(),
        NAME.to_owned(),
    ];
    let with = |certificate: &str, key: &str| {
        let shown = [
            "--tls-cert".to_owned(),
            text(certificate),
            "--tls-key".to_owned(),
            text(key),
        ];
        [right.clone(), shown.to_vec()].concat()
    };
    let insecure = vec!["--insecure".to_owned()];
    for (gateway, flags, sentence) in [
        (&plain, Vec::new(), None),
        (
            &secure,
            Vec::new(),
            Some("the port speaks TLS, and the call was made in plain text: use --tls"),
        ),
        (&mutual, Vec::new(), Some("the port speaks TLS")),
        (
            &plain,
            right.clone(),
            Some("the port speaks no TLS: leave --tls"),
        ),
        (&plain, insecure.clone(), Some("the port speaks no TLS")),
        (&secure, right.clone(), None),
        (
            &secure,
            untrusted,
            Some("is of a CA that is not trusted here; --tls-ca FILE"),
        ),
        (
            &secure,
            wrong_name,
            Some("is for another name than the address; --tls-name NAME"),
        ),
        (&secure, insecure.clone(), None),
        (
            &mutual,
            right.clone(),
            Some("the server wants a client certificate; show one with --tls-cert FILE"),
        ),
        (
            &mutual,
            with("foreign.crt", "foreign.key"),
            Some("does not accept the client certificate"),
        ),
        (
            &mutual,
            with("late.crt", "late.key"),
            Some("does not accept the client certificate: it has expired"),
        ),
        (&mutual, with("own.crt", "own.key"), None),
    ] {
        let address = gateway.grpc.to_string();
        // A method of the contract, which is called at once, one that reflection is asked of, and health.
        for words in [
            &["call", "CheckCurp", REQUEST][..],
            &["call", "--list"],
            &["health"],
        ] {
            let words = words.iter().map(|word| (*word).to_owned());
            let address = ["--address".to_owned(), address.clone()];
            let arguments = words.chain(address).chain(flags.clone()).collect();
            let output = run(arguments).await;
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                output.status.code(),
                Some(i32::from(sentence.is_some())),
                "{sentence:?}: {err}"
            );
            assert!(
                sentence.is_none_or(|sentence| err.contains(sentence)),
                "{sentence:?}: {err}"
            );
            let warned =
                err.contains("warning: --insecure: the server certificate is not verified");
            assert_eq!(warned, flags == insecure, "{err}");
        }
    }
}
