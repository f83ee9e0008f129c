//! What a defect may say: where it is, and nothing else. A panic's message may hold personal data, so
//! the standard hook, which prints it, is replaced for every command.

use std::{io::Write as _, panic};

use super::metrics;

/// Replaces the panic hook of the process.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        metrics::panicked();
        let (file, line) = info
            .location()
            .map_or(("?", 0), |at| (at.file(), at.line()));
        // A dependency's path begins with where this was built, which is nobody's business.
        let file = file
            .rsplit_once("/registry/src/")
            .map_or(file, |(_, file)| file);
        let location = format!("{file}:{line}");
        if tracing::dispatcher::has_been_set() {
            tracing::error!(location, "panic");
        } else {
            let _told = writeln!(std::io::stderr(), "panic at {location}");
        }
    }));
}
