//! Commands that were refused as busy, for the log.
//!
//! Invariant: the first is reported at once and later ones at most once a minute, with their number, so that each is
//! part of one report.

use super::limits::BUSY_INTERVAL;
use crate::agent::access::Controller;
use crate::time::Instant;

/// A report about commands that were refused as busy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusyReport {
    /// Number of commands.
    pub commands: u64,
    /// Controller of the last one.
    pub last: Controller,
}

/// Commands that were refused as busy.
#[derive(Default)]
pub struct BusyCommands {
    /// Time of the last report.
    reported: Option<Instant>,
    waiting: Option<BusyReport>,
}

impl BusyCommands {
    /// Enters a command.
    pub fn push(&mut self, controller: &Controller) {
        let before = self.waiting.take().map_or(0, |report| report.commands);
        self.waiting = Some(BusyReport {
            commands: before.saturating_add(1),
            last: controller.clone(),
        });
    }

    /// Returns the next report if it is due.
    pub fn poll(&mut self, now: Instant) -> Option<BusyReport> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.reported = Some(now);
        self.waiting.take()
    }

    /// Returns the time of the next report.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.as_ref()?;
        Some(self.reported.map_or(Instant::ZERO, |at| at + BUSY_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;
    use crate::peer_addr::PeerAddr;

    #[test]
    fn the_first_busy_command_is_reported_at_once_and_the_others_are_counted_in_a_minute() {
        let controller = Controller {
            key: PublicKey([1; 32]),
            name: None,
            remote: PeerAddr::from_id(1),
        };
        let report = |commands| {
            let last = controller.clone();
            Some(BusyReport { commands, last })
        };
        let mut busy = BusyCommands::default();
        let now = Instant::from_micros(1);
        assert_eq!((busy.poll(now), busy.poll_timeout()), (None, None));
        busy.push(&controller);
        assert_eq!(busy.poll(now), report(1));
        for _ in 0..3 {
            busy.push(&controller);
            assert_eq!(busy.poll(now), None);
        }
        let later = now + BUSY_INTERVAL;
        assert_eq!(busy.poll_timeout(), Some(later));
        assert_eq!(busy.poll(later), report(3));
        assert_eq!((busy.poll(later), busy.poll_timeout()), (None, None));
    }
}
