//! The house as CONTRIBUTING draws it: which room uses which, how long a file is, and where a company is named.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use identity_gateway::domain::verification::Provider;

/// A file that is longer says why, in a comment that begins with [`REASON`].
const LONGEST: usize = 450;
const REASON: &str = "// Long: ";

/// How many files outside of a company's own folders name it: what a new one has to touch, beside the contract.
/// Verifik keeps the person records, too, which are a service of their own.
const NAMES_A_COMPANY: [(&str, usize); 3] = [("verifik", 18), ("youverify", 10), ("accuauth", 10)];

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rooms and what each may use, from the bottom up.
type Table = Vec<(String, BTreeSet<String>)>;

/// Which room uses which, and the files that do.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a folder, with its text; what cargo builds is none.
fn files(below: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![below.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if entry.file_name() != "target" {
                    folders.push(path);
                }
            } else if path.ends_with(".rs") {
                found.push((path.clone(), read(&path)));
            }
        }
    }
    found.sort();
    found
}

/// The program's own files, without tests and comments.
fn program() -> Vec<(String, String)> {
    let all = files("src");
    let tests = all.iter().flat_map(|(path, text)| test_modules(path, text));
    let tests: BTreeSet<_> = tests.collect();
    let is_test = |path: &str| {
        let stem = path.trim_end_matches(".rs");
        tests
            .iter()
            .any(|test| stem == test || stem.starts_with(&format!("{test}/")))
    };
    all.iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path.clone(), code(text)))
        .collect()
}

/// The modules of a file that are built for tests only, as paths without `.rs`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .trim_end_matches("/lib");
    let mut for_tests = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let module = line.trim_start_matches("pub(super) ").strip_prefix("mod ");
        match module.and_then(|name| name.strip_suffix(';')) {
            Some(name) if for_tests => found.push(format!("{folder}/{name}")),
            _ if line.starts_with("#[cfg(test)]") => for_tests = true,
            _ if line.starts_with("#[") => {}
            _ => for_tests = false,
        }
    }
    found
}

/// A file's text without its comments and its tests.
fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = program.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The room of a file: a folder of `src`, or a file beside them.
fn room(path: &str) -> String {
    let below = path.strip_prefix("src/").unwrap();
    below
        .split('/')
        .next()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

/// The rooms that a text names behind `crate::`, also in nested lists.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, named) in text.match_indices("crate::") {
        if text[..at].ends_with(|before: char| before.is_alphanumeric() || "_$".contains(before)) {
            continue;
        }
        let rest = &text[at + named.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut begins = true;
        for (place, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => begins |= depth == 1,
                letter if begins && letter.is_alphabetic() => {
                    found.insert(word(&list[place..]));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    let part_of = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.chars().take_while(|letter| part_of(*letter)).collect()
}

fn arrows(files: &[(String, String)]) -> Arrows {
    let mut arrows = Arrows::new();
    for (path, text) in files {
        let from = room(path);
        // Where the rooms are put together, and what is said at the very top.
        if matches!(from.as_str(), "lib" | "main") {
            continue;
        }
        for to in rooms_named(text) {
            if to != from {
                let arrow = (from.clone(), to);
                arrows.entry(arrow).or_default().insert(path.clone());
            }
        }
    }
    arrows
}

/// The table between the marks in CONTRIBUTING: `| room | may use |`.
fn table(document: &str) -> Table {
    let (_, rest) = document.split_once("<!-- house -->").expect("the table");
    let (rows, _) = rest.split_once("<!-- end: house -->").expect("its end");
    let rows = rows.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, room, uses, ..] = cells.as_slice() else {
            return None;
        };
        let room = room.strip_prefix('`')?.strip_suffix('`')?;
        let uses = uses.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((room.to_owned(), uses.collect()))
    });
    rows.collect()
}

/// What of the arrows is not as the table has it, one line each.
fn problems(table: &Table, arrows: &Arrows) -> Vec<String> {
    let mut problems = Vec::new();
    for ((from, to), files) in arrows {
        let row = table.iter().find(|(room, _)| room == from);
        if !row.is_some_and(|(_, uses)| uses.contains(to)) {
            let files = files.iter().cloned().collect::<Vec<_>>().join(", ");
            problems.push(format!("`{from}` may not use `{to}`: {files}"));
        }
    }
    for (place, (room, uses)) in table.iter().enumerate() {
        for used in uses {
            if !arrows.contains_key(&(room.clone(), used.clone())) {
                problems.push(format!("`{room}` does not use `{used}`"));
            }
            // What stands above uses what stands below, so that there is no circle.
            if !table[..place].iter().any(|(lower, _)| lower == used) {
                problems.push(format!("`{room}` stands below `{used}`"));
            }
        }
    }
    problems
}

