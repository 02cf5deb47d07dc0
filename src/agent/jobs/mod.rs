//! Jobs: commands that outlive the calls that asked for them.
//!
//! Sans-IO. A controller that has lost its session, changed its address or restarted attaches again and receives every
//! byte that it had not consumed. Not here: processes ([`Processes`]), sessions ([`Outbox`]), authorisation
//! ([`Policy`](super::access::Policy)).
//!
//! Invariants: a request is entered in the table before anything is started, and its id is remembered long
//! after the job is forgotten, so that it starts at most once. Ids of different keys are independent. The
//! output of a process is read at most a fixed number of bytes beyond what its controller has consumed.

mod job;
mod lifecycle;
mod output_buffer;
mod processes;
mod record;
mod refusal;
mod register;
mod requests;
mod revocation;
mod screen;
mod stdin;
mod table;

pub use processes::{Errno, Exit, Force, JobId, Output, Pid, Processes, Spec};

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use job::{Attachment, Due, Job};
use table::Table;

use super::audit::Audit;
use super::limits;
use super::note::Note;
use super::outbox::{CallRef, Outbox};
use crate::message::{Cause, OnDisconnect};
use crate::session::{Command, SessionHandle};
use crate::time::Instant;
use crate::wire::{CallId, Lane};

/// Treatment of running commands when the agent ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnShutdown {
    /// They are ended.
    End,
    /// They continue; their results are unknown (`--keep-jobs`).
    Detach,
}

/// Configuration of the jobs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Upper bound of the running jobs.
    pub max_jobs: usize,
    /// Longest run time of a job.
    pub max_runtime: Option<Duration>,
    /// Upper bound of the output of a job, both outputs together, in bytes.
    pub max_output: Option<u64>,
    /// Treatment of running jobs when the agent ends.
    pub on_shutdown: OnShutdown,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_jobs: limits::JOBS,
            max_runtime: None,
            max_output: None,
            on_shutdown: OnShutdown::End,
        }
    }
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
    /// Returns a table without jobs. `now` is the start of the agent; older requests are unknown to it.
    pub fn new(config: Config, processes: P, audit: Box<dyn Audit + Send>, now: Instant) -> Self {
        Self {
            config,
            began: now,
            processes,
            table: Table::default(),
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

    /// Number of running jobs.
    pub const fn running(&self) -> usize {
        self.table.running()
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
    pub fn on_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some((job, due)) = self.table.due(now) {
            match due {
                Due::Deadline(cause) => self.end(job, cause),
                Due::Lease => self.end(job, Cause::Lease),
                Due::Drained => self.on_drained(now, job, outbox),
                Due::Stale => self.drop_result(now, job),
            }
        }
    }

    /// Notes that the controller has consumed a lane up to `consumed`.
    pub fn on_consumed(&mut self, now: Instant, call: CallRef, lane: Lane, consumed: u64) {
        let (Some(&Role::Attached(job)), Some(output)) = (self.calls.get(&call), output_of(lane))
        else {
            return;
        };
        self.table.update(job, |job| {
            let Some(attached) = job.attached else { return };
            let begin = attached.begin[output as usize];
            job.output(output).release(begin.saturating_add(consumed));
            job.last_used = now;
        });
        self.update_read_limit(job, output);
    }

    /// Closes an output that the controller does not want any more.
    pub fn on_stopped(&mut self, now: Instant, call: CallRef, lane: Lane, outbox: &mut Outbox) {
        match (self.calls.get(&call), output_of(lane)) {
            (Some(&Role::Attached(job)), Some(output)) => {
                self.table.update(job, |job| job.output(output).shut());
                self.processes.shut(job, output);
                self.finish_if_drained(now, job, outbox);
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
                self.forget(now, job).is_some()
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
                    job.trim_scrollback();
                });
                self.update_read_limit(job, Output::Out);
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
                self.forget(now, job);
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
            self.processes.end(job, Force::Kill);
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

    /// Attaches a call to a job and sends it the held output. Its output lanes start at `begin`, its data lane
    /// at offset `stdin` of stdin.
    fn attach(
        &mut self,
        call: CallRef,
        id: JobId,
        begin: [Option<u64>; 2],
        stdin: Option<u64>,
        outbox: &mut Outbox,
    ) {
        let Some(before) = self.table.get(id).map(|job| job.attached) else {
            return;
        };
        if let Some(before) = before
            && self.calls.remove(&before.call).is_some()
        {
            outbox.release(before.call);
        }
        self.calls.insert(call, Role::Attached(id));
        let mut screen = None;
        self.table.update(id, |job| {
            let wanted = begin[Output::Out as usize];
            let begin = Output::ALL.map(|output| {
                let held = &job.outputs[output as usize];
                begin[output as usize].map_or(held.start(), |at| at.clamp(held.start(), held.end()))
            });
            let begin = match &job.screen {
                // The snapshot of the screen replaces the output before it.
                Some(emulation) if wanted != Some(begin[0]) && job.outputs[0].end() > 0 => {
                    screen = Some(emulation.painted());
                    [job.outputs[0].end(), begin[1]]
                }
                Some(_) | None => begin,
            };
            job.attached = Some(Attachment {
                call,
                begin,
                delivered: false,
                ended_early: false,
            });
            job.absent = None;
            job.stdin.attach(stdin.unwrap_or(job.stdin.taken()));
        });
        let job = self.table.get(id).expect("the job was updated above");
        let begin = job
            .attached
            .expect("the update above has attached it")
            .begin;
        requests::send_accepted(call, job, begin, screen, outbox);
        if job.on_disconnect == OnDisconnect::Kill && job.is_running() {
            let lease = job.lease;
            self.watch(call.session, lease, outbox);
        }
    }

    /// Asks the session layer to report a silence of `lease`, unless a shorter one is watched for.
    fn watch(&mut self, session: SessionHandle, lease: Duration, outbox: &mut Outbox) {
        let watched = self.watched.entry(session).or_insert(Duration::MAX);
        if lease < *watched {
            *watched = lease;
            // The session's own keepalive is too slow to distinguish silence from idleness.
            let ping = (lease < limits::LEASE).then_some(lease / 3);
            outbox.push(Command::Watch {
                session,
                silence: lease,
                ping,
            });
        }
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
