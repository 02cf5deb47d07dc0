//! The front's report that it serves, and what it needs then.

use super::{Supervisor, limits};
use crate::agent::sandbox::InForce;
use crate::bot::limits::CONCURRENT;
use crate::net::Clock;
use crate::time::Instant;

/// A front that serves.
#[derive(Debug)]
pub(super) struct Serving {
    since: Instant,
    /// Number of processes of the bot that it needs.
    bot_processes: usize,
}

impl Supervisor {
    /// Takes the report of a front that serves. The restriction is logged at the first start and if it has changed.
    pub(super) fn on_serving(&mut self, in_force: InForce) {
        self.serving = Some(Serving {
            since: Clock.now(),
            bot_processes: 1,
        });
        self.terminal.on_serving();
        let before = self.in_force.replace(in_force).or(self.reported.take());
        if before != Some(in_force) {
            tracing::info!("sandbox: {in_force}");
        }
    }

    /// Notes the number of processes of the bot that the front needs, as far as it is possible.
    pub(super) fn on_bot_processes(&mut self, count: usize) {
        // A front sends `Serving` first, so that no number is lost.
        if let Some(serving) = &mut self.serving {
            serving.bot_processes = count.clamp(1, CONCURRENT);
        }
    }

    /// Returns the number of processes that a bot needs.
    pub(super) fn bot_processes(&self) -> usize {
        let serving = self.serving.as_ref();
        serving.map_or(1, |serving| serving.bot_processes)
    }

    /// Returns the time at which the controllers have come back to the present front; `None` if it does not serve yet.
    pub(super) fn controllers_back(&self) -> Option<Instant> {
        let is_first = self.tally.fronts == 1 && !self.has_taken_over;
        let since = self.serving.as_ref()?.since;
        Some(if is_first {
            since
        } else {
            since + limits::BACK
        })
    }
}
