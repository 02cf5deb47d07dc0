//! The front's report that it serves.

use super::{Supervisor, limits};
use crate::agent::sandbox::InForce;
use crate::net::Clock;
use crate::time::Instant;

impl Supervisor {
    /// Takes the report of a front that serves. The restriction is logged at the first start and if it has changed.
    pub(super) fn on_serving(&mut self, in_force: InForce) {
        self.serving = Some(Clock.now());
        self.terminal.on_serving();
        let before = self.in_force.replace(in_force).or(self.reported.take());
        if before != Some(in_force) {
            tracing::info!("sandbox: {in_force}");
        }
    }

    /// Returns the time at which the controllers have come back to the present front; `None` if it does not serve yet.
    pub(super) fn controllers_back(&self) -> Option<Instant> {
        let is_first = self.tally.fronts == 1 && !self.has_taken_over;
        let serving = self.serving?;
        Some(if is_first {
            serving
        } else {
            serving + limits::BACK
        })
    }
}
