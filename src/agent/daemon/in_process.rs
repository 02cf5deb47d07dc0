//! The processes of jobs within the agent's own process: states for the job table, made of the events of the
//! [`Supervisor`].
//!
//! Holds the output that no controller has consumed. The exit of a leader is not the end of output: its pipes are read
//! as long as bytes arrive, within bounds. Invariant: at most [`limits::LANE`] bytes of an output are held, and what
//! the pipe held at the exit.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::supervisor::{ProcessEvent, Supervisor};
use crate::agent::jobs::{Exit, Force, JobId, Output, Phase, Processes, Start, Started, Status};
use crate::agent::limits;
use crate::message::{Cause, Window};
use crate::time::Instant;

/// Leader that has ended while its outputs are read.
#[derive(Clone, Copy)]
struct Draining {
    exit: Exit,
    since: Instant,
    /// Time of the last output.
    active: Instant,
}

impl Draining {
    fn deadline(self) -> Instant {
        (self.since + limits::DRAIN).min(self.active + limits::DRAIN_IDLE)
    }
}

/// Held bytes of an output.
#[derive(Default)]
struct Held {
    bytes: VecDeque<u8>,
    released: u64,
    eof: bool,
    shut: bool,
}

struct Job {
    status: Status,
    outputs: [Held; 2],
    draining: Option<Draining>,
    /// Force with which the tree is ended after its leader.
    pending_force: Option<Force>,
    /// True if its status is queued.
    queued: bool,
}

impl Job {
    fn is_drained(&self) -> bool {
        self.outputs.iter().all(|held| held.eof || held.shut)
    }

    fn read_limit(&self, output: Output) -> u64 {
        let held = &self.outputs[output as usize];
        if held.eof || held.shut {
            return 0;
        }
        let extra = if self.draining.is_some() {
            limits::LANE_AT_EXIT
        } else {
            0
        };
        let free = (limits::LANE + extra).saturating_sub(held.bytes.len() as u64);
        if free < limits::READ { 0 } else { free }
    }
}

/// Processes of jobs in this process.
pub struct InProcess {
    supervisor: Supervisor,
    max_output: Option<u64>,
    jobs: HashMap<JobId, Job>,
    draining: BTreeSet<JobId>,
    changed: VecDeque<JobId>,
}

impl InProcess {
    /// Returns the processes of a supervisor. `max_output` bounds both outputs of a job together.
    pub fn new(supervisor: Supervisor, max_output: Option<u64>) -> Self {
        Self {
            supervisor,
            max_output,
            jobs: HashMap::new(),
            draining: BTreeSet::new(),
            changed: VecDeque::new(),
        }
    }

    /// Processes an event of the poll, if it concerns a process.
    pub fn on_ready(&mut self, event: &mio::event::Event) {
        self.supervisor.on_ready(event);
    }

    /// Returns true if [`poll`](Self::poll) has more to do.
    pub fn is_busy(&self) -> bool {
        self.supervisor.is_busy() || !self.changed.is_empty()
    }

    /// Returns true if no tree is being ended.
    pub fn is_idle(&self) -> bool {
        self.supervisor.is_idle()
    }

    /// Returns the next changed state.
    pub fn poll(&mut self, now: Instant) -> Option<(JobId, Status)> {
        loop {
            while let Some(id) = self.changed.pop_front() {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.queued = false;
                    return Some((id, job.status));
                }
            }
            let (id, event) = self.supervisor.poll()?;
            self.on_event(now, id, event);
        }
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let drained = |id| Some(self.jobs.get(id)?.draining?.deadline());
        let draining = self.draining.iter().filter_map(drained);
        self.supervisor
            .poll_timeout()
            .into_iter()
            .chain(draining)
            .min()
    }

    /// Processes all deadlines up to `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        self.supervisor.on_timeout(now);
        for id in self.draining.clone() {
            let unread = self.supervisor.unread(id);
            let Some(draining) = self.jobs.get_mut(&id).and_then(|job| job.draining.as_mut())
            else {
                continue;
            };
            if draining.deadline() > now {
                continue;
            }
            // Bytes that have arrived and were not yet read extend the time.
            if unread && draining.since + limits::DRAIN > now {
                draining.active = now;
            } else {
                self.finish(id);
            }
        }
    }

    fn on_event(&mut self, now: Instant, id: JobId, event: ProcessEvent) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        match event {
            ProcessEvent::Output(output, data) => {
                let written: u64 = job.status.outputs.iter().sum();
                let left = self.max_output.map(|most| most.saturating_sub(written));
                let left = left.map_or(usize::MAX, |left| {
                    usize::try_from(left).unwrap_or(usize::MAX)
                });
                // Output beyond the limit is dropped, so that the process does not block in a write.
                job.status.overflowed |= left < data.len();
                let data = &data[..data.len().min(left)];
                let held = &mut job.outputs[output as usize];
                if !held.shut {
                    held.bytes.extend(data);
                    job.status.outputs[output as usize] += data.len() as u64;
                }
                if let Some(draining) = &mut job.draining {
                    draining.active = now;
                }
                self.update_read_limit(id, output);
            }
            ProcessEvent::Eof(output) => {
                job.outputs[output as usize].eof = true;
                self.finish_if_drained(id);
            }
            ProcessEvent::StdinWritten(bytes) => job.status.stdin_written += bytes,
            ProcessEvent::StdinClosed => job.status.stdin_closed = true,
            ProcessEvent::Exited(exit) => {
                job.status.stdin_closed = true;
                job.draining = Some(Draining {
                    exit,
                    since: now,
                    active: now,
                });
                self.draining.insert(id);
                if let Some(force) = job.pending_force {
                    self.supervisor.end(id, force);
                }
                for output in Output::ALL {
                    self.update_read_limit(id, output);
                }
                self.finish_if_drained(id);
            }
            ProcessEvent::Unkillable => {
                let streams_open = !job.is_drained();
                job.status.phase = Phase::Unkillable { streams_open };
            }
        }
        self.note(id);
    }

    fn update_read_limit(&mut self, id: JobId, output: Output) {
        if let Some(job) = self.jobs.get(&id)
            && !matches!(job.status.phase, Phase::Ended { .. } | Phase::Failed { .. })
        {
            let bytes = job.read_limit(output);
            self.supervisor.set_read_limit(id, output, bytes);
        }
    }

    fn finish_if_drained(&mut self, id: JobId) {
        if self
            .jobs
            .get(&id)
            .is_some_and(|job| job.draining.is_some() && job.is_drained())
        {
            self.finish(id);
        }
    }

    /// Ends a job after its leader and its outputs.
    fn finish(&mut self, id: JobId) {
        self.draining.remove(&id);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if let Some(Draining { exit, .. }) = job.draining.take() {
            let streams_open = !job.is_drained();
            job.status.phase = Phase::Ended { exit, streams_open };
            self.supervisor.close(id);
            self.note(id);
        }
    }

    /// Queues the status of a job.
    fn note(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id)
            && !std::mem::replace(&mut job.queued, true)
        {
            self.changed.push_back(id);
        }
    }
}

