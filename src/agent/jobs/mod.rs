//! The room of commands: each is a job that outlives the call that asked for it.
//!
//! Sans-IO. A controller that lost its link, moved, or died attaches again and receives every byte that it had
//! not written out. Not processes ([`Processes`]), not sessions ([`Outbox`]), not who may
//! ([`Policy`](super::access::policy_source::Policy)).
//!
//! Invariants: a request is entered in the table before anything is started, and its id is known until
//! long after it was forgotten, so that it starts at most once; ids of different keys never meet; a
//! process is read no further than its controller's writing, and a bounded stretch.

mod job;
mod lifecycle;
mod output_buffer;
mod processes;
mod record;
mod register;
mod requests;
mod screen;
mod stdin;
mod table;

pub use processes::{Exit, Force, JobId, Output, Processes, Spec};

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use job::{Attachment, Due};
use table::Table;

use super::audit::Audit;
use super::limits;
use super::note::Note;
use super::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::{Cause, OnDisconnect};
use crate::session::{Command, SessionHandle};
use crate::time::Instant;
use crate::wire::{CallId, Lane};

/// Whether commands are run at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commands {
    /// As the policy allows.
    Run,
    /// All are denied (`--no-exec`).
    Refuse,
}

/// What becomes of commands that run when the agent ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// They are ended.
    End,
    /// They go on, and nobody knows how they will end (`--keep-jobs`).
    Leave,
}

/// How the room is set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whether commands are run at all.
    pub commands: Commands,
    /// How many run at once.
    pub max_jobs: usize,
    /// How long one may run.
    pub max_runtime: Option<Duration>,
    /// How many bytes one may write, to both outputs together.
    pub max_output: Option<u64>,
    /// What becomes of them when the agent ends.
    pub at_end: AtEnd,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            commands: Commands::Run,
            max_jobs: limits::JOBS,
            max_runtime: None,
            max_output: None,
            at_end: AtEnd::End,
        }
    }
}

/// What a call in this room is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// It has the job.
    Attached(JobId),
    /// It waits for the end of the job.
    Waiting(JobId),
    /// It had a job that was forgotten; what was written for it is still under way.
    Forgotten,
}

/// All jobs, and the calls about them.
pub struct Jobs<P> {
    config: Config,
    began: Instant,
    processes: P,
    table: Table,
    calls: BTreeMap<CallRef, Role>,
    /// The silence that each session is watched for.
    watched: HashMap<SessionHandle, Duration>,
    notes: VecDeque<Note>,
    audit: Box<dyn Audit + Send>,
    closed: bool,
}

impl<P: Processes> Jobs<P> {
    /// No jobs. `now` is when the agent began: older requests are unknown to it.
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

    /// The system's side.
    pub const fn processes(&mut self) -> &mut P {
        &mut self.processes
    }

    /// How many jobs run.
    pub const fn running(&self) -> usize {
        self.table.running()
    }