#[test]
fn the_rooms_use_each_other_as_contributing_says() {
    let table = table(&read("CONTRIBUTING.md"));
    let files = program();
    let rooms: BTreeSet<_> = files.iter().map(|(path, _)| room(path)).collect();
    let drawn: BTreeSet<_> = table.iter().map(|(room, _)| room.clone()).collect();
    let tops = ["lib", "main"].map(str::to_owned);
    let missing: Vec<_> = rooms.difference(&drawn).collect();
    assert_eq!(
        missing,
        tops.iter().collect::<Vec<_>>(),
        "rooms without a row"
    );
    assert_eq!(drawn.difference(&rooms).count(), 0, "rows without a room");
    let problems = problems(&table, &arrows(&files));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_arrow_against_the_table_is_found_however_it_is_written() {
    let table = table(
        "<!-- house -->\n| Room | May use |\n|---|---|\n| `domain` | |\n| `transport` | `domain` |\n\
         | `server` | `transport`, `domain` |\n<!-- end: house -->",
    );
    let found = |path: &str, text: &str| {
        let drawn = [
            ("src/transport/one.rs", "use crate::domain::date;"),
            (
                "src/server/one.rs",
                "use crate::{domain::{self, date}, transport::Upstream};",
            ),
        ];
        let drawn = drawn.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let files = [drawn.as_slice(), &[(path.to_owned(), code(text))]].concat();
        problems(&table, &arrows(&files))
    };
    assert_eq!(found("src/server/two.rs", "").len(), 0);
    assert_eq!(
        found("src/domain/two.rs", "// use crate::server::Call;").len(),
        0
    );
    assert_eq!(
        found("src/domain/two.rs", "use crate::domain::date;").len(),
        0
    );
    for text in [
        "use crate::server::Call;",
        "use crate::{\n    domain::{self, date::Date},\n    server,\n};",
        "pub use crate::{domain::date, server::{a::{b, c}, d}};",
        "fn f() { crate::server::start() }",
    ] {
        let problems = found("src/domain/two.rs", text);
        assert_eq!(
            problems,
            ["`domain` may not use `server`: src/domain/two.rs"],
            "{text}"
        );
    }
    let unused = problems(&table, &Arrows::new());
    assert_eq!(unused.len(), 3, "{unused:?}");
    let mut circle = table.clone();
    circle[0].1.insert("server".to_owned());
    let problems = problems(&circle, &Arrows::new());
    assert!(
        problems.contains(&"`domain` stands below `server`".to_owned()),
        "{problems:?}"
    );
}

#[test]
fn a_long_file_says_why() {
    let folders = ["src", "tests", "examples", "benches", "fuzz"];
    let mut seen = 0;
    for (path, text) in folders.into_iter().flat_map(files) {
        seen += 1;
        let reason = text.lines().find_map(|line| line.strip_prefix(REASON));
        let lines = text.lines().count();
        match reason {
            Some(reason) => {
                assert!(
                    lines > LONGEST,
                    "{path} has {lines} lines and needs no reason"
                );
                assert!(reason.len() > 20, "{path}: what is the reason?");
            }
            None => assert!(
                lines <= LONGEST,
                "{path} has {lines} lines and says not why"
            ),
        }
    }
    assert!(seen > 300, "{seen}");
}

/// What the recipe for a new company says: beside its own folders it is named where the compiler asks for it, and
/// nowhere else.
#[test]
fn a_company_is_named_in_its_own_folders_and_in_few_other_files() {
    let counted = NAMES_A_COMPANY.map(|(company, _)| company);
    assert_eq!(counted, Provider::ALL.map(Provider::as_str));
    for (company, most) in NAMES_A_COMPANY {
        let own = |path: &str| path.split('/').any(|part| part == company);
        let shared = program()
            .into_iter()
            .filter(|(path, text)| !own(path) && text.to_lowercase().contains(company));
        let shared: Vec<_> = shared.map(|(path, _)| path).collect();
        assert!(shared.len() <= most, "{company}: {shared:#?}");
    }
}
