//! All jobs of an agent, by number, by owner and request, and by what the clock asks of them next.
//!
//! Invariant: counts and deadlines are those of the jobs in it, because a job is changed in
//! [`Table::update`] only; a job that is forgotten leaves its id in the register.

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
    /// Those that are over, by when that was.
    ended: BTreeSet<(Instant, JobId)>,
    running: usize,
    held_by_ended: u64,
    next: u64,
    register: Register,
}

/// What the table counts of a job.
#[derive(Clone, Copy)]
struct Share {
    running: bool,
    held: u64,
    fresh: Instant,
    due: Option<Instant>,
}

impl Share {
    fn of(job: &Job) -> Self {
        Self {
            running: job.is_running(),
            held: job.held(),
            fresh: job.fresh,
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

    /// Forgets a job but for its id. Running ones must not be.
    pub fn forget(&mut self, now: Instant, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.discount(id, Share::of(&job));
        self.requests.remove(&(job.owner.key, job.request));
        self.register.enter(now, job.owner.key, job.request);
        Some(job)
    }

    /// The job that is the next to be forgotten, if there are too many that are over.
    pub fn surplus(&self) -> Option<JobId> {
        let too_many = self.ended.len() > limits::JOBS_ENDED || self.held_by_ended > limits::HELD;
        self.ended.first().filter(|_| too_many).map(|first| first.1)
    }

    /// Looks at a job.
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

    /// The job of a request.
    pub fn find(&self, key: &PublicKey, request: RequestId) -> Option<JobId> {
        self.requests.get(&(*key, request)).copied()
    }

    /// The ids that were forgotten.
    pub const fn register(&self) -> &Register {
        &self.register
    }

    /// How many run.
    pub const fn running(&self) -> usize {
        self.running
    }

    /// All jobs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.jobs.iter().map(|(&id, job)| (id, job))
    }

    /// A job whose time has come.
    pub fn due(&self, now: Instant) -> Option<(JobId, Due)> {
        let &(at, id) = self.deadlines.first()?;
        let (_, due) = self.jobs.get(&id)?.due()?;
        (at <= now).then_some((id, due))
    }

    /// When the next job's time comes.
    pub fn next_due(&self) -> Option<Instant> {
        self.deadlines.first().map(|first| first.0)
    }

    fn count(&mut self, id: JobId, share: Share) {
        if share.running {
            self.running += 1;
        } else {
            self.held_by_ended += share.held;
            self.ended.insert((share.fresh, id));
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
            self.ended.remove(&(share.fresh, id));
        }
        if let Some(at) = share.due {
            self.deadlines.remove(&(at, id));
        }
    }
}
