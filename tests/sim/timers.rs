//! The timers of the hosts, one each, in the order in which they are due.
//!
//! Not a clock: the simulation passes time. Invariant: of timers that are due at one instant, the host that was added
//! first comes first. Each change takes logarithmic time, so that ten thousand hosts cost little more each than ten.

use std::collections::BTreeSet;

use udpagent::time::Instant;

use crate::network::HostId;

/// The timers of the hosts.
#[derive(Default)]
pub struct Timers {
    of: Vec<Option<Instant>>,
    order: BTreeSet<(Instant, HostId)>,
}

impl Timers {
    /// Sets the timer of a host, in place of the one before.
    pub fn set(&mut self, host: HostId, at: Option<Instant>) {
        if self.of.len() <= host.0 {
            self.of.resize(host.0 + 1, None);
        }
        let before = std::mem::replace(&mut self.of[host.0], at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, host));
        }
        if let Some(at) = at {
            self.order.insert((at, host));
        }
    }

    /// Returns the timer that is due next, and its host.
    pub fn next(&self) -> Option<(Instant, HostId)> {
        self.order.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_timer_is_the_earliest_of_the_first_host() {
        let mut timers = Timers::default();
        let at = |micros| Some(Instant::from_micros(micros));
        assert_eq!(timers.next(), None);
        for (host, micros) in [(2, 5), (0, 7), (1, 5), (3, 9)] {
            timers.set(HostId(host), at(micros));
        }
        let due = [(5, 1), (5, 2), (7, 0), (9, 3)];
        for (micros, host) in due {
            let next = timers.next();
            assert_eq!(next, at(micros).map(|at| (at, HostId(host))));
            timers.set(HostId(host), None);
        }
        timers.set(HostId(1), at(4));
        timers.set(HostId(1), at(6));
        assert_eq!(timers.next(), at(6).map(|at| (at, HostId(1))));
        timers.set(HostId(1), None);
        assert_eq!(timers.next(), None);
    }
}
