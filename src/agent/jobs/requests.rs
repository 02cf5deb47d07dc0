//! Requests about jobs, and their replies.
//!
//! The order in `exec` guarantees that a request starts at most once: known id, forgotten id, too old, denied,
//! busy, and only then recorded, entered in the table, and started.

use std::time::Duration;

use super::job::{Begin, Job, State};
use super::list::administered;
use super::listed_argv::listed_argv;
use super::output_buffer::OutputBuffer;
use super::refusal::Refusal;
use super::screen::Screen;
use super::stdin::Stdin;
use super::stored::Stored;
use super::{Digest, Errno, JobId, Jobs, Processes, Program, Role, Spec, Start};
use crate::agent::access::{Controller, Denied, Grant, PolicySource, RunningCommand};
use crate::agent::audit::{Event, Record, Unwritten};
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::limits::SCRIPT;
use crate::message::signal::MAX_SIGNAL;
use crate::message::{
    self, Cause, Exec, OsText, Outcome, Reply, Request, RequestId, StartStep, Window,
};
use crate::time::Instant;

/// Returns a hash that identifies a request. Its age, the size of the terminal window and `retain`, which differ when it
/// is repeated, are not part of it.
fn digest(exec: &Exec) -> [u8; 32] {
    let mut first = exec.clone();
    first.age_ms = 0;
    first.retain = false;
    if let Some(terminal) = &mut first.terminal {
        terminal.window = Window {
            rows: 0,
            columns: 0,
        };
    }
    let line = message::to_line(&first.into_request());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &line);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Bytes of each output that stay held after its controller has written them: for a repeat of a request, and of a
/// terminal those after the last picture.
const fn kept_output(retained: bool, on_terminal: bool) -> u64 {
    match (retained, on_terminal) {
        (_, true) => 3 * limits::PICTURE,
        (true, false) => limits::RETAINED_OUTPUT,
        (false, false) => 0,
    }
}

/// Returns the part of the hash that is kept after the job.
fn short(digest: &[u8; 32]) -> Digest {
    std::array::from_fn(|index| digest[index])
}

fn wait(millis: u64) -> Duration {
    Duration::from_millis(millis).min(limits::MAX_WAIT)
}

impl<P: Processes> Jobs<P> {
    /// Processes the first request of a call. `policy` authorises commands.
    pub fn on_call(
        &mut self,
        now: Instant,
        call: CallRef,
        controller: &Controller,
        request: Request,
        policy: &dyn PolicySource,
        outbox: &mut Outbox,
    ) {
        match request {
            Request::Exec(exec) => self.exec(now, call, controller, exec, policy, outbox),
            Request::Forward(_) | Request::Copy(_) => {
                if let Some(exec) = request.into_service() {
                    self.serve(now, call, controller, exec, policy, outbox);
                }
            }
            Request::Jobs { all } => self.list_call(now, call, controller, all, policy, outbox),
            Request::Attach { id, key, .. }
            | Request::Wait { id, key }
            | Request::Signal { id, key, .. } => {
                let owner = match administered(controller, key, policy) {
                    Ok(owner) => owner,
                    Err(denied) => {
                        self.record_administration_denied(controller, id, denied);
                        return outbox.last_reply(call, &Reply::Denied {});
                    }
                };
                self.on_job_call(call, controller, &owner, id, &request, outbox);
            }
            Request::Cancel {}
            | Request::Resize(_)
            | Request::Chat { .. }
            | Request::Say { .. }
            | Request::Whisper { .. }
            | Request::Ping {}
            | Request::Register { .. } => {
                outbox.last_reply(call, &unsupported("not at the beginning of a call"));
            }
        }
    }

    /// Processes the first request of a call about a job that exists.
    fn on_job_call(
        &mut self,
        call: CallRef,
        controller: &Controller,
        owner: &PublicKey,
        id: RequestId,
        request: &Request,
        outbox: &mut Outbox,
    ) {
        let job = self.table.find(owner, id);
        if let &Request::Signal { signal, .. } = request {
            let reply = match job {
                Some(job) => self.table.get(job).and_then(Job::exit),
                None => self.forgotten(owner, id),
            };
            let reply = reply.unwrap_or_else(|| self.signal(controller, owner, id, signal));
            return outbox.last_reply(call, &reply);
        }
        let Some(job) = job else {
            return self.answer_unknown(call, owner, id, outbox);
        };
        match *request {
            Request::Attach { stdout, stderr, .. } => {
                let attached = Record::of_request(controller, id, Event::Attached {});
                self.record_other(&attached);
                let begin = Begin::At([stdout, stderr]);
                self.attach(call, controller, job, begin, None, outbox);
            }
            _ => self.wait(call, job, outbox),
        }
    }

