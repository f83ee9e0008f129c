//! The log's filter while the process runs: the configured one, or another for a while.
//!
//! Whoever reaches the admin port may change it, and nobody has to be known there. So a change is a few words of
//! plain directives, it ends by itself, and the line that tells of it passes every filter.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    reload,
};

use crate::nearest::nearest;

/// How long a change lasts.
pub const LASTS: Duration = Duration::from_secs(15 * 60);
/// Longest filter that is taken at run time, in bytes, and its directives.
const MAX_BYTES: usize = 1024;
const MAX_DIRECTIVES: usize = 32;
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
/// Tells of every change, whatever the filter says.
const OWN: &str = module_path!();

/// Why the filter cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// What was asked for is no filter.
    #[error("expected log directives such as info or info,identity_gateway=debug")]
    NotAFilter,
    /// A word is no level, or stands where one is expected.
    #[error("expected one of the levels error, warn, info, debug, trace and off, or target=level{}", meant(*.0))]
    NoLevel(Option<&'static str>),
    /// There is no log.
    #[error("the log is not started")]
    NotStarted,
}

/// The filter.
pub struct LogFilter {
    handle: reload::Handle<Targets, Registry>,
    configured: String,
    now: Mutex<Now>,
}

#[derive(Clone)]
struct Now {
    text: String,
    /// Counts the changes: an older one's end is none of a newer one's.
    change: u64,
}

/// The level that somebody means by another word, which their logger has for it or their fingers made of it.
fn level_meant_by(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    match &*word {
        "warning" => Some("warn"),
        "err" | "fatal" | "critical" | "severe" => Some("error"),
        "notice" | "information" | "informational" | "default" => Some("info"),
        "verbose" | "dbg" | "fine" => Some("debug"),
        "all" | "finest" => Some("trace"),
        "none" | "silent" | "quiet" => Some("off"),
        _ => nearest(&word, LEVELS.into_iter()),
    }
}

fn meant(level: Option<&str>) -> String {
    level.map_or_else(String::new, |level| format!("; did you mean {level}?"))
}

/// The filter of these directives: a level, or a target with its level, as in `info,h2=off`. A word that is no level would
/// be a target of which everything is logged, and nothing else: nobody means that.
///
/// # Errors
///
/// If one of them is neither: quotes, spans and fields are no parts of a target.
pub fn parse(text: &str) -> Result<Targets, FilterError> {
    let directives = text.split(',').map(str::trim);
    let mut filter = Targets::new();
    let mut is_empty = true;
    for directive in directives.filter(|one| !one.is_empty()) {
        is_empty = false;
        let (target, word) = match directive.split_once('=') {
            Some((target, word)) => (Some(target), word),
            None => (None, directive),
        };
        let level = Some(word).filter(|word| !word.is_empty());
        let level = level.and_then(|word| word.parse::<LevelFilter>().ok());
        let level = level.ok_or_else(|| FilterError::NoLevel(level_meant_by(word)))?;
        filter = match target {
            None => filter.with_default(level),
            Some(target) if is_target(target) => filter.with_target(target, level),
            Some(_) => return Err(FilterError::NotAFilter),
        };
    }
    if is_empty {
        filter = filter.with_default(LevelFilter::ERROR);
    }
    // Last, so that it takes the place of another for the same target.
    Ok(filter.with_target(OWN, LevelFilter::INFO))
}

/// Whether it is the path of a module, or another name that libraries give.
fn is_target(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
    begins && text.bytes().all(rest)
}

/// Whether a stranger's text is short enough, and has no more than filters need.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:=,.- ".contains(&byte);
    !text.is_empty()
        && text.len() <= MAX_BYTES
        && text.split(',').count() <= MAX_DIRECTIVES
        && text.bytes().all(plain)
}

impl LogFilter {
    /// The filter as configured, over the layer that it is in.
    pub fn new(handle: reload::Handle<Targets, Registry>, configured: &str) -> Arc<Self> {
        Arc::new(Self {
            handle,
            configured: configured.to_owned(),
            now: Mutex::new(Now {
                text: configured.to_owned(),
                change: 0,
            }),
        })
    }

