//! Where lines go. A new sink implements [`Sink`]; the writer above it makes the lines and keeps the
//! chain, and is told of every line that did not arrive.

use std::io::{self, Write as _};

use super::chain::Place;

/// Where lines go. Only the writer calls it, one call at a time, off the async threads: it may block.
pub trait Sink: Send {
    /// Makes sure that lines can be written, also after a failure.
    ///
    /// # Errors
    ///
    /// If they cannot.
    fn ready(&mut self) -> io::Result<()>;

    /// What the next line must carry because of where it will stand.
    fn place(&self) -> Place;

    /// Whether so many bytes still fit before [`rotate`](Self::rotate). After it, any one line does.
    fn has_room(&self, bytes: usize) -> bool;

    /// Makes room.
    ///
    /// # Errors
    ///
    /// If that is not possible; nothing can be written then before it is ready again.
    fn rotate(&mut self) -> io::Result<()>;

    /// Writes whole lines, all or none.
    ///
    /// # Errors
    ///
    /// If they did not arrive as surely as the sink promises.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Makes sure that what was written stays, where that is not done by every write.
    ///
    /// # Errors
    ///
    /// If that is not sure.
    fn settle(&mut self) -> io::Result<()>;
}

/// Standard output: one stream that begins with the process.
#[derive(Debug, Default)]
pub struct Stdout {
    begun: bool,
}

impl Sink for Stdout {
    fn ready(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn place(&self) -> Place {
        Place {
            file: (!self.begun).then_some(1),
            ..Place::default()
        }
    }

    fn has_room(&self, _: usize) -> bool {
        true
    }

    fn rotate(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        // One call under the lock: log lines stand between these lines, never within one.
        let mut out = io::stdout().lock();
        out.write_all(lines)?;
        out.flush()?;
        self.begun = true;
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}
