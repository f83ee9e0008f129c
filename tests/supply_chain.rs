//! What the repository promises about what it is built from. `just deny` checks the dependencies themselves.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The manifest of every crate of the repository.
fn manifests() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name == "Cargo.toml" {
                found.push(path);
            } else if path.is_dir() && name != "target" && name != "tmp" && !name.starts_with('.') {
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), &mut found);
    assert!(found.len() >= 2, "the gateway and its fuzz targets");
    found
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    for path in manifests() {
        let manifest: toml::Table = read(&path).parse().expect("TOML");
        let level = manifest
            .get("lints")
            .and_then(|lints| lints.get("rust")?.get("unsafe_code"))
            .and_then(toml::Value::as_str);
        assert_eq!(level, Some("forbid"), "{}", path.display());
    }
}

#[test]
fn every_crate_has_its_lock_file_and_git_keeps_it() {
    for path in manifests() {
        let lock = path.with_file_name("Cargo.lock");
        assert!(lock.is_file(), "{} is missing", lock.display());
    }
    let ignored = read(&root().join(".gitignore"));
    assert!(!ignored.contains("Cargo.lock"));
}

#[test]
fn every_build_of_the_recipes_uses_the_lock_file() {
    let mut files = vec![root().join("justfile")];
    for entry in fs::read_dir(root().join(".ci")).expect(".ci") {
        files.push(entry.expect("an entry").path());
    }
    let mut seen = 0;
    for path in files {
        for line in read(&path).lines().map(str::trim) {
            let words: Vec<&str> = line
                .split(|c: char| !c.is_alphanumeric() && c != '-')
                .collect();
            let builds = words.windows(2).any(|pair| {
                let commands = [
                    "build", "check", "clippy", "fetch", "install", "metadata", "run", "test",
                ];
                pair[0] == "cargo" && commands.contains(&pair[1])
            });
            // What asks a command for its version builds nothing.
            if builds && !line.starts_with('#') && !line.contains("--version\"") {
                assert!(line.contains("--locked"), "{}: {line}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} commands were found");
}

/// The versions of each package of a lock file.
fn versions(lock: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = read(lock).parse().expect("TOML");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let text = |key: &str| package[key].as_str().expect("a text").to_owned();
        versions
            .entry(text("name"))
            .or_default()
            .insert(text("version"));
    }
    versions
}

#[test]
fn what_is_fuzzed_is_what_ships() {
    let shipped = versions(&root().join("Cargo.lock"));
    for (name, fuzzed) in versions(&root().join("fuzz/Cargo.lock")) {
        if let Some(shipped) = shipped.get(&name) {
            assert!(
                fuzzed.is_subset(shipped),
                "{name} is fuzzed in {fuzzed:?} and ships in {shipped:?}; run `just lock`"
            );
        }
    }
}

#[test]
fn ci_checks_the_dependencies() {
    let steps = read(&root().join(".ci/run"));
    assert!(steps.lines().any(|line| line == "step deny just deny"));
    let recipes = read(&root().join("justfile"));
    let deny = recipes
        .lines()
        .find(|line| line.trim().starts_with("cargo deny"));
    let deny = deny.expect("a recipe with cargo deny");
    for part in [
        "licenses",
        "bans",
        "sources",
        "unmatched-skip",
        "unnecessary-skip",
    ] {
        assert!(deny.contains(part), "{part}");
    }
}

#[test]
fn other_tls_stacks_are_banned() {
    let rules: toml::Table = read(&root().join("deny.toml")).parse().expect("TOML");
    let denied = rules["bans"]["deny"].as_array().expect("a list");
    let denied: BTreeSet<_> = denied
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect();
    assert_eq!(
        denied,
        BTreeSet::from(["native-tls", "openssl", "openssl-sys", "ring"])
    );
}

/// aws-lc's entropy from the clock's jitter takes 70 ms of every start. The setting is the compiler's, so
/// it holds wherever cargo finds it, also in the image's build.
#[test]
fn every_build_takes_its_entropy_from_the_system() {
    let config: toml::Table = read(&root().join(".cargo/config.toml")).parse().unwrap();
    let set = &config["env"]["AWS_LC_SYS_NO_JITTER_ENTROPY"];
    assert_eq!(set.as_str(), Some("1"));
    let image = read(&root().join(".dockerignore"));
    assert!(image.lines().any(|line| line == "!.cargo"));
}

/// The image is built of what `.dockerignore` lets through: a file that the program holds must be among it.
#[test]
fn what_is_compiled_in_is_in_the_images_context() {
    let image = read(&root().join(".dockerignore"));
    let context: Vec<&str> = image.lines().filter_map(|l| l.strip_prefix('!')).collect();
    let mut files = 0;
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = read(&path);
            for include in ["include_str!(\"", "include_bytes!(\""] {
                for (at, _) in text.match_indices(include) {
                    let name = &text[at + include.len()..];
                    let name = name.split('"').next().unwrap_or_default();
                    let file = folder.join(name).canonicalize().expect(name);
                    let file = file.strip_prefix(root()).expect("a file of the repository");
                    assert!(
                        context.iter().any(|kept| file.starts_with(kept)),
                        "{} is not in .dockerignore",
                        file.display()
                    );
                    files += 1;
                }
            }
        }
    }
    assert!(files > 5, "{files} files");
}

/// A build without it works, and takes a fifth more CPU for each call (src/cli/program.rs).
#[test]
fn every_build_of_the_program_has_tokios_switch() {
    let config: toml::Table = read(&root().join(".cargo/config.toml")).parse().unwrap();
    let flags = config["build"]["rustflags"].as_array().unwrap();
    let flags: Vec<&str> = flags.iter().filter_map(|flag| flag.as_str()).collect();
    assert_eq!(flags, ["--cfg", "tokio_unstable"]);
    let image = read(&root().join("deploy/image/build-static"));
    assert!(image.contains("RUSTFLAGS=\"--cfg tokio_unstable "));
}

/// Whether it fits the code, `just instructions` says.
#[test]
fn the_release_is_built_with_a_profile_that_names_no_machine() {
    let build = read(&root().join("deploy/image/build-static"));
    assert!(build.contains("<deploy/image/release.profdata") && build.contains("-C profile-use="));
    let profile = fs::read(root().join("deploy/image/release.profdata")).expect("a profile");
    assert!(
        profile.starts_with(b"\xfflprofi\x81"),
        "LLVM's indexed form"
    );
    let names = String::from_utf8_lossy(&profile);
    assert!(names.contains("identity_gateway"), "names are readable");
    for place in ["/root/", "/home/", "/Users/", "/tmp/", "/work/", "/build/"] {
        assert!(!names.contains(place), "{place}");
    }
}