    /// The directives in force.
    pub fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// Changes the filter for [`LASTS`], or until it is changed again.
    ///
    /// # Errors
    ///
    /// If the text is no filter; nothing is changed then.
    pub fn change(self: &Arc<Self>, text: &str, peer: SocketAddr) -> Result<(), FilterError> {
        let text = text.trim();
        if !is_plain(text) {
            return Err(FilterError::NotAFilter);
        }
        let change = self.set(text)?;
        tracing::warn!(
            %peer,
            filter = text,
            lasts_s = LASTS.as_secs(),
            "log filter changed on the admin port"
        );
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(LASTS).await;
            this.restore(change);
        });
        Ok(())
    }

    fn restore(&self, change: u64) {
        if self.lock().change == change && self.set(&self.configured).is_ok() {
            tracing::warn!(
                filter = self.configured,
                "log filter reset to the configured one"
            );
        }
    }

    fn set(&self, text: &str) -> Result<u64, FilterError> {
        let filter = parse(text)?;
        let mut now = self.lock();
        self.handle
            .reload(filter)
            .map_err(|_| FilterError::NotStarted)?;
        now.text = text.to_owned();
        now.change += 1;
        Ok(now.change)
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing panics under the lock.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn peer() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_ends_by_itself_and_a_newer_one_is_not_ended_by_an_older() {
        let (layer, handle) = reload::Layer::new(parse("info").unwrap());
        let _subscriber = tracing_subscriber::registry().with(layer);
        let filter = LogFilter::new(handle, "info");
        filter.change("off", peer()).unwrap();
        assert_eq!(filter.text(), "off");
        tokio::time::sleep(LASTS / 2).await;
        filter.change("debug", peer()).unwrap();
        tokio::time::sleep(LASTS * 3 / 4).await;
        assert_eq!(filter.text(), "debug");
        tokio::time::sleep(LASTS / 2).await;
        assert_eq!(filter.text(), "info");
    }

    #[test]
    fn a_strangers_filter_is_plain_and_short() {
        let many = vec!["a=info"; MAX_DIRECTIVES + 1].join(",");
        let long = "a".repeat(MAX_BYTES + 1);
        for wrong in [
            "",
            "[span{field=.................}]=info",
            "[{peer}]=off",
            "identity_gateway[call]=off",
            "info\ninfo",
            many.as_str(),
            long.as_str(),
        ] {
            assert!(!is_plain(wrong), "{wrong:.40}");
        }
        assert!(is_plain("info, identity_gateway::transport=debug,h2=off"));
    }

    #[test]
    fn a_filter_is_levels_and_targets_and_nothing_else() {
        for (text, allowed) in [
            ("info", true),
            ("INFO, h2=off,", true),
            ("warn,identity_gateway::cli=info,tonic-health=3", true),
            ("identity_gateway", false),
            ("info,h2", false),
            ("", true),
            ("\"info\"", false),
            ("'info'", false),
            ("*=info", false),
            ("!!!", false),
            ("h2=", false),
            ("=info", false),
            (".=debug", false),
            ("h2=loud", false),
            ("a=b=c", false),
            ("[call]=debug", false),
            ("identity_gateway[call]=debug", false),
            ("[{peer}]=off", false),
            ("a[{b,c}]=info", false),
        ] {
            assert_eq!(parse(text).is_ok(), allowed, "{text}");
        }
        let filter = parse("warn,identity_gateway::cli=info,h2=off").unwrap();
        for (target, level, passes) in [
            ("identity_gateway::call", tracing::Level::INFO, false),
            ("identity_gateway::call", tracing::Level::WARN, true),
            ("identity_gateway::cli::serve", tracing::Level::INFO, true),
            ("h2::codec", tracing::Level::ERROR, false),
        ] {
            assert_eq!(
                filter.would_enable(target, &level),
                passes,
                "{target} {level}"
            );
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_the_level_that_was_meant_is_named() {
        for (text, meant) in [
            ("debugg", Some("debug")),
            ("warning", Some("warn")),
            ("WARNING", Some("warn")),
            ("info,h2=verbose", Some("debug")),
            ("fatal", Some("error")),
            ("none", Some("off")),
            ("identity_gateway", None),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(refused, FilterError::NoLevel(meant), "{text}");
            let said = refused.to_string();
            match meant {
                Some(level) => assert!(said.ends_with(&format!("did you mean {level}?")), "{said}"),
                None => assert!(!said.contains("did you mean"), "{said}"),
            }
        }
    }

    #[test]
    fn the_line_of_a_change_passes_every_filter() {
        for filter in [
            "off",
            "identity_gateway::telemetry::log_filter=off",
            "error",
        ] {
            let filter = parse(filter).unwrap().to_string();
            assert!(filter.contains("log_filter=info"), "{filter}");
        }
    }
}