    /// Processes a further line of a call.
    pub fn on_line(
        &mut self,
        call: CallRef,
        controller: &Controller,
        request: &Request,
        outbox: &mut Outbox,
    ) {
        let Some(&Role::Attached(id)) = self.calls.get(&call) else {
            return;
        };
        let Some(owner) = self.table.get(id).map(|job| job.owner.key) else {
            return;
        };
        // After the last line there is nothing left to answer on.
        if self.table.get(id).is_some_and(|job| !job.is_running()) {
            return;
        }
        let reply = match request {
            Request::Resize(window) => return self.resize(id, *window),
            Request::Cancel {} => {
                self.record_by(controller, id, Event::Canceled {});
                self.end(id, Cause::Requested);
                Reply::Done {}
            }
            Request::Signal { id, signal, .. } => self.signal(controller, &owner, *id, *signal),
            Request::Exec(_)
            | Request::Forward(_)
            | Request::Copy(_)
            | Request::Attach { .. }
            | Request::Wait { .. }
            | Request::Jobs { .. }
            | Request::Chat { .. }
            | Request::Say { .. }
            | Request::Whisper { .. }
            | Request::Ping {}
            | Request::Register { .. } => unsupported("not within a call"),
        };
        outbox.reply(call, &reply);
    }

    /// Processes a request for a built-in service.
    fn serve(
        &mut self,
        now: Instant,
        call: CallRef,
        controller: &Controller,
        exec: Exec,
        policy: &dyn PolicySource,
        outbox: &mut Outbox,
    ) {
        if self.config.services == Switch::Off {
            let reason = "this agent is a part of another program and has no built-in services";
            return outbox.last_reply(call, &unsupported(reason));
        }
        self.exec(now, call, controller, exec, policy, outbox);
    }

    fn exec(
        &mut self,
        now: Instant,
        call: CallRef,
        controller: &Controller,
        exec: Exec,
        policy: &dyn PolicySource,
        outbox: &mut Outbox,
    ) {
        let digest = digest(&exec);
        if let Some(job) = self.table.find(&controller.key, exec.id) {
            if self.table.get(job).is_some_and(|job| job.digest == digest) {
                self.table.update(job, |job| job.retain |= exec.retain);
                self.attach(call, controller, job, Begin::Held, Some(0), outbox);
            } else {
                self.refuse(call, controller, &exec, Outcome::Conflict {}.into(), outbox);
            }
            return;
        }
        let grant = match self.admit(now, controller, &exec, short(&digest), policy) {
            Ok(grant) => grant,
            Err(refusal) => return self.refuse(call, controller, &exec, refusal, outbox),
        };
        if let Err(Unwritten) = self.record_acceptance(controller, &exec, &grant) {
            return self.refuse(call, controller, &exec, Denied::Unrecorded.into(), outbox);
        }
        let id = self
            .table
            .insert(self.accept(now, controller, &exec, digest, &grant));
        self.announce(id);
        self.attach(call, controller, id, Begin::Held, Some(0), outbox);
        self.start(now, id, exec, grant, outbox);
    }

    /// Decides about a request that is not in the table.
    fn admit(
        &self,
        now: Instant,
        controller: &Controller,
        exec: &Exec,
        digest: Digest,
        policy: &dyn PolicySource,
    ) -> Result<Grant, Refusal> {
        let age = Duration::from_millis(exec.age_ms);
        match self.table.register().find(&controller.key, exec.id) {
            Some(known) if known == digest => return Err(Outcome::Expired {}.into()),
            Some(_) => return Err(Outcome::Conflict {}.into()),
            None => {}
        }
        if age > now.since(self.began) {
            return Err(Outcome::Unknown {}.into());
        }
        if !self
            .table
            .register()
            .reaches_back_to(&controller.key, now - age)
        {
            return Err(Outcome::Expired {}.into());
        }
        let from = Some(controller.remote);
        let (accounts, unix_now) = (policy.accounts(), policy.unix_now());
        let policy = policy.policy();
        let grant = policy.authorize_exec(&controller.key, from, exec, accounts, unix_now)?;
        let of_this_key = || self.table.running_of(&controller.key);
        let share = limits::jobs_per_key(self.config.max_jobs);
        let full = self.table.running() >= self.config.max_jobs
            || of_this_key() >= grant.max_jobs.unwrap_or(share);
        if full || self.closed {
            return Err(Outcome::Busy {}.into());
        }
        Ok(grant)
    }

