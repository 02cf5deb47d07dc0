//! Jobs whose changed state the front is to be told, in the order of the changes.
//!
//! Not the states: the front is told the state at the time of the report. A start alone is reported with a delay, so
//! that a short command needs one report, and its controller one datagram. Invariant: a job is in it at most once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

use super::limits;
use crate::agent::jobs::JobId;
use crate::time::Instant;

/// Jobs with changed states.
#[derive(Default, Debug)]
pub struct Changes {
    queue: VecDeque<JobId>,
    /// Time of the report of each job; `None` if it is in the queue.
    reported_at: HashMap<JobId, Option<Instant>>,
    delayed: BTreeSet<(Instant, JobId)>,
}

impl Changes {
    /// Enters a change that is reported in this turn.
    pub fn add(&mut self, id: JobId) {
        match self.reported_at.insert(id, None) {
            Some(None) => return,
            Some(Some(at)) => {
                self.delayed.remove(&(at, id));
            }
            None => {}
        }
        self.queue.push_back(id);
    }

    /// Enters a start, which is reported with the next change of the job or after [`limits::START_REPORT`].
    pub fn add_start(&mut self, now: Instant, id: JobId) {
        if let Entry::Vacant(place) = self.reported_at.entry(id) {
            let at = now + limits::START_REPORT;
            place.insert(Some(at));
            self.delayed.insert((at, id));
        }
    }

    /// Removes and returns the next job that is to be reported.
    pub fn pop(&mut self) -> Option<JobId> {
        let id = self.queue.pop_front()?;
        self.reported_at.remove(&id);
        Some(id)
    }

    /// True if nothing is to be reported now.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.delayed.first().map(|first| first.0)
    }

    /// Queues the starts that have waited long enough.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.delayed.first()
            && at <= now
        {
            self.add(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    #[test]
    fn a_change_takes_the_start_with_it() {
        let mut changes = Changes::default();
        changes.add_start(NOW, JobId(1));
        assert_eq!(changes.pop(), None);
        changes.add(JobId(1));
        changes.add(JobId(1));
        assert_eq!(changes.poll_timeout(), None);
        assert_eq!(changes.pop(), Some(JobId(1)));
        assert_eq!(changes.pop(), None);
    }

    #[test]
    fn a_start_alone_is_reported_after_its_delay() {
        let mut changes = Changes::default();
        changes.add_start(NOW, JobId(1));
        changes.add(JobId(2));
        changes.add_start(NOW, JobId(2));
        let at = changes.poll_timeout().unwrap();
        assert_eq!(at, NOW + limits::START_REPORT);
        changes.on_timeout(NOW);
        assert_eq!(changes.pop(), Some(JobId(2)));
        assert_eq!(changes.pop(), None);
        changes.on_timeout(at);
        assert_eq!(changes.pop(), Some(JobId(1)));
        assert_eq!(changes.poll_timeout(), None);
    }
}