impl Processes for InProcess {
    fn start(&mut self, id: JobId, start: Start) {
        let terminal = start.spec.terminal.is_some();
        let mut status = Status::STARTING;
        match self.supervisor.spawn(id, start.spec) {
            Ok((pid, home)) => {
                status.phase = Phase::Running;
                status.started = Some(Started { pid, home });
            }
            Err(errno) => {
                let lingering = false;
                status.phase = Phase::Failed { errno, lingering };
            }
        }
        let mut outputs = [Held::default(), Held::default()];
        outputs[1].eof = terminal;
        let job = Job {
            status,
            outputs,
            draining: None,
            pending_force: None,
            queued: false,
        };
        self.jobs.insert(id, job);
        for output in Output::ALL {
            self.update_read_limit(id, output);
        }
        self.note(id);
    }

    fn output(&mut self, id: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes> {
        let Some(job) = self.jobs.get(&id) else {
            return Vec::new();
        };
        let held = &job.outputs[output as usize];
        let index = |offset: u64| {
            let index = usize::try_from(offset.saturating_sub(held.released));
            index.unwrap_or(usize::MAX).min(held.bytes.len())
        };
        let (front, back) = held.bytes.as_slices();
        let (from, to) = (index(from), index(to));
        let middle = front.len();
        let first = &front[from.min(middle)..to.min(middle)];
        let second = &back[from.max(middle) - middle..to.max(middle) - middle];
        let pieces = [first, second].into_iter();
        let pieces = pieces.filter(|piece| !piece.is_empty());
        pieces.map(Bytes::copy_from_slice).collect()
    }

    fn release(&mut self, id: JobId, output: Output, offset: u64) {
        if let Some(job) = self.jobs.get_mut(&id) {
            let held = &mut job.outputs[output as usize];
            let count = usize::try_from(offset.saturating_sub(held.released));
            let count = count.unwrap_or(usize::MAX).min(held.bytes.len());
            held.bytes.drain(..count);
            held.released += count as u64;
            self.update_read_limit(id, output);
        }
    }

    fn shut(&mut self, id: JobId, output: Output) {
        if let Some(job) = self.jobs.get_mut(&id) {
            let held = &mut job.outputs[output as usize];
            held.shut = true;
            held.bytes.clear();
            self.supervisor.shut(id, output);
            self.finish_if_drained(id);
        }
    }

    fn write_stdin(&mut self, id: JobId, data: Bytes, eof: bool) {
        self.supervisor.write_stdin(id, data, eof);
    }

    fn resize(&mut self, id: JobId, window: Window) {
        self.supervisor.resize(id, window);
    }

    fn end(&mut self, id: JobId, _: Cause, force: Force) {
        self.supervisor.end(id, force);
    }

    fn signal(&mut self, id: JobId, signal: i32) -> bool {
        let sent = self.supervisor.signal(id, signal);
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| sent) {
            job.pending_force = Force::of(signal).or(job.pending_force);
        }
        sent
    }

    /// No later agent can take over the processes of this one.
    fn keep_picture(&mut self, _: JobId, _: u64, _: Window, _: Vec<u8>) {}

    fn detach(&mut self, id: JobId) {
        self.jobs.remove(&id);
        self.draining.remove(&id);
        self.supervisor.detach(id);
    }

    fn forget(&mut self, id: JobId) {
        self.jobs.remove(&id);
    }
}
