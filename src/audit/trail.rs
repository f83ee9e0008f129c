//! Which files a trail has: of a base path, of a folder, or of a list that a shell has made of a pattern.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::file::{LOCK, rotated, rotated_of};

/// The files to read, the oldest first. A base path (`audit.log`) stands for its full files and itself, a folder for the
/// one trail that is in it. Lock files, which a pattern such as `audit.log.*` takes too, are left out.
///
/// # Errors
///
/// If a folder cannot be read, or holds no trail or several.
pub fn files(listed: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let is_no_lock = |path: &&PathBuf| path.extension().is_none_or(|end| end != LOCK);
    let listed: Vec<_> = listed.iter().filter(is_no_lock).collect();
    // Who lists full files says itself what is read.
    let is_listed = |base: &Path| {
        let mut bases = listed.iter().filter_map(|path| rotated_of(path));
        bases.any(|(of, _)| of == base)
    };
    let mut files = Vec::new();
    for path in &listed {
        if path.is_dir() {
            files.extend(whole(&base_in(path)?)?);
        } else if rotated_of(path).is_some() || is_listed(path) {
            files.push((*path).clone());
        } else {
            files.extend(whole(path)?);
        }
    }
    // Of `audit.log*` a shell names the current file first.
    let group = |path: &PathBuf| rotated_of(path).map_or_else(|| path.clone(), |(base, _)| base);
    let bases: Vec<_> = files.iter().map(group).collect();
    files.sort_by_cached_key(|path| {
        let base = group(path);
        let is_current = base == *path;
        (bases.iter().position(|known| *known == base), is_current)
    });
    files.dedup();
    Ok(files)
}

/// All files of a base path. The current one may be missing: the process has just filled its last.
fn whole(base: &Path) -> io::Result<Vec<PathBuf>> {
    let full = rotated(base).unwrap_or_default();
    let mut files: Vec<_> = full.into_iter().map(|(_, path)| path).collect();
    if files.is_empty() || base.exists() {
        files.push(base.to_owned());
    }
    Ok(files)
}

/// The base path of the trail in a folder.
fn base_in(folder: &Path) -> io::Result<PathBuf> {
    let mut bases = BTreeSet::new();
    let mut others = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some((base, _)) = rotated_of(&path) {
            bases.insert(base);
        } else if path.extension().is_some_and(|end| end == LOCK) {
            // A process writes there, or has.
            bases.insert(path.with_extension(""));
        } else if path.is_file() {
            others.insert(path);
        }
    }
    let mut found = if bases.is_empty() { others } else { bases }.into_iter();
    match (found.next(), found.next()) {
        (Some(base), None) => Ok(base),
        (None, _) => Err(io::Error::other("there is no audit file in this folder")),
        (Some(_), Some(_)) => Err(io::Error::other(
            "there are several audit trails in this folder: name the base path of one, such as audit.log",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_a_folder_and_a_pattern_stand_for_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let all = ["audit.log.00000001", "audit.log.00000002", "audit.log"];
        for name in all.iter().chain(&["audit.log.lock"]) {
            fs::write(path(name), "").unwrap();
        }
        let names = |listed: &[&str]| -> Vec<String> {
            let listed: Vec<_> = listed.iter().map(|name| path(name)).collect();
            let files = files(&listed).unwrap().into_iter();
            let name = |file: PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
            files.map(name).collect()
        };
        // As a shell makes it of `audit.log.*` and of `audit.log*`.
        let pattern = ["audit.log.00000001", "audit.log.00000002", "audit.log.lock"];
        assert_eq!(names(&["audit.log"]), all);
        assert_eq!(names(&[""]), all);
        assert_eq!(names(&pattern), all[..2]);
        assert_eq!(names(&[&pattern[..], &["audit.log"]].concat()), all);
        assert_eq!(names(&[&["audit.log"], &pattern[..]].concat()), all);
        assert_eq!(names(&["audit.log.00000002"]), ["audit.log.00000002"]);
        // A file that is no trail's, such as lines of standard output.
        fs::write(path("other.jsonl"), "").unwrap();
        assert_eq!(names(&["other.jsonl"]), ["other.jsonl"]);
        assert_eq!(names(&[""]), all, "the folder still holds one trail");
        fs::write(path("second.log.lock"), "").unwrap();
        assert!(files(&[folder.path().to_owned()]).is_err());
        let empty = tempfile::tempdir().unwrap();
        assert!(files(&[empty.path().to_owned()]).is_err());
    }
}
