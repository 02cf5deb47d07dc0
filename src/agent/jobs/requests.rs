//! Requests about jobs, and their replies.
//!
//! The order in `exec` guarantees that a request starts at most once: known id, forgotten id, too old, denied,
//! busy, and only then recorded, entered in the table, and started.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use bytes::Bytes;

use super::job::{Job, State};
use super::output_buffer::{Flow, OutputBuffer};
use super::refusal::Refusal;
use super::screen::Screen;
use super::stdin::Stdin;
use super::{Errno, Force, JobId, Jobs, Output, Processes, Role, Spec, lane_of};
use crate::agent::access::{Controller, Grant, PolicySource, RunningCommand};
use crate::agent::audit::{Event, Unwritten};
use crate::agent::limits;
use crate::agent::outbox::{CallRef, Outbox};
use crate::crypto::PublicKey;
use crate::message::limits::SCRIPT;
use crate::message::signal::MAX_SIGNAL;
use crate::message::{self, Cause, Exec, OsText, Outcome, Reply, Request, RequestId, Window};
use crate::time::Instant;

/// Sends the first replies of an attached call: the offsets of its lanes, the held output, and the result if
/// the job has ended.
pub(super) fn send_accepted(
    call: CallRef,
    job: &Job,
    begin: [u64; 2],
    screen: Option<Vec<u8>>,
    outbox: &mut Outbox,
) {
    outbox.reply(
        call,
        &Reply::Accepted {
            id: job.request,
            stdout: begin[0],
            stderr: begin[1],
            stdin: job.stdin.taken(),
            terminal: job.screen.is_some(),
            screen: screen.map(|bytes| OsText(OsString::from_vec(bytes))),
        },
    );
    if let Some(pid) = job.pid {
        outbox.reply(call, &Reply::Started { pid: pid.0 });
    }
    for output in Output::ALL {
        for piece in job.outputs[output as usize].from(begin[output as usize]) {
            outbox.write(call, lane_of(output), piece, false);
        }
    }
    send_exit(call, job, outbox);
}

/// Sends the result, if there is one, and ends all lanes.
pub(super) fn send_exit(call: CallRef, job: &Job, outbox: &mut Outbox) {
    if let Some(exit) = job.exit() {
        end_lanes(call, &exit, outbox);
    }
}

fn end_lanes(call: CallRef, exit: &Reply, outbox: &mut Outbox) {
    outbox.last_reply(call, exit);
    for output in Output::ALL {
        outbox.write(call, lane_of(output), Bytes::new(), true);
    }
}

/// Answers that nothing was started, or that it is unknown.
pub(super) fn send_refusal(call: CallRef, outcome: Outcome, outbox: &mut Outbox) {
    let exit = Reply::Exit {
        outcome,
        stdout: 0,
        stderr: 0,
        streams_open: false,
        cause: None,
    };
    end_lanes(call, &exit, outbox);
}

/// Returns the beginning of argv that lists show.
fn listed_argv(argv: &[OsText]) -> Vec<OsText> {
    let mut left = limits::SHOWN_ARGV;
    let fits = |argument: &&OsText| {
        let length = argument.as_os_str().len() + 1;
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    };
    argv.iter().take_while(fits).cloned().collect()
}

