//! What became of files and key sets that are read again when they change: counted, and the last good and the last
//! rejected reload of each remembered for the status page.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use super::{labels::Reload, metrics};

/// Most characters of a reason.
const LONGEST: usize = 240;

/// By configuration key, of which there are a few dozen.
static KNOWN: Mutex<Vec<Reloaded>> = Mutex::new(Vec::new());

/// What became of what one configuration key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The key.
    pub key: &'static str,
    /// When a new version was last taken.
    pub taken: Option<SystemTime>,
    /// When one was last rejected, and why, without what it holds.
    pub rejected: Option<(SystemTime, String)>,
    /// What is in use now.
    pub in_use: InUse,
}

/// Which version is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// What is there now.
    Newest,
    /// What was there before, because what is there now is rejected.
    Previous,
    /// None: there never was a good one, or it has expired.
    Nothing,
}

/// The new version is in use.
pub fn taken(key: &'static str) {
    metrics::reloaded(key, Reload::Taken);
    note(key, |known, now| {
        known.taken = Some(now);
        known.in_use = InUse::Newest;
    });
}

/// The new version cannot be used; the previous one goes on, if there is one.
pub fn rejected(key: &'static str, why: &str) {
    metrics::reloaded(key, Reload::Kept);
    let why = without_quotations(why);
    note(key, |known, now| {
        known.rejected = Some((now, why));
        if known.in_use == InUse::Newest {
            known.in_use = InUse::Previous;
        }
    });
}

/// There is no previous version, or it has expired.
pub fn nothing_in_use(key: &'static str) {
    note(key, |known, _| known.in_use = InUse::Nothing);
}

/// Every key of which something was reloaded, or rejected, since the start.
#[must_use]
pub fn all() -> Vec<Reloaded> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn note(key: &'static str, change: impl FnOnce(&mut Reloaded, SystemTime)) {
    let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let now = SystemTime::now();
    match all.iter_mut().find(|known| known.key == key) {
        Some(known) => change(known, now),
        None => {
            let mut known = Reloaded {
                key,
                taken: None,
                rejected: None,
                in_use: InUse::Newest,
            };
            change(&mut known, now);
            all.push(known);
        }
    }
}

/// A reason may quote what the operator wrote, such as a caller's name in the policy file. That stands in the log; here
/// it is left out.
fn without_quotations(why: &str) -> String {
    let mut kept = String::new();
    let mut letters = why.chars();
    while let Some(letter) = letters.next() {
        if matches!(letter, '"' | '`') {
            kept.push('…');
            let mut escaped = false;
            // An end that is missing takes the rest with it.
            letters.find(|inner| {
                let ends = *inner == letter && !escaped;
                escaped = *inner == '\\' && !escaped;
                ends
            });
        } else {
            kept.push(letter);
        }
    }
    kept.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(key: &str) -> Reloaded {
        all().into_iter().find(|known| known.key == key).unwrap()
    }

    #[test]
    fn the_last_good_and_the_last_rejected_reload_of_each_key_are_remembered() {
        taken("test.one");
        let good = of("test.one");
        assert_eq!(
            (good.taken.is_some(), &good.rejected, good.in_use),
            (true, &None, InUse::Newest)
        );
        rejected("test.one", "is empty");
        let bad = of("test.one");
        assert_eq!((bad.taken, bad.in_use), (good.taken, InUse::Previous));
        assert_eq!(bad.rejected.unwrap().1, "is empty");
        rejected("test.one", "is too long");
        taken("test.one");
        let mended = of("test.one");
        assert_eq!(mended.in_use, InUse::Newest);
        assert_eq!(mended.rejected.unwrap().1, "is too long");
        rejected("test.two", "cannot be read");
        assert_eq!(of("test.two").taken, None);
    }

    #[test]
    fn what_has_expired_stays_so_until_a_new_version_is_taken() {
        rejected("test.three", "cannot be read");
        nothing_in_use("test.three");
        assert_eq!(of("test.three").in_use, InUse::Nothing);
        rejected("test.three", "is empty");
        assert_eq!(of("test.three").in_use, InUse::Nothing);
        taken("test.three");
        assert_eq!(of("test.three").in_use, InUse::Newest);
    }

    #[test]
    fn what_a_reason_quotes_is_left_out() {
        for (why, kept) in [
            (
                "cannot be read: No such file",
                "cannot be read: No such file",
            ),
            (
                r#"rule one: identities: "maria@\"x\".test*b*" has more than one *; rule two: rpcs: "x" is unknown"#,
                "rule one: identities: … has more than one *; rule two: rpcs: … is unknown",
            ),
            (
                "line 3: unknown field `canary`, expected `name`",
                "line 3: unknown field …, expected …",
            ),
            (r#"invalid type: string "canary"#, "invalid type: string …"),
            ("the issuer's keys", "the issuer's keys"),
            (r#""\\" and canary"#, "… and canary"),
            ("", ""),
        ] {
            assert_eq!(without_quotations(why), kept);
        }
        assert_eq!(without_quotations(&"ü".repeat(10_000)).chars().count(), 240);
    }
}
