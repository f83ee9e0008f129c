//! What a person at a terminal gets beyond the words: colours, and a line that says how far something is.
//!
//! Commands write with colours, through `anstream`, which leaves them out where nobody sees them: in a pipe or a file, with
//! `NO_COLOR`, with `TERM=dumb`; `CLICOLOR_FORCE` keeps them. The line of [`Progress`] is for a terminal alone: it stands on
//! standard error if that is one, a second after the beginning, and is gone before anything else is said.

use std::{
    fmt,
    io::{self, IsTerminal as _, Read, Write as _},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};

/// What went wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What may go wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What stands above other lines.
pub const HEADING: Style = Style::new().bold();
/// What stands beside them.
pub const ASIDE: Style = Style::new().dimmed();

/// Lines of `key: what is wrong with it`.
pub struct Problems<'a>(pub &'a dyn fmt::Display);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.to_string().lines() {
            match line.split_once(": ") {
                Some((key, problem)) => writeln!(f, "{ERROR}{key}:{ERROR:#} {problem}")?,
                None => writeln!(f, "{line}")?,
            }
        }
        Ok(())
    }
}

/// Until then whoever waits has not begun to wonder.
const QUIET: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const TICK: Duration = Duration::from_millis(200);
/// From the line's beginning, without a break where it is too long: a line that wraps cannot be taken back.
const BEGIN: &str = "\r\x1b[?7l";
/// To its end, and breaks as before.
const END: &str = "\x1b[K\x1b[?7h";

/// Says how far something is, until it is dropped.
pub struct Progress {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    is_ended: bool,
    is_shown: bool,
}

impl Progress {
    /// Says `text` of the time that has passed.
    #[must_use]
    pub fn start(text: impl Fn(Duration) -> String + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let watches = io::stderr().is_terminal()
            && anstyle_query::term_supports_ansi_color()
            && !anstyle_query::is_ci();
        let thread = watches.then(|| {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("progress".to_owned())
                .spawn(move || shared.show(&text))
                .ok()
        });
        Self {
            shared,
            thread: thread.flatten(),
        }
    }

    /// Prints something: the line makes way for it.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        let mut state = self.shared.lock();
        state.clear();
        print()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_ended = true;
        state.clear();
        drop(state);
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, text: &dyn Fn(Duration) -> String) {
        let (begun, mut pause, mut state) = (Instant::now(), QUIET, self.lock());
        loop {
            let waited = self
                .ended
                .wait_timeout_while(state, pause, |state| !state.is_ended);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.is_ended {
                return;
            }
            state.is_shown = true;
            say(&format!("{BEGIN}{}{END}", text(begun.elapsed())));
            pause = TICK;
        }
    }
}

impl State {
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            say("\r\x1b[K");
        }
    }
}

/// With the terminal gone there is nobody to tell.
fn say(text: &str) {
    let mut err = io::stderr();
    let _told = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// How much of something has been read.
#[derive(Debug, Clone, Default)]
pub struct Bytes(Arc<AtomicU64>);

impl Bytes {
    /// Counts what is read of it.
    pub fn of<R: Read>(&self, inner: R) -> Counted<R> {
        let bytes = self.clone();
        Counted { inner, bytes }
    }

    /// How far that is of so many; where that is not known, only how far.
    #[must_use]
    pub fn share_of(&self, total: u64, passed: Duration) -> String {
        let read = self.0.load(Ordering::Relaxed);
        let (seconds, megabytes) = (passed.as_secs(), read >> 20);
        match read.saturating_mul(100).checked_div(total) {
            // A file may grow meanwhile.
            Some(percent) => format!(
                "{} % of {} MiB read, {seconds} s",
                percent.min(100),
                total >> 20
            ),
            None => format!("{megabytes} MiB read, {seconds} s"),
        }
    }
}

/// A reader that counts.
#[derive(Debug)]
pub struct Counted<R> {
    inner: R,
    bytes: Bytes,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes
            .0
            .fetch_add(u64::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_words() {
        let problems = "a.b: is not c: d\nnothing to name\n";
        let shown = anstream::adapter::strip_str(&Problems(&problems).to_string()).to_string();
        assert_eq!(shown, problems);
    }

    #[test]
    fn how_far_it_is_never_is_more_than_all() {
        let bytes = Bytes::default();
        let three = Duration::from_secs(3);
        assert_eq!(bytes.share_of(4 << 20, three), "0 % of 4 MiB read, 3 s");
        io::copy(&mut bytes.of(io::repeat(0).take(3 << 20)), &mut io::sink()).unwrap();
        assert_eq!(bytes.share_of(4 << 20, three), "75 % of 4 MiB read, 3 s");
        assert_eq!(bytes.share_of(1 << 20, three), "100 % of 1 MiB read, 3 s");
        assert_eq!(bytes.share_of(0, three), "3 MiB read, 3 s");
    }
}
