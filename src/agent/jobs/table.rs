//! All jobs of an agent, by number, by owner and request, and by deadline.
//!
//! Invariant: counts and deadlines agree with the jobs, because a job is changed in [`Table::update`] only. The
//! id of a forgotten job is in the register.

use std::collections::{BTreeSet, HashMap};

use super::job::{Due, Job};
use super::processes::JobId;
use super::register::Register;
use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// All jobs.
#[derive(Default, Debug)]
pub struct Table {
    jobs: HashMap<JobId, Job>,
    requests: HashMap<(PublicKey, RequestId), JobId>,
    deadlines: BTreeSet<(Instant, JobId)>,
    /// Ended jobs by their last use.
    ended: BTreeSet<(Instant, JobId)>,
    running: usize,
    held_by_ended: u64,
    next: u64,
    register: Register,
}

/// Contribution of a job to the counts and deadlines.
#[derive(Clone, Copy)]
struct Share {
    running: bool,
    held: u64,
    last_used: Instant,
    due: Option<Instant>,
}

impl Share {
    fn of(job: &Job) -> Self {
        Self {
            running: job.is_running(),
            held: job.held(),
            last_used: job.last_used,
            due: job.due().map(|due| due.0),
        }
    }
}

impl Table {
    /// Enters a job.
    pub fn insert(&mut self, job: Job) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        self.requests.insert((job.owner.key, job.request), id);
        self.count(id, Share::of(&job));
        self.jobs.insert(id, job);
        id
    }

    /// Removes a job and remembers its id. The job must not be running.
    pub fn forget(&mut self, now: Instant, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.discount(id, Share::of(&job));
        self.requests.remove(&(job.owner.key, job.request));
        self.register.enter(now, job.owner.key, job.request);
        Some(job)
    }

    /// Returns the ended job to forget next, if there are too many.
    pub fn surplus(&self) -> Option<JobId> {
        let too_many =
            self.ended.len() > limits::JOBS_ENDED || self.held_by_ended > limits::ENDED_OUTPUT;
        self.ended.first().filter(|_| too_many).map(|first| first.1)
    }

    /// Returns a job.
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Changes a job.
    pub fn update<R>(&mut self, id: JobId, change: impl FnOnce(&mut Job) -> R) -> Option<R> {
        let job = self.jobs.get_mut(&id)?;
        let before = Share::of(job);
        let result = change(job);
        let after = Share::of(job);
        self.discount(id, before);
        self.count(id, after);
        Some(result)
    }

    /// Returns the job of a request.
    pub fn find(&self, key: &PublicKey, request: RequestId) -> Option<JobId> {
        self.requests.get(&(*key, request)).copied()
    }

    /// Returns the ids of forgotten jobs.
    pub const fn register(&self) -> &Register {
        &self.register
    }

    /// Number of running jobs.
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Returns all jobs, in arbitrary order.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.jobs.iter().map(|(&id, job)| (id, job))
    }

    /// Returns a job past its deadline, and the action due.
    pub fn due(&self, now: Instant) -> Option<(JobId, Due)> {
        let &(at, id) = self.deadlines.first()?;
        let (_, due) = self.jobs.get(&id)?.due()?;
        (at <= now).then_some((id, due))
    }

    /// Returns the next deadline.
    pub fn next_due(&self) -> Option<Instant> {
        self.deadlines.first().map(|first| first.0)
    }

    fn count(&mut self, id: JobId, share: Share) {
        if share.running {
            self.running += 1;
        } else {
            self.held_by_ended += share.held;
            self.ended.insert((share.last_used, id));
        }
        if let Some(at) = share.due {
            self.deadlines.insert((at, id));
        }
    }

    fn discount(&mut self, id: JobId, share: Share) {
        if share.running {
            self.running -= 1;
        } else {
            self.held_by_ended -= share.held;
            self.ended.remove(&(share.last_used, id));
        }
        if let Some(at) = share.due {
            self.deadlines.remove(&(at, id));
        }
    }
}
