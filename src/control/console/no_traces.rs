//! Stand-in for `traces.rs` in a library without the feature `cli`: no terminal emulation, so that the modes which
//! a command leaves set in the user's terminal are not undone.

/// No modes.
#[derive(Default)]
pub struct Traces;

impl Traces {
    /// Ignores output.
    #[allow(clippy::unused_self, reason = "the interface of traces.rs")]
    pub const fn on_output(&mut self, _: &[u8]) {}

    /// Returns no bytes.
    #[allow(clippy::unused_self, reason = "the interface of traces.rs")]
    pub const fn undo(&self) -> Vec<u8> {
        Vec::new()
    }
}
