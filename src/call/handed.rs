//! An answer on its last way: from the handler to its caller.

use std::fmt;

/// An answer that was handed over. Dropped before it has [`arrived`](Self::arrived), it waits for its caller.
pub struct Handed {
    bytes: usize,
    again: Option<Box<dyn FnOnce() + Send>>,
}

impl Handed {
    /// An answer that holds so many bytes, and what is to be done if it does not arrive.
    pub fn new(bytes: usize, again: impl FnOnce() + Send + 'static) -> Self {
        Self {
            bytes,
            again: Some(Box::new(again)),
        }
    }

    /// How many bytes are held for it.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The caller has it, as far as anybody can know.
    pub fn arrived(mut self) {
        self.again = None;
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(again) = self.again.take() {
            again();
        }
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handed({})", self.bytes)
    }
}
