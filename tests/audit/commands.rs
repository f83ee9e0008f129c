//! `audit verify` and `audit find` as their document says, by a shell that makes file names of patterns.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{
    audit::{
        FOUND, curp,
        program::{KEY, Place},
    },
    kit::process::BINARY,
};

/// Runs a line of a shell in the directory of the audit; its exit code and what it printed.
fn shell(place: &Place, line: &str, input: &str) -> (i32, String) {
    let mut shell = Command::new("sh");
    let line = line.replace("identity-gateway", BINARY);
    shell.args(["-c", &line]).current_dir(place.audit());
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_whole_whichever_way_it_is_named() {
    let place = Place::new().await;
    let program = place.start(&[("IDGW_AUDIT__MAX_FILE_BYTES", "4096")]).await;
    let mut identity = program.identity();
    for _ in 0..12 {
        identity.check_curp(curp(FOUND)).await.unwrap();
    }
    program.terminate();
    assert!(place.files().len() > 2);
    let records = place.records().len();
    for (named, is_all) in [
        ("audit.log", true),
        (".", true),
        ("audit.log*", true),
        ("audit.log.* audit.log", true),
        ("./*", true),
        ("audit.log.*", false),
    ] {
        let line = format!("identity-gateway audit verify {named}");
        let (code, told) = shell(&place, &line, "");
        assert_eq!(code, 0, "{named}: {told}");
        let whole = format!("whole: {records} records");
        assert_eq!(told.contains(&whole), is_all, "{named}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_about_a_number_are_found_without_its_being_on_the_command_line() {
    let place = Place::new().await;
    let program = place.start(&[("IDGW_AUDIT__MAX_FILE_BYTES", "4096")]).await;
    let mut identity = program.identity();
    for _ in 0..8 {
        identity.check_curp(curp(FOUND)).await.unwrap();
    }
    program.terminate();
    let key = place.file("key", &format!("{KEY}\n"));
    let wrong = place.file("wrong", "another key, which made none of them");
    let of = |keys: &str, kind: &str, number: &str, named: &str| {
        let line = format!("identity-gateway audit find {keys} --kind {kind} - {named}");
        shell(&place, &line, number)
    };
    let right = format!("--key-file {key}");
    for (keys, kind, number, named, found) in [
        (&right, "mx_curp", FOUND, "audit.log", 8),
        (
            &right,
            "mx_curp",
            &*format!(" {} \n", FOUND.to_lowercase()),
            ".",
            8,
        ),
        (
            &format!("--key-file {wrong} {right}"),
            "mx_curp",
            FOUND,
            "audit.log*",
            8,
        ),
        (&right, "pe_dni", FOUND, "audit.log", 0),
        (&right, "mx_curp", "AAPR630321HDFLRC00", "audit.log", 0),
    ] {
        let (code, told) = of(keys, kind, number, named);
        assert_eq!(told.lines().count(), found, "{keys} {kind} {named}: {told}");
        assert_eq!(code, i32::from(found == 0), "{told}");
        assert!(!told.to_uppercase().contains(FOUND));
        for line in told.lines() {
            assert!(
                place.text().contains(line),
                "as it stands in the file: {line}"
            );
        }
    }
    // Who has another key is not told that nobody has asked.
    let (code, told) = of(&format!("--key-file {wrong}"), "mx_curp", FOUND, ".");
    assert_eq!(code, 64, "{told}");
    assert!(
        told.starts_with("there are records under keys that are not given (key_id "),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    for (keys, kind, number, named) in [
        (&right, "mx_curp", "", "audit.log"),
        (&right, "curp", FOUND, "audit.log"),
        (&right, "mx_curp", FOUND, "nowhere.log"),
    ] {
        let (code, told) = of(keys, kind, number, named);
        assert_eq!(code, 64, "{told}");
    }
    let line = format!("identity-gateway audit find {right} --kind mx_curp {FOUND} audit.log");
    assert_eq!(
        shell(&place, &line, "").0,
        64,
        "the number is not taken from the command line"
    );
    // As `serve` reads its configuration.
    let path = place.path();
    let line = format!(
        "IDGW_AUDIT__KEY_FILE={key} IDGW_AUDIT__PATH={} IDGW_AUDIT__SINK=file identity-gateway audit find --kind mx_curp -",
        path.display()
    );
    let (code, told) = shell(&place, &line, FOUND);
    assert_eq!((code, told.lines().count()), (0, 8), "{told}");
}
