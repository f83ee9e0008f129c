//! What `audit verify` finds if it is told more than the files: the chain's key, a head that was kept, that there is one
//! trail.

use std::{fs, path::PathBuf};

use crate::audit::{
    FOUND, curp,
    program::{KEY, Place},
};

/// The head that a report names.
fn head(told: &str) -> String {
    let (_, head) = told.rsplit_once("head ").unwrap();
    head.trim().to_owned()
}

/// A process that answers some calls, writes its records and ends.
async fn runs(place: &Place, env: &[(&str, &str)]) {
    let program = place.start(env).await;
    let mut identity = program.identity();
    for _ in 0..3 {
        identity.check_curp(curp(FOUND)).await.unwrap();
    }
    program.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_makes_its_lines_under_the_key_and_verify_looks_at_who_made_them() {
    const OWN: &str = "the chain's own key, of the tests too";
    for (env, flag, key) in [
        (&[][..], "--key-file", KEY),
        (&[("IDGW_AUDIT__CHAIN_KEY", OWN)], "--chain-key-file", OWN),
    ] {
        let place = Place::new().await;
        runs(&place, env).await;
        let files = place.files();
        let right = place.file("right", &format!("{key}\n"));
        let wrong = place.file("wrong", "another key, which made none of them");
        let (code, told) = place.verify_with(&[flag, &right], &files);
        assert_eq!(code, 0, "{told}");
        let records = place.records().len();
        let all = format!("keyed: {records} of {records} records");
        assert!(told.contains(&all), "{told}");
        let (code, told) = place.verify_with(&[flag, &wrong], &files);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("a key other than the one given"), "{told}");
        let (code, told) = place.verify_with(&[flag, &wrong, flag, &right], &files);
        assert_eq!(code, 0, "{told}");
        // Without a key the hashes alone are looked at, and that is said.
        let (code, told) = place.verify(&files);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("no key was given"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_was_cut_off_is_found_by_the_head_that_verify_printed() {
    let place = Place::new().await;
    runs(&place, &[]).await;
    let head = head(&place.is_whole());
    let (code, told) = place.verify_with(&["--head", &head], &place.files());
    assert_eq!(code, 0, "{told}");
    let text = place.text();
    let end = text.trim_end().rfind('\n').unwrap();
    fs::write(place.path(), &text[..=end]).unwrap();
    let (code, told) = place.verify(&place.files());
    assert_eq!(code, 0, "no chain shows it: {told}");
    let (code, told) = place.verify_with(&["--head", &head], &place.files());
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("the end was truncated"), "{told}");
    let (code, told) = place.verify_with(&["--head", "no hash"], &place.files());
    assert_eq!(code, 64, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_trail_is_a_break_where_one_was_asked_for() {
    let (first, second) = (Place::new().await, Place::new().await);
    runs(&first, &[]).await;
    runs(&second, &[]).await;
    let files = [first.files(), second.files()].concat();
    let (code, told) = first.verify(&files);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("a new trail begins"), "{told}");
    let (code, told) = first.verify_with(&["--one-trail"], &files);
    assert_eq!(code, 1, "{told}");
    let (code, told) = first.verify_with(&["--one-trail"], &first.files());
    assert_eq!(code, 0, "{told}");
    // Nor may one begin behind a head that was kept.
    let head = head(&first.is_whole());
    let (code, told) = first.verify_with(&["--head", &head], &files);
    assert_eq!(code, 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_verify_prints_steers_no_terminal() {
    let place = Place::new().await;
    let odd = place.file("a\u{1b}[2J\u{202e}\nb.log", "no record\n");
    for file in [odd.clone(), format!("{odd}.missing")] {
        let (code, told) = place.verify(&[PathBuf::from(&file)]);
        assert_ne!(code, 0, "{told}");
        assert!(told.contains("a\\u{1b}[2J\\u{202e}\\nb.log"), "{told}");
        let steers = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
        assert!(!told.contains(steers), "{told:?}");
    }
}
