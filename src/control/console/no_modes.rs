//! Stand-in for `modes.rs` in a library without the feature `cli`. It has no terminal emulation, so the modes that
//! a command leaves set in the user's terminal are not reset.

/// No modes.
#[derive(Default)]
pub struct Modes {}

impl Modes {
    /// Ignores output.
    #[allow(clippy::unused_self, reason = "the interface of modes.rs")]
    pub const fn on_output(&mut self, _: &[u8]) {}

    /// Returns no bytes.
    #[allow(clippy::unused_self, reason = "the interface of modes.rs")]
    pub const fn reset(&self) -> Vec<u8> {
        Vec::new()
    }
}