    /// The next note for the log.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// When [`on_timeout`](Self::on_timeout) should be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.table.next_due()
    }

    /// Time has passed.
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

    /// The peer has written out so much of a lane.
    pub fn on_consumed(&mut self, now: Instant, call: CallRef, lane: Lane, consumed: u64) {
        let (Some(&Role::Attached(job)), Some(output)) = (self.calls.get(&call), output_of(lane))
        else {
            return;
        };
        self.table.update(job, |job| {
            let Some(attached) = job.attached else { return };
            let begin = attached.begin[output as usize];
            job.output(output).release(begin.saturating_add(consumed));
            job.fresh = now;
        });
        self.offer_room(job, output);
    }

    /// The peer wants no more of a lane.
    pub fn on_stopped(&mut self, now: Instant, call: CallRef, lane: Lane, outbox: &mut Outbox) {
        match (self.calls.get(&call), output_of(lane)) {
            (Some(&Role::Attached(job)), Some(output)) => {
                self.table.update(job, |job| job.output(output).shut());
                self.processes.shut(job, output);
                self.finish_if_dry(now, job, outbox);
            }
            (_, None) => self.on_gone(now, call),
            _ => {}
        }
    }

    /// The call's control lane has ended at the controller's side. After the result this says that it
    /// has everything; before, only that no request will follow. Returns whether the call is through.
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

    /// The controller has acknowledged the call's control lane to its end. Returns true if the call is over: a
    /// controller that ended its half before will send nothing that could end the call. The result is kept.
    pub fn on_delivered(&mut self, now: Instant, call: CallRef) -> bool {
        let role = self.calls.get(&call).copied();
        if let Some(Role::Attached(job)) = role {
            self.table.update(job, |job| {
                if let Some(attached) = &mut job.attached {
                    attached.told = true;
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

    /// The call is over, its job may go on.
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
                    job.let_scroll();
                });
                self.offer_room(job, Output::Out);
            }
        }
    }

    /// Nothing is heard of a session.
    pub fn on_silent(&mut self, now: Instant, session: SessionHandle) {
        let silence = self.watched.get(&session).copied().unwrap_or_default();
        for job in self.attached_in(session) {
            self.table
                .update(job, |job| job.absent = Some(now - silence));
        }
    }

    /// Something is, again.
    pub fn on_heard(&mut self, session: SessionHandle) {
        for job in self.attached_in(session) {
            self.table.update(job, |job| job.absent = None);
        }
    }

    /// A session is over. `heard`: when something was last heard of it, as far as is known. With
    /// `satisfied` the controller said that it has all it wanted.
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
                    !job.is_running() && job.attached.is_some_and(|attached| attached.told)
                })
            {
                self.forget(now, job);
            }
            self.on_gone(heard, call);
        }
    }

    /// Ends all jobs of keys of which `known` says no.
    pub fn end_unless(&mut self, known: impl FnMut(&PublicKey) -> bool) {
        self.end_all_but(known, Cause::Revoked);
    }

    fn end_all_but(&mut self, mut spared: impl FnMut(&PublicKey) -> bool, cause: Cause) {
        let doomed: Vec<JobId> = self
            .table
            .iter()
            .filter(|(_, job)| job.is_running() && !spared(&job.owner.key))
            .map(|(id, _)| id)
            .collect();
        for job in doomed {
            self.end(job, cause);
        }
    }

    /// Takes no more jobs, and ends all there are or lets go of them.
    pub fn shut_down(&mut self, now: Instant, outbox: &mut Outbox) {
        self.closed = true;
        match self.config.at_end {
            AtEnd::End => self.end_all_but(|_| false, Cause::Shutdown),
            AtEnd::Leave => self.leave_all(now, outbox),
        }
    }

    /// Ends with force all that still run.
    pub fn kill_all(&mut self) {
        let running = self.table.iter().filter(|(_, job)| job.is_running());
        let running: Vec<JobId> = running.map(|(id, _)| id).collect();
        for job in running {
            self.processes.end(job, Force::Kill);
        }
    }

    /// Whether every controller that is attached has been told how its job ended.
    pub fn all_told(&self) -> bool {
        self.calls.values().all(|role| match role {
            Role::Waiting(_) | Role::Forgotten => true,
            Role::Attached(job) => self
                .table
                .get(*job)
                .and_then(|job| job.attached)
                .is_none_or(|attached| attached.told),
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

    /// Gives a job to a call and tells it what there is. Its lanes begin at `begin`, its data lane at
    /// offset `stdin` of stdin.
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
                // The picture stands for all that it was painted by.
                Some(picture) if wanted != Some(begin[0]) && job.outputs[0].end() > 0 => {
                    screen = Some(picture.painted());
                    [job.outputs[0].end(), begin[1]]
                }
                _ => begin,
            };
            job.attached = Some(Attachment {
                call,
                begin,
                told: false,
                ended_early: false,
            });
            job.absent = None;
            job.stdin.attach(stdin.unwrap_or(job.stdin.taken()));
        });
        let job = self.table.get(id).expect("it was there above");
        let begin = job.attached.expect("just attached").begin;
        requests::send_accepted(call, job, begin, screen, outbox);
        if job.on_disconnect == OnDisconnect::Kill && job.is_running() {
            let lease = job.lease;
            self.watch(call.session, lease, outbox);
        }
    }

    /// Wants to hear of a silence as short as this.
    fn watch(&mut self, session: SessionHandle, lease: Duration, outbox: &mut Outbox) {
        let watched = self.watched.entry(session).or_insert(Duration::MAX);
        if lease < *watched {
            *watched = lease;
            // The session's own keepalive would come too late to tell silence from idleness.
            let ping = (lease < limits::LEASE).then_some(lease / 3);
            outbox.push(Command::Watch {
                session,
                silence: lease,
                ping,
            });
        }
    }
}

/// Which output travels on a lane.
const fn output_of(lane: Lane) -> Option<Output> {
    match lane {
        Lane::Control => None,
        Lane::Data => Some(Output::Out),
        Lane::Stderr => Some(Output::Err),
    }
}

/// Which lane carries an output.
const fn lane_of(output: Output) -> Lane {
    match output {
        Output::Out => Lane::Data,
        Output::Err => Lane::Stderr,
    }
}
