//! Starts: the decision, the record, and the child until it has executed its program.
//!
//! The order guarantees that a request starts at most once, and never without its record: known request, policy,
//! bounds, record, and only then the child.

use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::child::Child;
use super::child_io::ChildIo;
use super::job::{Job, Killed};
use super::readiness::Part;
use super::refusals::{request_of, request_of_spec};
use super::{Supervisor, limits, tokens};
use crate::agent::access::{Denied, Grant, PolicySource as _};
use crate::agent::audit::{Command, Event, Record, Unwritten};
use crate::agent::jobs::{
    Errno, Exit, Force, JobId, Output, Phase, Pid, Program, Refusal, Start, Started,
};
use crate::agent::limits::jobs_per_key;
use crate::agent::services;
use crate::agent::switch::Switch;
use crate::message::{Exec, Outcome, StartStep, Window};
use crate::process::{
    self, Executable, Limit, Resource, Signal, SpawnError, Stage, Stdin, User, WindowSize,
};
use crate::time::Instant;

impl Supervisor {
    /// Processes a request of the front.
    pub(super) fn on_start(&mut self, now: Instant, id: JobId, slot: u32, start: Start) {
        if !self.table.is_free(id, slot) || slot >= self.slots {
            // No front that works asks for it.
            return self.report_refusal(id, Outcome::Conflict {});
        }
        let exec = request_of(&start);
        let grant = match self.decide(&start, &exec) {
            Ok(grant) => grant,
            Err(refusal) => {
                let command = Command::of(&exec, Some(&start.spec.user));
                return self.refuse(id, &start.owner, start.request, &refusal, Some(command));
            }
        };
        let spec = Box::new(self.complete(id, &start, &grant));
        let (owner, request) = (start.owner.clone(), start.request);
        self.table.insert(id, Job::new(slot, start));
        let event = Event::Accepted(Command::of(&exec, Some(&grant.user)));
        let record = Record::of_request(&owner, request, event);
        match self.records.accept(now, &record, id, spec) {
            Ok(()) => self.on_records(now),
            Err(start) => {
                self.records.counts.command();
                self.spawn(now, id, *start.spec);
            }
        }
    }

    /// Continues the starts whose records are written, and refuses those whose are not.
    pub(super) fn on_records(&mut self, now: Instant) {
        self.on_recorder(now);
        while let Some((start, written)) = self.records.poll(now) {
            let ended = self.table.get(start.id).and_then(|job| job.cause);
            if written.is_ok() {
                self.records.counts.command();
            }
            match (written, ended) {
                (Ok(()), None) => self.spawn(now, start.id, *start.spec),
                // Canceled before anything was started.
                (Ok(()), Some(_)) => self.settle_unstarted(start.id),
                (Err(Unwritten), _) => {
                    if let Some(job) = self.table.remove_refused(start.id) {
                        let refusal = Denied::Unrecorded.into();
                        let exec = request_of_spec(job.request, &start.spec);
                        let command = Command::of(&exec, exec.user.as_deref());
                        self.refuse(start.id, &job.owner, job.request, &refusal, Some(command));
                    }
                }
            }
        }
    }

    /// Settles a job that was ended before its start, as if its process had been.
    fn settle_unstarted(&mut self, id: JobId) {
        if let Some(job) = self.table.get_mut(id) {
            let signal = Signal::TERM.as_raw();
            let exit = Exit::Signal {
                signal,
                core: false,
            };
            let streams_open = false;
            job.status.phase = Phase::Ended { exit, streams_open };
            job.status.stdin_closed = true;
            self.record_end(id);
            self.clear_input(id);
            self.note(id);
        }
    }

    /// Decides by the supervisor's own knowledge.
    pub(super) fn decide(&self, start: &Start, exec: &Exec) -> Result<Grant, Refusal> {
        let key = &start.owner.key;
        if self.table.find(key, start.request).is_some() {
            return Err(Outcome::Conflict {}.into());
        }
        if self.table.register().find(key, start.request).is_some() {
            return Err(Outcome::Expired {}.into());
        }
        if exec.service.is_some() && self.services() == Switch::Off {
            // No front that works asks for it.
            return Err(Outcome::Denied {}.into());
        }
        if start.owner.remote.port() == Some(0) && !self.terminal.has_prompt() {
            // Nobody can have typed it, and no datagram comes from this port.
            return Err(Outcome::Denied {}.into());
        }
        let policy = self.policy.policy();
        let (accounts, unix_now) = (self.policy.accounts(), self.policy.unix_now());
        let from = Some(start.owner.remote);
        let grant = policy.authorize_exec(key, from, exec, accounts, unix_now)?;
        let (own, all) = self.table.running(key);
        let most = grant.max_jobs.unwrap_or(jobs_per_key(self.max_jobs));
        let full = all >= self.max_jobs || own >= most;
        if full || self.closed {
            return Err(Outcome::Busy {}.into());
        }
        Ok(grant)
    }