    fn accept(
        &self,
        now: Instant,
        owner: &Controller,
        exec: &Exec,
        digest: [u8; 32],
        grant: &Grant,
    ) -> Job {
        let asked = exec.timeout_ms.map(|millis| (wait(millis), Cause::Timeout));
        let most = self.config.max_runtime.map(|time| (time, Cause::Runtime));
        let times = asked.into_iter().chain(most);
        let deadline = times.min_by_key(|&(time, _)| time);
        Job {
            request: exec.id,
            owner: owner.clone(),
            digest,
            command: Some(RunningCommand::new(exec, grant)),
            argv: listed_argv(&exec.argv),
            accepted: now,
            started: None,
            state: State::Starting,
            cause: None,
            signals: 0,
            deadline: deadline.map(|(time, cause)| (now + time, cause)),
            lease: exec
                .lease_ms
                .map_or(limits::LEASE, wait)
                .max(limits::MIN_LEASE),
            on_disconnect: exec.on_disconnect,
            retain: exec.retain,
            keeps_output: exec.retain,
            absent: None,
            attached: None,
            taken_from_prompt: false,
            collected: false,
            waiters: Vec::new(),
            stdin: Stdin::new(exec.stdin || exec.terminal.is_some()),
            outputs: [OutputBuffer::default(); 2],
            terminal: exec.terminal.is_some(),
            screen: exec
                .terminal
                .as_ref()
                .and_then(|terminal| self.new_screen(&owner.key, terminal.window)),
            picture: 0,
            resized: false,
            last_used: now,
        }
    }

    fn start(&mut self, now: Instant, id: JobId, exec: Exec, grant: Grant, outbox: &mut Outbox) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let (request, owner, digest) = (job.request, job.owner.clone(), job.short_digest());
        let record = Stored {
            command: job.command.clone(),
            digest: job.digest,
            argv: job.argv.clone(),
            accepted: job.accepted,
            deadline: job.deadline,
            lease: job.lease,
            on_disconnect: job.on_disconnect,
            stdin: job.stdin.is_open() || exec.stdin || exec.terminal.is_some(),
            terminal: exec.terminal.as_ref().map(|terminal| terminal.window),
            retain: job.retain,
        };
        let invalid = if exec.argv.is_empty() {
            Some(Errno::INVALID)
        } else {
            let length = |text: &OsText| text.as_os_str().len();
            let is_long = exec
                .script
                .as_ref()
                .is_some_and(|text| length(text) > SCRIPT);
            is_long.then_some(Errno::TOO_BIG)
        };
        if let Some(errno) = invalid {
            return self.on_failed(now, id, errno.at(StartStep::Program), false, outbox);
        }
        let plain = OsText::into_os_string;
        let program = Program::of(&exec);
        let pairs = exec.env.into_iter();
        let spec = Spec {
            program,
            env: pairs
                .map(|(name, value)| (plain(name), plain(value)))
                .collect(),
            cwd: exec.cwd.map(plain),
            user: grant.user,
            stdin: exec.stdin,
            terminal: exec.terminal,
        };
        let start = Start {
            request,
            digest,
            owner,
            kept: kept_output(exec.retain, spec.terminal.is_some()),
            spec,
            record: record.encode(),
        };
        self.processes.start(id, start);
    }

    fn wait(&mut self, call: CallRef, id: JobId, outbox: &mut Outbox) {
        if let Some(exit) = self.table.get(id).and_then(Job::exit) {
            outbox.last_reply(call, &exit);
            return;
        }
        let accepted = self.table.update(id, |job| {
            let accepted = job.waiters.len() < limits::WAITERS;
            if accepted {
                job.waiters.push(call);
            }
            accepted
        });
        if accepted == Some(true) {
            self.calls.insert(call, Role::Waiting(id));
        } else {
            outbox.last_reply(call, &unsupported("too many calls wait for this job"));
        }
    }

    fn signal(
        &mut self,
        controller: &Controller,
        owner: &PublicKey,
        id: RequestId,
        signal: i32,
    ) -> Reply {
        if !(1..=MAX_SIGNAL).contains(&signal) {
            return unsupported("no such signal");
        }
        let job = self.table.find(owner, id);
        let state = job.and_then(|id| Some((id, self.table.get(id)?.state)));
        match state {
            Some((id, State::Running)) if self.processes.signal(id, signal) => {
                self.record_by(controller, id, Event::Signaled { signal });
                Reply::Done {}
            }
            Some((id, State::Starting)) => {
                self.record_by(controller, id, Event::Signaled { signal });
                self.table.update(id, |job| job.hold_signal(signal));
                Reply::Done {}
            }
            Some((_, State::Running | State::Ended { .. })) | None => Reply::NoJob {},
        }
    }

    fn resize(&mut self, id: JobId, window: Window) {
        let Some(job) = self.table.get(id) else {
            return;
        };
        let grown = Screen::cells_of(window).saturating_sub(job.cells());
        let fits = self.table.has_cells(&job.owner.key, grown);
        let resized = self.table.update(id, |job| {
            job.resized = true;
            match &mut job.screen {
                Some(screen) if fits => screen.resize(window),
                // On attach, the held output is sent in the place of its screen.
                Some(_) | None => job.screen = None,
            }
            job.terminal
        });
        if resized == Some(true) {
            self.processes.resize(id, window);
        }
    }
}

pub(super) fn unsupported(reason: &str) -> Reply {
    Reply::Unsupported {
        reason: reason.into(),
    }
}
