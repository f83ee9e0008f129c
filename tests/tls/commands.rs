//! `health` and `call` against a gateway over TLS, and what of a secret the system can be asked for.

use std::process::Output;

use crate::{
    kit::{
        certs::{Ca, Mounted, NAME},
        process::{Process, program},
    },
    tls::server::{mutual, tls},
};

/// What a command says with this configuration.
async fn run(arguments: &[&str], variables: &[(String, String)]) -> Output {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let mut command = program(arguments, variables);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_probe_in_the_pod_finds_the_gateway_by_its_configuration() {
    let ca = Ca::new("everyone's");
    let pair = ca.issue(&[NAME]);
    let mounted = Mounted::new(&[
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &ca.pem()),
    ]);
    for variables in [
        tls(&mounted),
        mutual(&mounted, "optional"),
        mutual(&mounted, "required"),
    ] {
        let gateway = Process::serve(&["--sandbox"], variables.clone()).await;
        let mut of_pod = variables.clone();
        of_pod.push(("IDGW_SERVER__LISTEN".to_owned(), gateway.grpc.to_string()));
        let health = run(&["health"], &of_pod).await;
        assert_eq!(said(&health), (Some(0), "SERVING\n".to_owned()));
        let request = r#"{"curp":"AAPR630321HDFLRC09"}"#;
        let call = run(&["call", "CheckCurp", request], &of_pod).await;
        assert_eq!(said(&call).0, Some(0), "{}", said(&call).1);

        // With another certificate in the file than the server shows, it is not this gateway.
        let other = ca.issue(&[NAME]);
        let another = Mounted::new(&[("tls.crt", &other.certificate), ("tls.key", &other.key)]);
        let mut of_other = tls(&another);
        of_other.push(("IDGW_SERVER__LISTEN".to_owned(), gateway.grpc.to_string()));
        let (code, text) = said(&run(&["health"], &of_other).await);
        assert_eq!(code, Some(1));
        assert!(text.contains("a certificate other than"), "{text}");
    }
}

#[tokio::test]
async fn elsewhere_the_ca_and_the_name_are_said_on_the_command_line() {
    let (ca, other) = (Ca::new("right"), Ca::new("wrong"));
    let (pair, own) = (ca.issue(&[NAME]), ca.issue(&["client.test"]));
    let mounted = Mounted::new(&[
        ("tls.crt", &pair.certificate),
        ("tls.key", &pair.key),
        ("ca.crt", &ca.pem()),
        ("other.crt", &other.pem()),
        ("own.crt", &own.certificate),
        ("own.key", &own.key),
    ]);
    let gateway = Process::serve(&["--sandbox"], mutual(&mounted, "required")).await;
    let address = gateway.grpc.to_string();
    let (right, wrong) = (mounted.text("ca.crt"), mounted.text("other.crt"));
    let (certificate, key) = (mounted.text("own.crt"), mounted.text("own.key"));
    let shown = ["--tls-cert", &certificate, "--tls-key", &key];
    for (arguments, code) in [
        (
            [&["--tls-ca", &right, "--tls-name", NAME][..], &shown].concat(),
            0,
        ),
        // The name is not that of the address, the CA not the right one, no certificate is shown, no TLS.
        ([&["--tls-ca", &right][..], &shown].concat(), 1),
        (
            [&["--tls-ca", &wrong, "--tls-name", NAME][..], &shown].concat(),
            1,
        ),
        (vec!["--tls-ca", &right, "--tls-name", NAME], 1),
        (Vec::new(), 1),
        // A file that is not there, one without the other.
        (vec!["--tls-ca", "/nowhere"], 64),
        (vec!["--tls-cert", &certificate], 64),
    ] {
        let arguments = [&["health", "--address", &address][..], &arguments].concat();
        let output = run(&arguments, &[]).await;
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {:?}",
            said(&output)
        );
    }
}

#[tokio::test]
async fn the_system_writes_no_core_file_of_the_gateway() {
    let gateway = Process::serve(&["--sandbox"], Vec::<(String, String)>::new()).await;
    let limits = gateway.proc("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
}
