//! Which processes there are: `/proc`, read in one go.
//!
//! Not who belongs to whom (`tree`). Invariant: one reading serves every question asked at one instant,
//! so that ending a thousand jobs at once reads `/proc` once, not a thousand times.

use crate::time::Instant;

/// A reading of `/proc`, renewed when it is older than the instant it is asked at. Keep one per thread.
#[derive(Debug, Default)]
pub struct Census {
    taken: Option<Instant>,
}

impl Census {
    /// No reading yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
