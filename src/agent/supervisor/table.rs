//! All jobs of the supervisor, by number, by owner and request, and by slot; and the ids of the forgotten ones.
//!
//! Invariants: a slot has at most one job; a request of a key has at most one job, and once it had one, the register
//! knows it as long as the register reaches back.

use std::collections::{HashMap, HashSet};

use super::job::Job;
use crate::agent::ipc::Remembered;
use crate::agent::jobs::{JobId, Phase, Register};
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// All jobs.
#[derive(Default)]
pub struct Table {
    jobs: HashMap<JobId, Job>,
    requests: HashMap<(PublicKey, RequestId), JobId>,
    slots: HashSet<u32>,
    register: Register,
    /// Highest number of a job so far.
    last: Option<JobId>,
}

impl Table {
    /// Enters a job. Its number, slot and request are free.
    pub fn insert(&mut self, id: JobId, job: Job) {
        self.last = self.last.max(Some(id));
        if !job.forgotten {
            self.slots.insert(job.slot);
            self.requests.insert((job.owner.key, job.request), id);
        }
        self.jobs.insert(id, job);
    }

    /// Takes the ids of forgotten jobs, those of a key oldest first, the horizons of their register, and the highest
    /// number of a job.
    pub fn restore(
        &mut self,
        entries: &[Remembered],
        horizons: &[(PublicKey, Instant)],
        last: Option<JobId>,
    ) {
        for entry in entries {
            self.register
                .enter(entry.entered, entry.key, entry.request, entry.digest);
        }
        for &(key, horizon) in horizons {
            self.register.set_horizon(key, horizon);
        }
        self.last = last;
    }

    /// Returns the highest number of a job so far.
    pub const fn last(&self) -> Option<JobId> {
        self.last
    }

    /// Returns the number of the next job.
    pub fn next(&self) -> JobId {
        JobId(self.last.map_or(0, |last| last.0 + 1))
    }

    /// Returns the numbers of all jobs.
    pub fn ids(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// Returns true if the number is new and the slot is free.
    pub fn is_free(&self, id: JobId, slot: u32) -> bool {
        self.last.is_none_or(|last| id > last) && !self.slots.contains(&slot)
    }

    /// Returns the number of the job of a request.
    pub fn find(&self, key: &PublicKey, request: RequestId) -> Option<JobId> {
        self.requests.get(&(*key, request)).copied()
    }

    /// Gives the slot and the request id of a job back, because the front has forgotten it, and remembers the id. The
    /// job stays until [`remove`](Self::remove).
    pub fn forget(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut job.forgotten, true) {
            self.slots.remove(&job.slot);
            self.requests.remove(&(job.owner.key, job.request));
            // Nothing was started for a refused request: it may be sent again.
            if matches!(job.status.phase, Phase::Refused(_)) {
                return;
            }
            self.register
                .enter(now, job.owner.key, job.request, job.digest);
        }
    }

    /// Removes a job that was refused: its request may be sent again.
    pub fn remove_refused(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.slots.remove(&job.slot);
        self.requests.remove(&(job.owner.key, job.request));
        Some(job)
    }

    /// Removes a forgotten job.
    pub fn remove(&mut self, id: JobId) -> Option<Job> {
        self.jobs.remove(&id)
    }

    /// Returns a job.
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Returns a job.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.get_mut(&id)
    }

    /// Returns all jobs, in arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.jobs.iter().map(|(&id, job)| (id, job))
    }

    /// Returns the ids of forgotten jobs.
    pub const fn register(&self) -> &Register {
        &self.register
    }

    /// Number of running jobs of a key, and of all keys.
    pub fn running(&self, key: &PublicKey) -> (usize, usize) {
        let running = self.jobs.values().filter(|job| job.counts());
        running.fold((0, 0), |(own, all), job| {
            (own + usize::from(job.owner.key == *key), all + 1)
        })
    }
}
