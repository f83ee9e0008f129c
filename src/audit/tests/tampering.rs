//! Property: whatever is done to one line, the verifier finds it, at that line or the one after it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// What somebody does to the lines of one file.
#[derive(Debug, Clone)]
enum Deed {
    Remove,
    Repeat,
    Swap,
    Cut(prop::sample::Index),
    Change(prop::sample::Index, u8),
    Insert(prop::sample::Index),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        Just(Deed::Remove),
        Just(Deed::Repeat),
        Just(Deed::Swap),
        any::<prop::sample::Index>().prop_map(Deed::Cut),
        (any::<prop::sample::Index>(), 1..=255u8).prop_map(|(at, bits)| Deed::Change(at, bits)),
        any::<prop::sample::Index>().prop_map(Deed::Insert),
    ]
}

/// Three processes, the second of which was killed, over several files, a torn line among them.
static TRAIL: LazyLock<Vec<Held>> = LazyLock::new(|| {
    let mut disk = Disk::new();
    disk.max_bytes = 4096;
    for round in 0..3 {
        let (mut writer, _) = disk.begin();
        write(&mut writer, 9);
        if round != 1 {
            close(writer);
            continue;
        }
        drop(writer);
        let length = fs::metadata(disk.path()).unwrap().len();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(disk.path())
            .unwrap();
        file.set_len(length - 40).unwrap();
    }
    held(&disk.files())
});

#[test]
fn the_trail_itself_is_whole_and_its_torn_line_noted() {
    let report = verify(&TRAIL);
    assert!(TRAIL.len() > 3);
    assert!(report.is_whole(), "{:?}", report.breaks);
    let torn = |note: &verify::Remark| note.words.starts_with("torn by a crash");
    assert_eq!(report.notes.iter().filter(|note| torn(note)).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_deed_is_found(
        file in any::<prop::sample::Index>(),
        line in any::<prop::sample::Index>(),
        deed in deed(),
    ) {
        let mut files = TRAIL.clone();
        let file = file.index(files.len());
        let is_last_file = file + 1 == files.len();
        let (name, bytes) = &mut files[file];
        let mut lines: Vec<_> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let at = line.index(lines.len());
        let is_last = is_last_file && at + 1 == lines.len();
        match deed {
            // A last line that is gone leaves no trace in any chain.
            Deed::Remove if is_last => return Ok(()),
            Deed::Remove => drop(lines.remove(at)),
            Deed::Repeat => lines.insert(at, lines[at].clone()),
            Deed::Swap => {
                prop_assume!(at + 1 < lines.len());
                lines.swap(at, at + 1);
            }
            Deed::Cut(to) => {
                let length = to.index(lines[at].len());
                prop_assume!(!(is_last && length == 0));
                lines[at].truncate(length);
            }
            Deed::Change(place, bits) => {
                let place = place.index(lines[at].len());
                lines[at][place] ^= bits;
            }
            Deed::Insert(place) => {
                let place = place.index(lines[at].len());
                lines[at].insert(place, b'7');
            }
        }
        *bytes = lines.concat();
        let name = name.clone();
        let report = verify(&files);
        prop_assert!(!report.is_whole());
        let found = &report.breaks[0].place;
        // A file without its last line is found out by the file after it.
        if found.file == name {
            let line = usize::try_from(found.line).unwrap();
            prop_assert!((at..=at + 2).contains(&line), "{at}: {}", report.breaks[0]);
        }
    }
}

#[test]
fn a_missing_file_is_found() {
    for missing in 1..TRAIL.len() - 1 {
        let mut some = TRAIL.clone();
        some.remove(missing);
        let report = verify(&some);
        assert!(report.breaks[0].words.contains("a file is missing"));
    }
    // The oldest may have been carried away.
    assert!(verify(&TRAIL[1..]).is_whole());
}

#[test]
fn nothing_is_not_whole() {
    assert!(!verify(&[]).is_whole());
    assert!(!verify(&[("empty".to_owned(), Vec::new())]).is_whole());
}
