//! All jobs of an agent, by number, by owner and request, and by deadline.
//!
//! Invariant: counts and deadlines agree with the jobs, because a job is changed in [`Table::update`] only. The
//! id of a forgotten job is in the register.

use std::collections::{BTreeSet, HashMap};

use super::job::{Due, Job};
use super::processes::{Digest, JobId};
use super::register::Register;
use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::message::RequestId;
use crate::time::Instant;

/// All jobs.
#[derive(Debug)]
pub struct Table {
    jobs: HashMap<JobId, Job>,
    requests: HashMap<(PublicKey, RequestId), JobId>,
    deadlines: BTreeSet<(Instant, JobId)>,
    keys: HashMap<PublicKey, Totals>,
    all: Counts,
    next: JobId,
    register: Register,
}

/// Contribution of a job to the counts and deadlines.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Share {
    key: PublicKey,
    unfinished: bool,
    running: bool,
    held: u64,
    cells: u64,
    last_used: Instant,
    due: Option<Instant>,
}

impl Share {
    fn of(job: &Job) -> Self {
        Self {
            key: job.owner.key,
            unfinished: job.is_running(),
            running: job.has_process(),
            held: job.held(),
            cells: job.cells(),
            last_used: job.last_used,
            due: job.due().map(|due| due.0),
        }
    }
}

/// Counts of several jobs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counts {
    unfinished: usize,
    running: usize,
    ended: usize,
    held_by_ended: u64,
    cells: u64,
}

impl Counts {
    const fn add(&mut self, share: Share) {
        self.unfinished += share.unfinished as usize;
        if share.running {
            self.running += 1;
        } else {
            self.ended += 1;
            self.held_by_ended += share.held;
        }
        self.cells += share.cells;
    }

    const fn subtract(&mut self, share: Share) {
        self.unfinished -= share.unfinished as usize;
        if share.running {
            self.running -= 1;
        } else {
            self.ended -= 1;
            self.held_by_ended -= share.held;
        }
        self.cells -= share.cells;
    }
}

/// Jobs of one key.
#[derive(Default, Debug)]
struct Totals {
    counts: Counts,
    /// Ended jobs by their last use.
    ended: BTreeSet<(Instant, JobId)>,
}

impl Table {
    /// Returns a table without jobs; `next` is the first number that was never used.
    pub fn new(next: JobId) -> Self {
        Self {
            jobs: HashMap::new(),
            requests: HashMap::new(),
            deadlines: BTreeSet::new(),
            keys: HashMap::new(),
            all: Counts::default(),
            next,
            register: Register::default(),
        }
    }

    /// Enters a job under a new number.
    pub fn insert(&mut self, job: Job) -> JobId {
        let id = self.next;
        self.enter(id, job);
        id
    }

    /// Enters a job under a number of an earlier agent.
    pub fn enter(&mut self, id: JobId, job: Job) {
        self.next = self.next.max(JobId(id.0.saturating_add(1)));
        self.requests.insert((job.owner.key, job.request), id);
        self.count(id, Share::of(&job));
        self.jobs.insert(id, job);
    }

    /// Removes a job of which nothing was started.
    pub fn remove(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.discount(id, Share::of(&job));
        self.requests.remove(&(job.owner.key, job.request));
        Some(job)
    }

    /// Removes a job and remembers its id. The job must not be running.
    pub fn forget(&mut self, now: Instant, id: JobId) -> Option<Job> {
        let job = self.remove(id)?;
        let digest = job.short_digest();
        self.remember(now, job.owner.key, job.request, digest);
        Some(job)
    }

    /// Remembers the id of a forgotten job.
    pub fn remember(&mut self, at: Instant, key: PublicKey, request: RequestId, digest: Digest) {
        self.register.enter(at, key, request, digest);
    }

    /// Notes that ids of a key that were entered at `horizon` or before are not remembered.
    pub fn set_horizon(&mut self, key: PublicKey, horizon: Instant) {
        self.register.set_horizon(key, horizon);
    }

    /// Returns the ended job to forget next, if its key or all together have too many: the oldest of the key, or of
    /// the key with the most.
    pub fn surplus(&self, key: &PublicKey) -> Option<JobId> {
        let own = self.keys.get(key)?;
        if own.counts.ended > limits::JOBS_ENDED_PER_KEY
            || own.counts.held_by_ended > limits::ENDED_OUTPUT_PER_KEY
        {
            return own.ended.first().map(|first| first.1);
        }
        let keys = self.keys.values();
        let greatest = if self.all.held_by_ended > limits::ENDED_OUTPUT {
            keys.max_by_key(|totals| totals.counts.held_by_ended)
        } else if self.all.ended > limits::JOBS_ENDED {
            keys.max_by_key(|totals| totals.counts.ended)
        } else {
            None
        };
        greatest?.ended.first().map(|first| first.1)
    }

    /// Returns true if the terminals of a key, and all together, leave room for so many cells.
    pub fn has_cells(&self, key: &PublicKey, cells: u64) -> bool {
        let own = self.keys.get(key).map_or(0, |totals| totals.counts.cells);
        own + cells <= limits::SCREEN_CELLS_PER_KEY
            && self.all.cells + cells <= limits::SCREEN_CELLS
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
        if before != after {
            self.discount(id, before);
            self.count(id, after);
        }
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

    /// Number of jobs without a result.
    pub const fn unfinished(&self) -> usize {
        self.all.unfinished
    }

    /// Number of jobs with a process.
    pub const fn running(&self) -> usize {
        self.all.running
    }

    /// Number of jobs of a key with a process.
    pub fn running_of(&self, key: &PublicKey) -> usize {
        self.keys.get(key).map_or(0, |totals| totals.counts.running)
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
        self.all.add(share);
        let totals = self.keys.entry(share.key).or_default();
        totals.counts.add(share);
        if !share.running {
            totals.ended.insert((share.last_used, id));
        }
        if let Some(at) = share.due {
            self.deadlines.insert((at, id));
        }
    }

    fn discount(&mut self, id: JobId, share: Share) {
        self.all.subtract(share);
        if let Some(totals) = self.keys.get_mut(&share.key) {
            totals.counts.subtract(share);
            totals.ended.remove(&(share.last_used, id));
            if totals.counts == Counts::default() {
                self.keys.remove(&share.key);
            }
        }
        if let Some(at) = share.due {
            self.deadlines.remove(&(at, id));
        }
    }
}
