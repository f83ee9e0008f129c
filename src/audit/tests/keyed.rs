//! Whoever may write the files and has no key: what they make is found. Trails that are older than keys are verified as
//! ever, and said to be unkeyed.

use super::*;
use crate::{audit::chain::Link, sha256::Sha256};

/// Two processes, one after the other.
fn trail(key: Option<&[u8]>) -> Vec<Held> {
    let mut disk = Disk::new();
    disk.key = key.map(ChainKey::new);
    for _ in 0..2 {
        let (mut writer, _) = disk.begin();
        write(&mut writer, 3);
        close(writer);
    }
    held(&disk.files())
}

fn lines(trail: &[Held]) -> Vec<Vec<u8>> {
    let all = trail
        .iter()
        .flat_map(|(_, bytes)| bytes.split_inclusive(|byte| *byte == b'\n'));
    all.map(<[u8]>::to_vec).collect()
}

fn of(lines: &[Vec<u8>]) -> Vec<Held> {
    vec![("audit.log".to_owned(), lines.concat())]
}

fn hash(line: &[u8]) -> Digest {
    Link::read(line.trim_ascii_end(), &[]).unwrap().hash
}

/// Makes every line anew from the third on, as anybody can: `sum` and `prev` fit.
fn forged(trail: &[Held]) -> Vec<Held> {
    let mut prev: Option<Digest> = None;
    let anew = lines(trail).into_iter().enumerate().map(|(number, line)| {
        let mut text = String::from_utf8(line).unwrap();
        if number == 2 {
            text = text.replacen("\"attempts\":1", "\"attempts\":0", 1);
        }
        if let (Some(prev), 3..) = (prev, number) {
            let at = text.find("\"prev\":\"").unwrap() + 8;
            text.replace_range(at..at + 64, &prev.hex());
        }
        let at = text.find(",\"sum\":").unwrap();
        let sum = Digest::from(Sha256::digest(&text[..at]));
        let line = format!("{},\"sum\":\"{sum}\"}}\n", &text[..at]).into_bytes();
        prev = Some(hash(&line));
        line
    });
    of(&anew.collect::<Vec<_>>())
}

#[test]
fn a_trail_that_was_made_anew_is_found_by_its_key_and_by_nothing_else() {
    let (keyed, old) = (trail(Some(KEY)), trail(None));
    let without = || Expected::default();
    for (what, trail, expected, is_whole, words) in [
        ("its key", keyed.clone(), Expected::of(KEY), true, ""),
        ("no key", keyed.clone(), without(), true, "no key was given"),
        (
            "forged, its key",
            forged(&keyed),
            Expected::of(KEY),
            false,
            "a key other than",
        ),
        // As before there were keys.
        (
            "forged, no key",
            forged(&keyed),
            without(),
            true,
            "no key was given",
        ),
        (
            "another key",
            keyed.clone(),
            Expected::of(b"another"),
            false,
            "a key other than",
        ),
        (
            "old, no key",
            old.clone(),
            without(),
            true,
            "unkeyed: no record",
        ),
        (
            "old, forged",
            forged(&old),
            without(),
            true,
            "unkeyed: no record",
        ),
        // Whoever has taken the keyed trail away may put an old one in its place.
        (
            "old, a key",
            old,
            Expected::of(KEY),
            false,
            "unkeyed: no record",
        ),
    ] {
        let report = expecting(&trail, expected);
        assert_eq!(report.is_whole(), is_whole, "{what}: {:?}", report.breaks);
        let mut remarks = report.breaks.iter().chain(&report.notes);
        let said = remarks.any(|remark| remark.words.contains(words));
        assert!(words.is_empty() || said, "{what}");
    }
    let report = verify(&keyed);
    assert_eq!((report.records, report.keyed, report.unkeyed), (10, 10, 0));
}

#[test]
fn a_trail_goes_on_under_a_key_or_a_new_one_and_not_without() {
    let mut disk = Disk::new();
    let mut process = |key: Option<&[u8]>| {
        disk.key = key.map(ChainKey::new);
        let (mut writer, _) = disk.begin();
        write(&mut writer, 2);
        close(writer);
        held(&disk.files())
    };
    process(None);
    let report = verify(&process(Some(KEY)));
    assert!(report.is_whole(), "{:?}", report.breaks);
    assert_eq!((report.keyed, report.unkeyed), (4, 4));
    let note = "the first 4 records are unkeyed";
    assert!(
        report
            .notes
            .iter()
            .any(|remark| remark.words.starts_with(note))
    );

    let rotated = process(Some(b"the next key"));
    assert!(!verify(&rotated).is_whole());
    let mut both = Expected::of(KEY);
    both.keys.push(ChainKey::new(b"the next key"));
    assert!(expecting(&rotated, both).is_whole());

    let report = verify(&process(None));
    assert!(
        report
            .breaks
            .iter()
            .any(|remark| remark.words.contains("written without the key"))
    );
}

#[test]
fn a_tail_that_was_cut_off_is_found_by_a_head_that_was_kept() {
    let all = lines(&trail(Some(KEY)));
    let head = |at: usize| Expected {
        head: Some(hash(&all[at])),
        ..Expected::of(KEY)
    };
    for kept in 0..all.len() {
        for cut in 1..=all.len() {
            let report = expecting(&of(&all[..cut]), head(kept));
            assert_eq!(
                report.is_whole(),
                kept < cut,
                "{kept} of {cut}: {:?}",
                report.breaks
            );
        }
    }
}

#[test]
fn a_fresh_trail_is_a_splice_where_there_is_one_or_a_head_before_it() {
    let (one, other) = (lines(&trail(Some(KEY))), lines(&trail(Some(KEY))));
    // Under the same key, as that of another replica is.
    let spliced = of(&[&one[..7], &other[..]].concat());
    let whole = |trail: &[Held], trails, head: Option<&Vec<u8>>| {
        let expected = Expected {
            trails,
            head: head.map(|line| hash(line)),
            ..Expected::of(KEY)
        };
        expecting(trail, expected).is_whole()
    };
    assert!(whole(&spliced, Trails::Several, None));
    assert!(!whole(&spliced, Trails::One, None));
    assert!(!whole(&spliced, Trails::Several, Some(&one[4])));
    assert!(whole(&spliced, Trails::Several, Some(&other[4])));
    assert!(whole(&of(&one), Trails::One, None));
}
