//! Jobs: commands that outlive the calls that asked for them.
//!
//! Sans-IO. A controller that has lost its session, changed its address or restarted attaches again and receives every
//! byte that it had not consumed. Not here: processes ([`Processes`]), sessions ([`Outbox`]), authorisation
//! ([`Policy`](super::access::Policy)).
//!
//! Invariants: a request is entered in the table before anything is started, and its id is remembered long
//! after the job is forgotten, so that it starts at most once. Ids of different keys are independent. The
//! output of a process is read at most a fixed number of bytes beyond what its controller has consumed.

mod attach;
mod forgotten;
mod job;
mod lifecycle;
mod list;
mod listed_argv;
mod output_buffer;
mod processes;
mod record;
mod refusal;
mod register;
mod replies;
mod requests;
mod restore;
mod revocation;
mod screen;
mod status;
mod stdin;
mod stored;
mod table;

pub use processes::{
    Digest, Errno, Exit, Force, JobId, Output, Phase, Pid, Processes, Program, Restored, Spec,
    Start, Started, Status,
};

pub use refusal::Refusal;
pub use register::Register;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use job::{Due, Job};
use table::Table;

use super::audit::Audit;
use super::limits;
use super::note::Note;
use super::outbox::{CallRef, Outbox};
use super::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::{Cause, OsText, RequestId};
use crate::session::SessionHandle;
use crate::time::Instant;
use crate::wire::{CallId, Lane};

/// Treatment of running commands when the agent ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum OnShutdown {
    /// They are ended.
    End,
    /// They continue; their results are unknown (`--keep-jobs`).
    Detach,
}

/// Configuration of the jobs.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Config {
    /// Upper bound of the running jobs.
    pub max_jobs: usize,
    /// Longest run time of a job.
    pub max_runtime: Option<Duration>,
    /// Upper bound of the output of a job, both outputs together, in bytes. The processes enforce it.
    pub max_output: Option<u64>,
    /// Treatment of running jobs when the agent ends.
    pub on_shutdown: OnShutdown,
    /// On if the processes can be built-in services.
    pub services: Switch,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_jobs: limits::JOBS,
            max_runtime: None,
            max_output: None,
            on_shutdown: OnShutdown::End,
            services: Switch::Off,
        }
    }
}

/// Beginning of the memory of the jobs: the start of the supervisor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Time of the start; older requests are unknown.
    pub began: Instant,
    /// First number of a job that was never used.
    pub next_job: JobId,
}

impl Origin {
    /// Returns the origin of a supervisor that starts now.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            began: now,
            next_job: JobId(0),
        }
    }
}

/// A request of a job, and what names it for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedRequest {
    /// Key of its controller.
    pub key: PublicKey,
    /// Its id.
    pub id: RequestId,
    /// First word of the command.
    pub program: String,
}

/// Relation of a call to a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// The call is attached to the job.
    Attached(JobId),
    /// The call waits for the end of the job.
    Waiting(JobId),
    /// The call was attached to a job that has been forgotten; its data is still in flight.
    Forgotten,
}

/// All jobs, and the calls that refer to them.
pub struct Jobs<P> {
    config: Config,
    began: Instant,
    processes: P,
    table: Table,
    calls: BTreeMap<CallRef, Role>,
    /// Silence after which the session layer reports each session.
    watched: HashMap<SessionHandle, Duration>,
    notes: VecDeque<Note>,
    audit: Box<dyn Audit + Send>,
    closed: bool,
}

impl<P: Processes> Jobs<P> {
    /// Returns a table without jobs.
    pub fn new(config: Config, processes: P, audit: Box<dyn Audit + Send>, origin: Origin) -> Self {
        Self {
            config,
            began: origin.began,
            processes,
            table: Table::new(origin.next_job),
            calls: BTreeMap::new(),
            watched: HashMap::new(),
            notes: VecDeque::new(),
            audit,
            closed: false,
        }
    }

    /// Returns the processes.
    pub const fn processes(&mut self) -> &mut P {
        &mut self.processes
    }

    /// Number of jobs without a result.
    pub const fn unfinished(&self) -> usize {
        self.table.unfinished()
    }

