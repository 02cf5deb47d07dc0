//! ECN of the sent datagrams: marking, and validation of the counts that the peer reports (RFC 9000 §13.4.2).
//!
//! The first datagrams on a path are marked ECT(0). If the peer reports them all, marking goes on; if it does not, or
//! reports what was not sent, a node on the path alters the field and nothing is marked any more. Not here: the counts
//! of received marks (`acks`), and the reaction to Congestion Experienced (`congestion`). Invariant: all datagrams of a
//! batch have the same mark.

use crate::session::limits;
use crate::wire::EcnCounts;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The path may not carry marks. Holds the number of marked datagrams sent on it, and of those lost.
    Testing {
        sent: u64,
        lost: u64,
    },
    Validated,
    Failed,
}

#[derive(Debug)]
pub(in crate::session) struct EcnValidation {
    state: State,
    /// True if the datagrams of the present batch are marked.
    marking: bool,
    /// Number of marked datagrams sent, on all paths.
    sent: u64,
    /// Counts that the peer reported last.
    reported: EcnCounts,
}

impl EcnValidation {
    pub(in crate::session) fn new() -> Self {
        Self {
            state: State::Testing { sent: 0, lost: 0 },
            marking: false,
            sent: 0,
            reported: EcnCounts::default(),
        }
    }

    /// Begins the validation of another path.
    pub(in crate::session) const fn on_new_path(&mut self) {
        self.state = State::Testing { sent: 0, lost: 0 };
    }

    /// Decides on the next batch. After a probe timeout it is not marked, because the marks may be the reason why
    /// nothing arrives.
    pub(in crate::session) const fn begin_batch(&mut self, timed_out: bool) {
        self.marking = !timed_out
            && match self.state {
                State::Testing { sent, .. } => sent < limits::ECN_TESTED,
                State::Validated => true,
                State::Failed => false,
            };
    }

    /// Returns true if the datagrams of the present batch are marked.
    pub(in crate::session) const fn is_marking(&self) -> bool {
        self.marking
    }

    /// Records a datagram of the present batch as sent; returns true if it is marked.
    pub(in crate::session) const fn on_sent(&mut self) -> bool {
        if self.marking {
            self.sent += 1;
            if let State::Testing { sent, .. } = &mut self.state {
                *sent += 1;
            }
        }
        self.marking
    }

    /// Handles the loss of a marked datagram.
    pub(in crate::session) const fn on_lost(&mut self) {
        if let State::Testing { sent, lost } = &mut self.state {
            *lost += 1;
            if *lost >= *sent && *sent >= limits::ECN_TESTED {
                self.state = State::Failed;
            }
        }
    }

    /// Handles an ACK that acknowledges a larger counter than all before, and newly `marked` datagrams that were
    /// marked. Returns true if it reports a new mark of Congestion Experienced.
    pub(in crate::session) fn on_ack(&mut self, counts: Option<EcnCounts>, marked: u64) -> bool {
        if self.state == State::Failed {
            return false;
        }
        let Some(counts) = counts else {
            if marked > 0 {
                self.state = State::Failed;
            }
            return false;
        };
        let Some(new) = counts.checked_sub(&self.reported) else {
            self.state = State::Failed;
            return false;
        };
        let (reported, total) = (
            new.ect0.saturating_add(new.ce),
            counts.ect0.saturating_add(counts.ce),
        );
        if reported < marked || total > self.sent || counts.ect1 > 0 {
            self.state = State::Failed;
            return false;
        }
        self.reported = counts;
        if marked > 0 {
            self.state = State::Validated;
        }
        new.ce > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as an ACK has them")]
    fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    fn send(ecn: &mut EcnValidation, count: u64) {
        ecn.begin_batch(false);
        for _ in 0..count {
            ecn.on_sent();
        }
    }

    /// Returns true if the next batch is marked.
    fn marks(ecn: &mut EcnValidation) -> bool {
        ecn.begin_batch(false);
        ecn.is_marking()
    }

    #[test]
    fn a_path_whose_marks_arrive_is_marked_on() {
        let mut ecn = EcnValidation::new();
        send(&mut ecn, limits::ECN_TESTED);
        assert!(!marks(&mut ecn), "the first ones are enough for a test");
        assert!(!ecn.on_ack(counts(4, 0, 0), 4));
        assert!(marks(&mut ecn));
        send(&mut ecn, 100);
        assert!(
            ecn.on_ack(counts(5, 0, 2), 3),
            "two were marked by the path"
        );
        assert!(!ecn.on_ack(counts(15, 0, 2), 10), "no new one");
        assert!(marks(&mut ecn));
        ecn.begin_batch(true);
        assert!(!ecn.is_marking(), "not after a probe timeout");
    }

    #[test]
    fn a_path_that_clears_or_invents_marks_is_not_marked_any_more() {
        for (reported, marked) in [
            (None, 1),
            (counts(0, 0, 0), 1),
            (counts(3, 0, 0), 4),
            (counts(4, 1, 0), 4),
            (counts(8, 0, 3), 4),
            (counts(u64::MAX, 0, u64::MAX), 4),
        ] {
            let mut ecn = EcnValidation::new();
            send(&mut ecn, 10);
            assert!(!ecn.on_ack(reported, marked), "{reported:?}");
            assert!(!marks(&mut ecn), "{reported:?}");
            assert!(!ecn.on_ack(counts(0, 0, 5), 5), "{reported:?}");
            ecn.on_new_path();
            assert!(marks(&mut ecn), "another path is tested anew");
        }
    }

    #[test]
    fn counts_that_fall_end_the_marking() {
        let mut ecn = EcnValidation::new();
        send(&mut ecn, 10);
        assert!(ecn.on_ack(counts(5, 0, 1), 6));
        assert!(!ecn.on_ack(counts(8, 0, 0), 2));
        assert!(!marks(&mut ecn));
    }

    #[test]
    fn an_ack_of_datagrams_without_marks_needs_no_counts() {
        let mut ecn = EcnValidation::new();
        send(&mut ecn, 1);
        assert!(!ecn.on_ack(None, 0));
        assert!(marks(&mut ecn));
    }

    #[test]
    fn a_path_on_which_all_marked_datagrams_are_lost_is_not_marked_any_more() {
        let mut ecn = EcnValidation::new();
        send(&mut ecn, 1);
        ecn.on_lost();
        assert!(marks(&mut ecn), "one loss says nothing");
        send(&mut ecn, 9);
        for _ in 0..8 {
            ecn.on_lost();
        }
        ecn.on_new_path();
        send(&mut ecn, 20);
        for _ in 0..20 {
            ecn.on_lost();
        }
        assert!(!marks(&mut ecn));
    }
}