    /// Starts the process of a job in the table.
    fn spawn(&mut self, now: Instant, id: JobId, mut spec: process::Spec) {
        let Some(slot) = self.table.get(id).map(|job| job.slot) else {
            return;
        };
        spec.cgroup = match self.make_cgroup(now, &spec.cgroup_limits) {
            Ok(cgroup) => cgroup,
            Err(error) => return self.deny(id, &error),
        };
        let mut child = match process::start(&spec) {
            Ok(starting) => Child::Starting(starting),
            Err(error) => {
                self.release_cgroup(now, spec.cgroup);
                return self.fail(id, failure(error), false);
            }
        };
        if let Some(guard) = &mut self.guard {
            guard.started(id, child.process().tree().to_parts());
        }
        let (pipes, slave) = child.take_streams();
        let mut io = ChildIo::new(slot, pipes, slave);
        let registered = self.register(id, &child, &mut io);
        if registered.is_err() {
            child.kill();
        }
        if let Some(job) = self.table.get_mut(id) {
            // Early input is in the ring already.
            io.adopt_input(job.io.inlet());
            job.io = io;
            job.child = Some(child);
        }
        match registered {
            Ok(()) => {
                self.starting.insert((now + limits::START, id));
            }
            Err(error) => {
                let errno = error.raw_os_error().map_or(Errno::NOT_PERMITTED, Errno);
                self.fail(id, (errno, StartStep::Program), false);
            }
        }
    }

    /// Returns the complete specification of a process.
    fn complete(&self, id: JobId, start: &Start, grant: &Grant) -> process::Spec {
        let account = self.policy.account();
        let user = if account.name == *grant.user {
            User::Own(account.clone())
        } else {
            User::Named(grant.user.clone())
        };
        let spec = &start.spec;
        let stdin = if spec.stdin { Stdin::Pipe } else { Stdin::Null };
        let (executable, argv) = match &spec.program {
            Program::Argv(argv) => (Executable::Named, argv.clone()),
            Program::Script { argv, text } => (Executable::Script(text.clone()), argv.clone()),
            Program::Service(service) => {
                let argv = services::argv(service, grant.copy.as_ref());
                (Executable::Own, argv)
            }
        };
        process::Spec {
            argv,
            executable,
            variables: spec.env.clone(),
            cwd: spec.cwd.clone().map(PathBuf::from),
            stdin,
            terminal: spec.terminal.as_ref().map(|terminal| process::Terminal {
                size: size(terminal.window),
                term: terminal.term.clone().into(),
            }),
            limits: self.limits(),
            cgroup_limits: grant.cgroup_limits,
            marker: format!("{}-{}", self.mark, id.0),
            ..process::Spec::new(user)
        }
    }

    /// Returns the resource limits of a process. What the configuration says comes after what the agent was started with.
    fn limits(&self) -> Vec<Limit> {
        let original = self.original_descriptors.map(|at_most| Limit {
            resource: Resource::Nofile,
            at_most,
        });
        original
            .into_iter()
            .chain(self.resources.iter().copied())
            .collect()
    }

    pub(super) fn register(
        &self,
        id: JobId,
        child: &Child,
        io: &mut ChildIo,
    ) -> std::io::Result<()> {
        let token = |part: Part| -> Token { tokens::of(id, part) };
        let pidfd = Some(child.pidfd().as_raw_fd());
        // Of the report only the end is waited for: the execution of the program closes it.
        for (descriptor, part, interest) in [
            (pidfd, Part::Leader, Interest::READABLE),
            (child.report(), Part::Start, Interest::PRIORITY),
        ] {
            if let Some(descriptor) = descriptor {
                self.registry
                    .register(&mut SourceFd(&descriptor), token(part), interest)?;
            }
        }
        io.register(&self.registry, token)
    }

