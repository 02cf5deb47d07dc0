//! Which counters have been received: a sliding window (RFC 6479) of 8192.
//!
//! Invariant: `check` changes nothing; `mark` is called only after the AEAD has opened the datagram.

/// Counters remembered behind the newest.
pub const WINDOW: u64 = 8192;

/// The window.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    _todo: (),
}

impl ReplayWindow {
    /// Nothing received.
    #[must_use]
    pub fn new() -> Self {
        todo!()
    }

    /// Whether `counter` is new: neither seen nor older than the window.
    #[must_use]
    pub fn check(&self, counter: u64) -> bool {
        todo!()
    }

    /// Remembers it.
    pub fn mark(&mut self, counter: u64) {
        todo!()
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}
