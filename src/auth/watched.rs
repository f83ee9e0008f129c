//! Files that are read again when they change.
//!
//! Every second the whole file is read and compared with what was read before: the files are small,
//! and that finds every kind of change, also Kubernetes' swap of a symbolic link. What cannot be used
//! changes nothing: the old content stays in force, and the log and a metric say so once for each
//! broken content.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};

use crate::{
    config::files,
    telemetry::{
        labels::{Reload, Reloaded},
        metrics,
    },
};

/// How often a file is looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Reads a small file, off the runtime's threads.
pub async fn read(path: Arc<PathBuf>) -> Result<String, String> {
    let read = tokio::task::spawn_blocking(move || {
        files::text(&path, files::CONFIGURATION).map(|text| text.as_str().to_owned())
    });
    read.await
        .unwrap_or_else(|_| Err("cannot be read".to_owned()))
}

/// Watches a file for as long as the runtime lives. `first` is the text that is in force; `take` puts
/// another one in force, or says why not.
pub fn watch(
    what: Reloaded,
    path: PathBuf,
    first: &str,
    take: impl Fn(&str) -> Result<(), String> + Send + 'static,
) {
    let path = Arc::new(path);
    let digest = |text: &Result<String, String>| match text {
        Ok(text) => Sha256::digest(text),
        Err(problem) => Sha256::digest(format!("\0{problem}")),
    };
    let mut seen = digest(&Ok(first.to_owned()));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let text = read(Arc::clone(&path)).await;
            let now = digest(&text);
            if now == seen {
                continue;
            }
            seen = now;
            tell(what, text.and_then(|text| take(&text)));
        }
    });
}

/// Says what became of a new content.
pub fn tell(what: Reloaded, taken: Result<(), String>) {
    let file = what.as_str();
    match taken {
        Ok(()) => {
            metrics::reloaded(what, Reload::Done);
            tracing::info!(file, "read again");
        }
        Err(problem) => {
            metrics::reloaded(what, Reload::Refused);
            tracing::error!(file, problem, "cannot be used: the old one stays in force");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_change_is_taken_and_a_broken_file_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let taken = Arc::new(Mutex::new(vec!["one".to_owned()]));
        let into = Arc::clone(&taken);
        watch(Reloaded::Policy, path.clone(), "one", move |text| {
            if text == "broken" {
                return Err("is broken".to_owned());
            }
            into.lock().unwrap().push(text.to_owned());
            Ok(())
        });
        let count = |count| {
            let taken = Arc::clone(&taken);
            async move {
                for _ in 0..400 {
                    if taken.lock().unwrap().len() == count {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                panic!("{:?}", taken.lock().unwrap());
            }
        };
        std::fs::write(&path, "broken").unwrap();
        tokio::time::sleep(INTERVAL * 2).await;
        // As Kubernetes does it: another file under the same name.
        let other = directory.path().join("other");
        std::fs::write(&other, "two").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        count(2).await;
        std::fs::write(&other, "three").unwrap();
        count(3).await;
        assert_eq!(*taken.lock().unwrap(), ["one", "two", "three"]);
    }
}