    /// Processes the report of a child.
    pub(super) fn on_start_report(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(job.status.phase, Phase::Starting) {
            return;
        }
        let Some(mut child) = job.child.take() else {
            return;
        };
        let descriptor = child.report();
        let report = child.poll();
        if report.is_some() {
            if let Some(descriptor) = descriptor {
                let _ = self.registry.deregister(&mut SourceFd(&descriptor));
            }
            child = child.started();
        }
        let pid = child.pid().as_raw_pid();
        job.child = Some(child);
        let Some(report) = report else { return };
        match report {
            Ok(process::Started { home }) => {
                job.status.phase = Phase::Running;
                job.status.started = Some(Started {
                    pid: Pid(pid),
                    home: home.map(Errno),
                });
                job.update_counters();
                if job.io.wants_turn(Part::Stdin) {
                    self.ready.push_back((id, Part::Stdin));
                }
                for output in Output::ALL {
                    if job.io.wants_turn(Part::of(output)) {
                        self.ready.push_back((id, Part::of(output)));
                    }
                }
                let event = Event::Started { pid };
                self.records
                    .send(&Record::of_request(&job.owner, job.request, event));
                self.touch(id);
                self.changes.add_start(now, id);
                self.store_later(id);
            }
            Err(error) => self.on_start_failed(id, error),
        }
        self.forget_start_deadline(id);
    }

    fn on_start_failed(&mut self, id: JobId, error: SpawnError) {
        match error.cause {
            process::Cause::Account(reason) => self.deny(id, &reason),
            process::Cause::System(_) => self.fail(id, failure(error), false),
            process::Cause::Ended => {
                let killed = self.table.get(id).and_then(|job| job.killed);
                let errno = match killed {
                    Some(Killed::Late) => Errno::TIMED_OUT,
                    Some(Killed::Ended) | None => Errno(error.errno()),
                };
                self.fail(id, (errno, StartStep::Program), false);
            }
        }
        self.remove_child(id);
    }

    /// Kills the child of a start that has not come about in time, and gives the start up if the child survives that.
    /// Such a child is followed until it is gone.
    pub(super) fn on_start_deadline(&mut self, now: Instant, id: JobId) {
        self.on_start_report(now, id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(job.status.phase, Phase::Starting) {
            return;
        }
        if job.killed.is_none() {
            return self.kill_start(now, id, Killed::Late);
        }
        let (key, request) = (job.owner.key, job.request);
        tracing::warn!(event = "unkillable", %key, %request, "the start of a command survives KILL");
        self.fail(id, (Errno::TIMED_OUT, StartStep::Program), true);
        self.remove_child(id);
    }

    /// Kills a child that has not executed its program.
    pub(super) fn kill_start(&mut self, now: Instant, id: JobId, reason: Killed) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let Some(child) = &mut job.child else { return };
        child.kill();
        if job.killed.is_none() {
            job.killed = Some(reason);
            self.forget_start_deadline(id);
            self.starting.insert((now + limits::KILLED, id));
        }
    }

    /// Settles a job that was not started. `lingering`: its child could not be killed.
    fn fail(&mut self, id: JobId, (errno, step): (Errno, StartStep), lingering: bool) {
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        job.status.phase = Phase::Failed {
            errno,
            step,
            lingering,
        };
        job.io.close(&self.registry);
        job.update_counters();
        self.record_end(id);
        self.clear_input(id);
        self.note(id);
    }

    fn forget_start_deadline(&mut self, id: JobId) {
        // Each start has one deadline, and the oldest of them succeeds first, so that it is found at once.
        let of_job = |start: &&(Instant, JobId)| start.1 == id;
        if let Some(&start) = self.starting.iter().find(of_job) {
            self.starting.remove(&start);
        }
    }

    /// Sends a signal to the group of a leader.
    pub(super) fn signal(&mut self, id: JobId, signal: i32) {
        self.touch(id);
        let Some(job) = self.table.get_mut(id) else {
            return;
        };
        let running = matches!(job.status.phase, Phase::Running) && job.draining.is_none();
        let signal_number = Signal::from_named_raw(signal);
        if let (true, Some(child), Some(named)) = (running, &job.child, signal_number) {
            let _ = child.process().signal(named);
            job.pending_force = Force::of(signal).or(job.pending_force);
        }
    }
}

/// Returns the size of a window for the system.
pub(super) const fn size(window: Window) -> WindowSize {
    WindowSize {
        rows: window.rows,
        columns: window.columns,
    }
}

/// Returns the error number and the failed step for the controller.
const fn failure(error: SpawnError) -> (Errno, StartStep) {
    let step = match error.stage {
        Stage::Directory => StartStep::Directory,
        Stage::Prepare | Stage::Terminal | Stage::User | Stage::Limits | Stage::Execute => {
            StartStep::Program
        }
    };
    (Errno(error.errno()), step)
}
