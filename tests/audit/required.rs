//! `audit.required`, disks that fail, processes that die, and what the verifier says afterwards.

use std::{fs, path::PathBuf};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::audit::{FOUND, SLOW, curp, of_event, program::Place};

const REQUIRED: [(&str, &str); 2] = [
    ("IDGW_AUDIT__REQUIRED", "true"),
    ("IDGW_AUDIT__FSYNC", "each"),
];

#[track_caller]
fn is_unavailable(refused: &Status) {
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "AUDIT_UNAVAILABLE");
    assert_eq!(info.metadata["billing"], "not_billed");
    assert_eq!(info.metadata["provider"], "accuauth");
    assert!(info.metadata.contains_key("verification_id"));
    assert!(refused.get_details_retry_info().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_intent_is_on_disk_before_the_provider_is_asked() {
    let place = Place::new().await;
    let program = place.start(&REQUIRED).await;
    let mut identity = program.identity();
    let asked = tokio::spawn(async move { identity.check_curp(curp(SLOW)).await });
    let records = place.wait_for("intent", 1).await;
    assert!(
        of_event(&records, "result").is_empty(),
        "the answer takes two seconds"
    );
    asked.await.unwrap().unwrap();
    let records = place.wait_for("result", 1).await;
    let (intent, result) = (
        of_event(&records, "intent")[0],
        of_event(&records, "result")[0],
    );
    for key in ["call", "verification_id", "identifier_hash", "rpc", "peer"] {
        assert_eq!(intent[key], result[key], "{key}");
    }
    assert!(intent.get("code").is_none());
    program.terminate();
    place.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_calls_are_refused_before_they_are_sent() {
    let place = Place::new().await;
    let program = place.start_on_a_full_disk(16, &REQUIRED).await;
    let mut identity = program.identity();
    let mut answered = 0;
    let refused = loop {
        match identity.check_curp(curp(FOUND)).await {
            Ok(_) => answered += 1,
            Err(refused) => break refused,
        }
    };
    assert!(answered > 1);
    is_unavailable(&refused);
    is_unavailable(&identity.check_curp(curp(FOUND)).await.unwrap_err());
    assert_eq!(place.received("accuauth").await, answered);
    // What was cut by the full disk was taken back.
    place.is_whole();
    program.wait_for("audit records lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_directory_refuses_calls_until_it_is_back() {
    let place = Place::new().await;
    let program = place.start(&REQUIRED).await;
    let mut identity = program.identity();
    identity.check_curp(curp(FOUND)).await.unwrap();
    fs::remove_dir_all(place.audit()).unwrap();
    is_unavailable(&identity.check_curp(curp(FOUND)).await.unwrap_err());
    assert_eq!(place.received("accuauth").await, 1);
    fs::create_dir(place.audit()).unwrap();
    identity.check_curp(curp(FOUND)).await.unwrap();
    program.terminate();
    // The first file is gone: the second says so, and is whole by itself.
    assert!(
        place
            .is_whole()
            .contains("continues file number 1, which was not given")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_required_a_lost_record_keeps_nobody_from_an_answer() {
    let place = Place::new().await;
    let program = place.start(&[]).await;
    let mut identity = program.identity();
    fs::remove_dir_all(place.audit()).unwrap();
    for _ in 0..3 {
        identity.check_curp(curp(FOUND)).await.unwrap();
    }
    program.wait_for("audit records lost").await;
    // The third record may be under way still, and find the directory again.
    fs::create_dir(place.audit()).unwrap();
    identity.check_curp(curp(FOUND)).await.unwrap();
    place.wait_for("result", 1).await;
    let said = program.output().matches("audit records lost").count();
    program.terminate();
    assert_eq!(said, 1, "once a minute");
    let told = place.is_whole();
    let lost = (1..=3).find(|lost| told.contains(&format!("{lost} counted as lost")));
    assert_eq!(
        of_event(&place.records(), "result").len() + lost.unwrap(),
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_does_not_start_without_its_audit() {
    let place = Place::new().await;
    let (code, told) = place.refused(&[("IDGW_AUDIT__PATH", "/nowhere/audit.log")]);
    assert_eq!(code, 1);
    assert!(
        told.contains("audit: cannot write to /nowhere/audit.log: "),
        "{told}"
    );
    let (code, told) = place.refused(&[("IDGW_AUDIT__PATH", "/dev/full")]);
    assert_eq!(code, 1);
    assert!(told.contains("not a regular file"), "{told}");
    let (code, told) = place.refused(&[("IDGW_AUDIT__KEY", "short")]);
    assert_eq!(code, 64);
    assert!(told.contains("audit.key (from IDGW_AUDIT__KEY): is shorter than 32 characters"));
    assert!(!told.contains("short "));
    // What the collector gets are copies.
    let only_otlp = [("IDGW_AUDIT__SINK", "off"), ("IDGW_AUDIT__OTLP", "true")];
    let (code, told) = place.refused(&only_otlp);
    assert_eq!(code, 64);
    assert!(
        told.contains("audit.otlp") && told.contains("audit.sink is off"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_in_the_middle_the_next_process_goes_on() {
    let place = Place::new().await;
    for round in 0..3 {
        let program = place.start(&REQUIRED).await;
        let calls = (0..8).map(|_| {
            let mut identity = program.identity();
            tokio::spawn(async move { while identity.check_curp(curp(FOUND)).await.is_ok() {} })
        });
        let calls: Vec<_> = calls.collect();
        let known = of_event(&place.records(), "result").len();
        place.wait_for("result", known + 20).await;
        program.kill();
        for call in calls {
            call.await.unwrap();
        }
        if round == 1 {
            // A kill rarely tears a line; a power cut does.
            let length = fs::metadata(place.path()).unwrap().len();
            let file = fs::OpenOptions::new()
                .write(true)
                .open(place.path())
                .unwrap();
            file.set_len(length - 30).unwrap();
            let (code, told) = place.verify(&place.files());
            assert_eq!(code, 1);
            assert!(told.contains("torn by a recent crash"), "{told}");
        }
    }
    place.start(&REQUIRED).await.terminate();
    let told = place.is_whole();
    assert!(told.contains("torn by a crash or a failed write"), "{told}");
    assert!(
        told.contains("the previous process ended without its last record"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_end_of_the_process_cuts_off_is_recorded() {
    let place = Place::new().await;
    let env = [("IDGW_SERVER__DRAIN_TIMEOUT", "200ms"), REQUIRED[0]];
    let program = place.start(&env).await;
    let mut identity = program.identity();
    let cut = tokio::spawn(async move { identity.check_curp(curp(SLOW)).await });
    place.wait_for("intent", 1).await;
    program.terminate();
    assert!(cut.await.unwrap().is_err());
    let records = place.records();
    let results = of_event(&records, "result");
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["code"], "CANCELLED");
    assert_eq!(results[0]["billing"], "unknown");
    assert_eq!(records.last().unwrap()["event"], "stop");
    place.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_rotated_and_verify_says_where_they_are_broken() {
    let place = Place::new().await;
    let env = [("IDGW_AUDIT__MAX_FILE_BYTES", "4096"), REQUIRED[0]];
    let program = place.start(&env).await;
    let mut identity = program.identity();
    for _ in 0..12 {
        identity.check_curp(curp(FOUND)).await.unwrap();
    }
    program.terminate();
    let files = place.files();
    assert!(files.len() > 2, "{files:?}");
    place.is_whole();

    let text = fs::read_to_string(&files[1]).unwrap();
    fs::write(&files[1], text.replacen("\"billed\"", "\"not_billed\"", 1)).unwrap();
    let changed = text
        .lines()
        .position(|line| line.contains("\"billed\""))
        .unwrap()
        + 1;
    let (code, told) = place.verify(&files);
    assert_eq!(code, 1);
    let at = format!(
        "BROKEN: {}:{changed}: not a complete record",
        files[1].display()
    );
    assert!(told.contains(&at), "{told}");

    let (code, told) = place.verify(&[]);
    assert_eq!(code, 64, "{told}");
    let (code, told) = place.verify(&[PathBuf::from("/nowhere/audit.log")]);
    assert_eq!(code, 64);
    assert!(
        told.contains("/nowhere/audit.log: cannot be read"),
        "{told}"
    );
}