/// Returns a hash that identifies a request. Its age and the size of the terminal window, which differ when it
/// is repeated, are not part of it.
fn digest(exec: &Exec) -> [u8; 32] {
    let mut first = exec.clone();
    first.age_ms = 0;
    if let Some(terminal) = &mut first.terminal {
        terminal.window = Window {
            rows: 0,
            columns: 0,
        };
    }
    let line = message::to_line(&Request::Exec(first));
    let digest = ring::digest::digest(&ring::digest::SHA256, &line);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
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
            Request::Attach { id, stdout, stderr } => match self.table.find(&controller.key, id) {
                Some(job) => self.attach(call, job, [stdout, stderr], None, outbox),
                None => self.answer_unknown(call, &controller.key, id, outbox),
            },
            Request::Wait { id } => match self.table.find(&controller.key, id) {
                Some(job) => self.wait(call, job, outbox),
                None => self.answer_unknown(call, &controller.key, id, outbox),
            },
            Request::Jobs {} => {
                let jobs = self.list(now, &controller.key);
                outbox.last_reply(call, &jobs);
            }
            Request::Signal { id, signal } => {
                let reply = self.signal(&controller.key, id, signal);
                outbox.last_reply(call, &reply);
            }
            Request::Cancel {}
            | Request::Resize(_)
            | Request::Chat { .. }
            | Request::Say { .. }
            | Request::Ping {}
            | Request::Register { .. } => {
                outbox.last_reply(call, &unsupported("not at the beginning of a call"));
            }
        }
    }

    /// Processes a further line of a call.
    pub fn on_line(&mut self, call: CallRef, request: &Request, outbox: &mut Outbox) {
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
                self.end(id, Cause::Requested);
                Reply::Done {}
            }
            Request::Signal { id, signal } => self.signal(&owner, *id, *signal),
            Request::Exec(_)
            | Request::Attach { .. }
            | Request::Wait { .. }
            | Request::Jobs {}
            | Request::Chat { .. }
            | Request::Say { .. }
            | Request::Ping {}
            | Request::Register { .. } => unsupported("not within a call"),
        };
        outbox.reply(call, &reply);
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
                self.attach(call, job, [None, None], Some(0), outbox);
            } else {
                self.refuse(call, controller, &exec, Outcome::Conflict {}.into(), outbox);
            }
            return;
        }
        let grant = match self.admit(now, controller, &exec, policy) {
            Ok(grant) => grant,
            Err(refusal) => return self.refuse(call, controller, &exec, refusal, outbox),
        };
        if let Err(Unwritten) = self.record_acceptance(controller, &exec, &grant) {
            return self.refuse(call, controller, &exec, Outcome::Denied {}.into(), outbox);
        }
        let id = self
            .table
            .insert(self.accept(now, controller, &exec, digest, &grant));
        self.announce(id);
        self.attach(call, id, [None, None], Some(0), outbox);
        self.start(now, id, exec, grant, outbox);
    }

    /// Decides about a request that is not in the table.
    fn admit(
        &self,
        now: Instant,
        controller: &Controller,
        exec: &Exec,
        policy: &dyn PolicySource,
    ) -> Result<Grant, Refusal> {
        let age = Duration::from_millis(exec.age_ms);
        if self.table.register().knows(&controller.key, exec.id) {
            return Err(Outcome::Expired {}.into());
        }
        if age > now.since(self.began) {
            return Err(Outcome::Unknown {}.into());
        }
        if !self.table.register().reaches_back_to(now - age) {
            return Err(Outcome::Expired {}.into());
        }
        let from = Some(controller.remote);
        let (accounts, unix_now) = (policy.accounts(), policy.unix_now());
        let policy = policy.policy();
        let grant = policy.authorize_exec(&controller.key, from, exec, accounts, unix_now)?;
        let of_this_key = || {
            let running = |job: &Job| job.owner.key == controller.key && job.is_running();
            self.table.iter().filter(|(_, job)| running(job)).count()
        };
        let full = self.table.running() >= self.config.max_jobs
            || grant.max_jobs.is_some_and(|most| of_this_key() >= most);
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
            command: RunningCommand::new(exec, grant),
            argv: listed_argv(&exec.argv),
            accepted: now,
            pid: None,
            state: State::Accepted,
            cause: None,
            pending_force: None,
            deadline: deadline.map(|(time, cause)| (now + time, cause)),
            lease: exec
                .lease_ms
                .map_or(limits::LEASE, wait)
                .max(limits::MIN_LEASE),
            on_disconnect: exec.on_disconnect,
            absent: None,
            attached: None,
            waiters: Vec::new(),
            stdin: Stdin::new(exec.stdin || exec.terminal.is_some()),
            outputs: [OutputBuffer::new(), OutputBuffer::new()],
            screen: exec
                .terminal
                .as_ref()
                .map(|terminal| Screen::new(terminal.window)),
            last_used: now,
        }
    }

    fn start(&mut self, now: Instant, id: JobId, exec: Exec, grant: Grant, outbox: &mut Outbox) {
        let plain = |text: OsText| text.0;
        let pairs = exec.env.into_iter();
        let spec = Spec {
            argv: exec.argv.into_iter().map(plain).collect(),
            script: exec.script.map(|text| text.0.into_encoded_bytes()),
            env: pairs.map(|(name, value)| (name.0, value.0)).collect(),
            cwd: exec.cwd.map(plain),
            user: grant.user,
            stdin: exec.stdin,
            terminal: exec.terminal,
        };
        let spawned = if spec.argv.is_empty() {
            Err(Errno::INVALID)
        } else if spec.script.as_ref().is_some_and(|text| text.len() > SCRIPT) {
            Err(Errno::TOO_BIG)
        } else {
            self.processes.spawn(id, spec)
        };
        match spawned {
            Ok(pid) => {
                let call = self.table.update(id, |job| {
                    job.pid = Some(pid);
                    job.state = State::Running;
                    if job.screen.is_some() {
                        job.output(Output::Err).end_here();
                    }
                    job.attached.map(|attached| attached.call)
                });
                if let Some(Some(call)) = call {
                    outbox.reply(call, &Reply::Started { pid: pid.0 });
                }
                self.record(id, Event::Started { pid: pid.0 });
                for output in Output::ALL {
                    self.update_read_limit(id, output);
                }
            }
            Err(errno) => {
                self.table.update(id, |job| {
                    let open = |held: &&mut OutputBuffer| held.flow() == Flow::Open;
                    job.outputs
                        .iter_mut()
                        .filter(open)
                        .for_each(OutputBuffer::end_here);
                });
                self.close_stdin(id, outbox);
                self.settle(
                    now,
                    id,
                    Outcome::SpawnFailed { errno: errno.0 },
                    false,
                    outbox,
                );
            }
        }
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

    fn signal(&mut self, owner: &PublicKey, id: RequestId, signal: i32) -> Reply {
        if !(1..=MAX_SIGNAL).contains(&signal) {
            return unsupported("no such signal");
        }
        let job = self.table.find(owner, id);
        let running = job.filter(|&job| {
            let state = self.table.get(job).map(|job| job.state);
            state == Some(State::Running)
        });
        match running {
            Some(id) if self.processes.signal(id, signal) => {
                if let Some(force) = Force::of(signal) {
                    self.table.update(id, |job| job.pending_force = Some(force));
                }
                Reply::Done {}
            }
            Some(_) | None => Reply::NoJob {},
        }
    }

    fn resize(&mut self, id: JobId, window: Window) {
        let resized = self.table.update(id, |job| {
            let screen = job.screen.as_mut()?;
            screen.resize(window);
            Some(())
        });
        if resized.flatten().is_some() {
            self.processes.resize(id, window);
        }
    }

    /// Answers about an id that is not in the table: used and forgotten, or never used since the agent started.
    fn answer_unknown(&self, call: CallRef, key: &PublicKey, id: RequestId, outbox: &mut Outbox) {
        if self.table.register().knows(key, id) {
            send_refusal(call, Outcome::Expired {}, outbox);
        } else {
            outbox.last_reply(call, &Reply::NoJob {});
        }
    }

    /// Returns the jobs of a key, oldest first, in one line of bounded length.
    fn list(&self, now: Instant, key: &PublicKey) -> Reply {
        let own = self.table.iter().filter(|(_, job)| job.owner.key == *key);
        let mut own: Vec<(JobId, &Job)> = own.collect();
        own.sort_unstable_by_key(|&(id, _)| id);
        let mut left = limits::LIST_ARGV;
        let view = |(_, job): (JobId, &Job)| {
            let mut view = job.view(now);
            let words = view.argv.iter().map(|word| word.as_os_str().len());
            // A byte takes at most six in JSON (\u001b).
            let size: usize = words.map(|length| 6 * length + 3).sum();
            if size > left {
                view.argv.clear();
            } else {
                left -= size;
            }
            view
        };
        Reply::Jobs {
            jobs: own.into_iter().map(view).collect(),
        }
    }
}

fn unsupported(reason: &str) -> Reply {
    Reply::Unsupported {
        reason: reason.into(),
    }
}
