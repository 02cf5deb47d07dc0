//! A rate limit, as a value.

use std::time::Duration;

/// One in each `interval`, and `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Time for one.
    pub interval: Duration,
    /// Number at once after a pause.
    pub burst: u32,
}
