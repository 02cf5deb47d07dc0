//! Trees in termination.

use std::collections::BTreeMap;

use super::child::Child;
use crate::agent::jobs::JobId;
use crate::process::{Ending, ProcessSnapshot, Progress};
use crate::time::Instant;

/// Trees in termination.
#[derive(Default)]
pub struct Endings {
    snapshot: ProcessSnapshot,
    endings: BTreeMap<JobId, Ending>,
}

impl Endings {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.endings.is_empty()
    }

    pub fn start(&mut self, now: Instant, id: JobId, child: &Child) {
        let ending = Ending::start(now, child.process().tree().clone(), &mut self.snapshot);
        self.endings.insert(id, ending);
    }

    pub fn kill_now(&mut self, now: Instant, id: JobId) {
        if let Some(ending) = self.endings.get_mut(&id) {
            ending.kill_now(now, &mut self.snapshot);
        }
    }

    pub fn on_timeout(&mut self, now: Instant) -> Option<(JobId, Progress)> {
        let due =
            |(_, ending): &(&JobId, &mut Ending)| ending.poll_timeout().is_none_or(|at| at <= now);
        while let Some((&id, ending)) = self.endings.iter_mut().find(due) {
            let progress = ending.on_timeout(now, &mut self.snapshot);
            if progress != Progress::Pending {
                self.endings.remove(&id);
                return Some((id, progress));
            }
        }
        None
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = |ending: &Ending| ending.poll_timeout().unwrap_or(Instant::ZERO);
        self.endings.values().map(next).min()
    }
}
