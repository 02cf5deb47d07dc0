//! The front's report that it serves.

use super::Supervisor;
use crate::agent::sandbox::InForce;

impl Supervisor {
    /// Takes the report of a front that serves. The restriction is logged at the first start and if it has changed.
    pub(super) fn on_serving(&mut self, in_force: InForce) {
        if self.in_force.replace(in_force) != Some(in_force) {
            tracing::info!("sandbox: {in_force}");
        }
    }
}