    /// Returns the jobs that end with the agent, with the beginnings of their command lines, the oldest first.
    pub fn ending_with_agent(&self) -> Vec<(JobId, &[OsText])> {
        if self.config.on_shutdown == OnShutdown::Detach {
            return Vec::new();
        }
        let running = self.table.iter().filter(|(_, job)| job.is_running());
        let mut running: Vec<_> = running.map(|(id, job)| (id, &job.argv[..])).collect();
        running.sort_unstable_by_key(|&(id, _)| id);
        running
    }

    /// Returns the next note for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.next_due()
    }

    /// Processes all deadlines up to `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some((job, due)) = self.table.due(now) {
            match due {
                Due::Deadline(cause) => self.end(job, cause),
                Due::Lease => self.end(job, Cause::Lease),
                Due::Stale => self.drop_result(now, job),
            }
        }
    }

    /// Notes that the controller has consumed a lane up to `consumed`, and accepts bytes up to `limit`.
    pub fn on_consumed(
        &mut self,
        now: Instant,
        call: CallRef,
        lane: Lane,
        consumed: u64,
        limit: u64,
    ) {
        let (Some(&Role::Attached(job)), Some(output)) = (self.calls.get(&call), output_of(lane))
        else {
            return;
        };
        let begin = self.table.update(job, |job| {
            job.last_used = now;
            job.attached.map(|attached| attached.begin[output as usize])
        });
        if let Some(Some(begin)) = begin {
            let offset = begin.saturating_add(consumed);
            let window = limit.saturating_sub(consumed);
            let grown = self.table.update(job, |job| {
                job.output(output).consume(offset);
                job.output(output).set_window(window)
            });
            if grown == Some(true) {
                self.processes.set_window(job, output, window);
            }
            self.release(job, output);
        }
    }

    /// Closes an output that the controller does not want any more.
    pub fn on_stopped(&mut self, now: Instant, call: CallRef, lane: Lane) {
        match (self.calls.get(&call), output_of(lane)) {
            (Some(&Role::Attached(job)), Some(output)) => {
                self.table.update(job, |job| job.output(output).shut());
                self.processes.shut(job, output);
            }
            (_, None) => self.on_gone(now, call),
            (Some(Role::Waiting(_) | Role::Forgotten) | None, Some(_)) => {}
        }
    }

    /// Processes the end of the controller's control lane. After the result it acknowledges the whole result;
    /// before, it only means that no request will follow. Returns true if the call is complete.
    pub fn on_fin(&mut self, now: Instant, call: CallRef) -> bool {
        match self.calls.get(&call) {
            Some(&Role::Attached(job)) => {
                self.table.update(job, |job| {
                    let running = job.is_running();
                    if let Some(attached) = &mut job.attached {
                        attached.ended_early = running;
                    }
                });
                self.collect(now, job).is_some()
            }
            Some(Role::Forgotten) => self.calls.remove(&call).is_some(),
            Some(Role::Waiting(_)) | None => false,
        }
    }

    /// Notes that the whole control lane of a call was delivered. Returns true if the call is complete: a
    /// controller that ended its half before `exit` sends nothing that could end the call. The result is kept.
    pub fn on_delivered(&mut self, now: Instant, call: CallRef) -> bool {
        let role = self.calls.get(&call).copied();
        if let Some(Role::Attached(job)) = role {
            self.table.update(job, |job| {
                if let Some(attached) = &mut job.attached {
                    attached.delivered = true;
                }
            });
        }
        let ended_early = match role {
            Some(Role::Attached(job)) => self
                .table
                .get(job)
                .and_then(|job| job.attached)
                .is_some_and(|attached| attached.ended_early),
            Some(Role::Waiting(_) | Role::Forgotten) => false,
            None => return true,
        };
        if ended_early {
            self.on_gone(now, call);
        }
        ended_early
    }

    /// Removes a call that is over. Its job may continue.
    pub fn on_gone(&mut self, now: Instant, call: CallRef) {
        match self.calls.remove(&call) {
            None | Some(Role::Forgotten) => {}
            Some(Role::Waiting(job)) => {
                self.table
                    .update(job, |job| job.waiters.retain(|&waiter| waiter != call));
            }
            Some(Role::Attached(job)) => {
                self.table.update(job, |job| {
                    job.attached = None;
                    job.absent.get_or_insert(now);
                });
                self.release(job, Output::Out);
            }
        }
    }

    /// Notes that a session is silent.
    pub fn on_silent(&mut self, now: Instant, session: SessionHandle) {
        let silence = self.watched.get(&session).copied().unwrap_or_default();
        for job in self.attached_in(session) {
            self.table
                .update(job, |job| job.absent = Some(now - silence));
        }
    }

    /// Notes that a silent session is heard again.
    pub fn on_heard(&mut self, session: SessionHandle) {
        for job in self.attached_in(session) {
            self.table.update(job, |job| job.absent = None);
        }
    }

    /// Removes the calls of a session that is over. `heard` is the time of the last datagram, as far as known.
    /// `satisfied` is true if the controller has closed the session because it needs nothing more.
    pub fn on_session_closed(
        &mut self,
        now: Instant,
        session: SessionHandle,
        heard: Instant,
        satisfied: bool,
    ) {
        self.watched.remove(&session);
        for (call, role) in self.calls_in(session) {
            if let Role::Attached(job) = role
                && satisfied
                && self.table.get(job).is_some_and(|job| {
                    !job.is_running() && job.attached.is_some_and(|attached| attached.delivered)
                })
            {
                self.collect(now, job);
            }
            self.on_gone(heard, call);
        }
    }

    /// Ends all running jobs that are not spared.
    fn end_all_but(&mut self, mut spared: impl FnMut(&Job) -> bool, cause: Cause) {
        let jobs: Vec<JobId> = self
            .table
            .iter()
            .filter(|(_, job)| job.is_running() && !spared(job))
            .map(|(id, _)| id)
            .collect();
        for job in jobs {
            self.end(job, cause);
        }
    }

    /// Accepts no more jobs, and ends or detaches the running ones.
    pub fn shut_down(&mut self, now: Instant, outbox: &mut Outbox) {
        self.closed = true;
        match self.config.on_shutdown {
            OnShutdown::End => self.end_all_but(|_| false, Cause::Shutdown),
            OnShutdown::Detach => self.detach_all(now, outbox),
        }
    }

    /// Kills all running jobs.
    pub fn kill_all(&mut self) {
        let running = self.table.iter().filter(|(_, job)| job.is_running());
        let running: Vec<JobId> = running.map(|(id, _)| id).collect();
        for job in running {
            self.processes.end(job, Cause::Shutdown, Force::Kill);
        }
    }

    /// Returns true if every attached controller has received the result of its job.
    pub fn all_delivered(&self) -> bool {
        self.calls.values().all(|role| match role {
            Role::Waiting(_) | Role::Forgotten => true,
            Role::Attached(job) => self
                .table
                .get(*job)
                .and_then(|job| job.attached)
                .is_none_or(|attached| attached.delivered),
        })
    }

    fn calls_in(&self, session: SessionHandle) -> Vec<(CallRef, Role)> {
        let call = |number| CallRef {
            session,
            call: CallId(number),
        };
        self.calls
            .range(call(0)..=call(u32::MAX))
            .map(|(&call, &role)| (call, role))
            .collect()
    }

    fn attached_in(&self, session: SessionHandle) -> Vec<JobId> {
        let attached = |(_, role)| match role {
            Role::Attached(job) => Some(job),
            Role::Waiting(_) | Role::Forgotten => None,
        };
        let calls = self.calls_in(session);
        calls.into_iter().filter_map(attached).collect()
    }
}

/// Returns the output that a lane carries.
const fn output_of(lane: Lane) -> Option<Output> {
    match lane {
        Lane::Control => None,
        Lane::Data => Some(Output::Out),
        Lane::Stderr => Some(Output::Err),
    }
}

/// Returns the lane that carries an output.
const fn lane_of(output: Output) -> Lane {
    match output {
        Output::Out => Lane::Data,
        Output::Err => Lane::Stderr,
    }
}
