//! The processes of jobs, with their pipes in a `mio::Poll`.
//!
//! Not the job table. Readiness is edge-triggered: a descriptor that is ready stays in a queue until a call
//! returns that nothing is left. [`Supervisor::poll`] serves the queue one read or write at a time, so that a
//! process that writes without end delays the others by one read. Invariants: never more is read than the read
//! limit allows; a leader is reaped after its tree has been ended, if it is being ended.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::child_io::{ChildIo, Part, Read, Written};
use crate::agent::jobs::{self, Errno, Force, JobId, Output, Pid};
use crate::message::Window;
use crate::net::Clock;
use crate::process::{
    self, Account, Ending, Limit, ProcessSnapshot, Progress, Signal, SpawnError, Stage, Stdin,
    Terminal, User, WindowSize,
};
use crate::time::Instant;

/// First token of processes; the tokens below are those of the agent's thread.
const FIRST_TOKEN: usize = 16;

/// Number of tokens of a job: one for each [`Part`].
const TOKENS: usize = 4;

/// Time in which a program must be executed.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Event of a process.
#[derive(Debug)]
pub enum ProcessEvent {
    /// Output was read.
    Output(Output, Bytes),
    /// An output is at its end.
    Eof(Output),
    /// Number of bytes written to stdin.
    StdinWritten(u64),
    /// The process has closed stdin.
    StdinClosed,
    /// The leader has ended.
    Exited(jobs::Exit),
    /// The tree could not be ended.
    Unkillable,
}

/// All processes of jobs.
pub struct Supervisor {
    registry: Registry,
    account: Account,
    /// Marker by which descendants are recognised, different for each agent.
    mark: String,
    limits: Vec<Limit>,
    snapshot: ProcessSnapshot,
    jobs: HashMap<JobId, ChildIo>,
    endings: BTreeSet<JobId>,
    /// Jobs on a terminal with ended input.
    inputs: BTreeSet<JobId>,
    ready: VecDeque<(JobId, Part)>,
    /// Jobs whose tree could not be ended.
    unkillable: VecDeque<JobId>,
    buffer: Box<[u8]>,
}

const fn token(job: JobId, part: Part) -> Token {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "jobs are counted, 2^60 will not be"
    )]
    Token(FIRST_TOKEN + job.0 as usize * TOKENS + part as usize)
}

impl Supervisor {
    /// Returns a supervisor without processes. `mark` distinguishes the processes of this agent from all others;
    /// `limits` apply to each process.
    pub fn new(registry: Registry, mark: String, limits: Vec<Limit>) -> Self {
        Self {
            registry,
            account: Account::current(),
            mark,
            limits,
            snapshot: ProcessSnapshot::new(),
            jobs: HashMap::new(),
            endings: BTreeSet::new(),
            inputs: BTreeSet::new(),
            ready: VecDeque::new(),
            unkillable: VecDeque::new(),
            buffer: vec![0; super::limits::READ].into_boxed_slice(),
        }
    }

    /// Processes an event of the poll, if it concerns a process.
    pub fn on_ready(&mut self, event: &mio::event::Event) {
        let Some(index) = event.token().0.checked_sub(FIRST_TOKEN) else {
            return;
        };
        let (job, part) = (JobId((index / TOKENS) as u64), Part::ALL[index % TOKENS]);
        let Some(child) = self.jobs.get_mut(&job) else {
            return;
        };
        let broken = event.is_error() || event.is_write_closed();
        if child.on_ready(part, broken) {
            self.ready.push_back((job, part));
        }
    }

    /// Returns true if the queue of [`poll`](Self::poll) is not empty.
    pub fn is_busy(&self) -> bool {
        !self.ready.is_empty() || !self.unkillable.is_empty()
    }

    /// Returns true if no tree is being ended.
    pub fn is_idle(&self) -> bool {
        self.endings.is_empty()
    }

    /// Returns the next event.
    pub fn poll(&mut self) -> Option<(JobId, ProcessEvent)> {
        if let Some(job) = self.unkillable.pop_front() {
            return Some((job, ProcessEvent::Unkillable));
        }
        while let Some((job, part)) = self.ready.pop_front() {
            if let Some(event) = self.serve(job, part) {
                return Some((job, event));
            }
        }
        None
    }

    fn serve(&mut self, job: JobId, part: Part) -> Option<ProcessEvent> {
        let child = self.jobs.get_mut(&job)?;
        let event = match part {
            Part::Leader => match child.process.exited() {
                Ok(Some(exit)) if !child.exited => {
                    if child.on_exit() {
                        self.ready.push_back((job, Part::Stdout));
                    }
                    Some(ProcessEvent::Exited(match exit {
                        process::Exit::Code(code) => jobs::Exit::Code(code),
                        process::Exit::Signal { signal, core } => {
                            jobs::Exit::Signal { signal, core }
                        }
                    }))
                }
                Ok(Some(_) | None) | Err(_) => None,
            },
            Part::Stdin => {
                let written = child.write_queued(Clock.now(), &self.registry);
                if child.poll_timeout().is_some() {
                    self.inputs.insert(job);
                }
                match written {
                    Written::Nothing => None,
                    Written::Bytes(bytes) => Some(ProcessEvent::StdinWritten(bytes)),
                    Written::StdinClosed => Some(ProcessEvent::StdinClosed),
                }
            }
            Part::Stdout | Part::Stderr => {
                let output = if part == Part::Stdout {
                    Output::Out
                } else {
                    Output::Err
                };
                match child.read(output, &mut self.buffer, &self.registry) {
                    Read::Nothing => None,
                    Read::Bytes(length) => {
                        let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
                        Some(ProcessEvent::Output(output, bytes))
                    }
                    Read::End => Some(ProcessEvent::Eof(output)),
                }
            }
        };
        if child.wants_turn(part) {
            self.ready.push_back((job, part));
        }
        event
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ending = |job| self.jobs.get(job)?.ending.as_ref()?.poll_timeout();
        let input = |job| self.jobs.get(job)?.poll_timeout();
        let endings = self.endings.iter().filter_map(ending);
        endings.chain(self.inputs.iter().filter_map(input)).min()
    }

    /// Signals the end of terminal input again and continues to end trees.
    pub fn on_timeout(&mut self, now: Instant) {
        self.inputs.retain(|job| {
            let child = self.jobs.get_mut(job);
            child.is_some_and(|child| match child.poll_timeout() {
                Some(at) if at <= now => {
                    child.on_timeout(now);
                    true
                }
                next => next.is_some(),
            })
        });
        for job in self.endings.clone() {
            let ending = self
                .jobs
                .get_mut(&job)
                .and_then(|child| child.ending.as_mut());
            let due = |ending: &&mut Ending| ending.poll_timeout().is_none_or(|at| at <= now);
            let progress = ending
                .filter(due)
                .map(|ending| ending.on_timeout(now, &mut self.snapshot));
            if let Some(progress) = progress {
                self.on_progress(job, progress);
            }
        }
    }

    fn on_progress(&mut self, job: JobId, progress: Progress) {
        let gave_up = matches!(progress, Progress::GaveUp { .. });
        match progress {
            Progress::Pending => return,
            Progress::Ended => {}
            Progress::GaveUp { left } => {
                tracing::warn!(left, "processes of a job survive KILL");
            }
        }
        self.endings.remove(&job);
        if let Some(child) = self.jobs.get_mut(&job) {
            child.ending = None;
            if gave_up && !child.exited {
                self.unkillable.push_back(job);
            }
            if child.closed {
                self.remove(job);
            }
        }
    }

    /// Reaps a leader and forgets its job.
    fn remove(&mut self, job: JobId) {
        let Some(mut child) = self.jobs.remove(&job) else {
            return;
        };
        self.deregister(&mut child);
        if let Err(error) = child.process.reap() {
            tracing::warn!(%error, "a process cannot be reaped");
        }
    }

    fn deregister(&self, child: &mut ChildIo) {
        child.close(&self.registry);
        let pidfd = child.process.pidfd().as_raw_fd();
        let _ = self.registry.deregister(&mut SourceFd(&pidfd));
    }

    /// Returns the complete specification of a process.
    fn complete(&self, job: JobId, spec: jobs::Spec) -> process::Spec {
        process::Spec {
            argv: spec.argv,
            script: spec.script,
            variables: spec.env,
            cwd: spec.cwd.map(PathBuf::from),
            stdin: if spec.stdin { Stdin::Pipe } else { Stdin::Null },
            terminal: spec.terminal.map(|terminal| Terminal {
                size: size(terminal.window),
                term: terminal.term.into(),
            }),
            limits: self.limits.clone(),
            marker: format!("{}-{}", self.mark, job.0),
            ..process::Spec::new(User::new(&self.account, &spec.user))
        }
    }

    fn register(&self, job: JobId, child: &mut ChildIo) -> io::Result<()> {
        let pidfd = child.process.pidfd().as_raw_fd();
        let leader = token(job, Part::Leader);
        self.registry
            .register(&mut SourceFd(&pidfd), leader, Interest::READABLE)?;
        child.register(&self.registry, |part| token(job, part))
    }
}

const fn size(window: Window) -> WindowSize {
    WindowSize {
        rows: window.rows,
        columns: window.columns,
    }
}

/// Returns the error number for the controller. A missing directory must not look like a missing program.
fn errno(error: SpawnError) -> Errno {
    let missing = error.errno() == rustix::io::Errno::NOENT.raw_os_error();
    if error.stage == Stage::Directory && missing {
        return Errno::NOT_A_DIRECTORY;
    }
    Errno(error.errno())
}

/// Calls of the owner. A job that is not known is ignored.
impl Supervisor {
    /// Starts a process.
    ///
    /// # Errors
    /// The error of `fork(2)`, `execve(2)` or a step between them.
    pub fn spawn(&mut self, job: JobId, spec: jobs::Spec) -> Result<(Pid, Option<Errno>), Errno> {
        let spec = self.complete(job, spec);
        let starting = process::start(&spec).map_err(errno)?;
        let process = starting.wait(START_TIMEOUT).map_err(errno)?;
        let home = None;
        let pid = process.pid().as_raw_pid();
        let mut child = ChildIo::new(process);
        // On failure the process is killed when it is dropped.
        self.register(job, &mut child)
            .map_err(|error| error.raw_os_error().map_or(Errno::NOT_PERMITTED, Errno))?;
        self.jobs.insert(job, child);
        Ok((Pid(pid), home))
    }

    /// Sets the number of bytes of an output that may be read before the next call.
    pub fn set_read_limit(&mut self, job: JobId, output: Output, bytes: u64) {
        let part = Part::of(output);
        if let Some(child) = self.jobs.get_mut(&job)
            && child.set_read_limit(output, bytes)
        {
            self.ready.push_back((job, part));
        }
    }

    /// Closes an output.
    pub fn shut(&mut self, job: JobId, output: Output) {
        if let Some(child) = self.jobs.get_mut(&job) {
            child.shut(output, &self.registry);
        }
    }

    /// Queues bytes for stdin; with `eof` it is closed after them.
    pub fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        if let Some(child) = self.jobs.get_mut(&job)
            && child.write(data, eof)
        {
            self.ready.push_back((job, Part::Stdin));
        }
    }

    /// Ends a process tree, or what remains of it.
    pub fn end(&mut self, job: JobId, force: Force) {
        let now = Clock.now();
        let Some(child) = self.jobs.get_mut(&job) else {
            return;
        };
        let snapshot = &mut self.snapshot;
        let tree = child.process.tree();
        let ending = child
            .ending
            .get_or_insert_with(|| Ending::start(now, tree.clone(), snapshot));
        self.endings.insert(job);
        if force == Force::Kill {
            let progress = ending.kill_now(now, &mut self.snapshot);
            self.on_progress(job, progress);
        }
    }

    /// Detaches a process.
    pub fn detach(&mut self, job: JobId) {
        if let Some(mut child) = self.jobs.remove(&job) {
            self.deregister(&mut child);
            child.process.detach();
        }
    }

    /// Sends a signal to the leader's process group. Returns false if the leader has ended.
    pub fn signal(&mut self, job: JobId, signal: i32) -> bool {
        let child = self.jobs.get(&job).filter(|child| !child.exited);
        let signal = Signal::from_named_raw(signal);
        match (child, signal) {
            (Some(child), Some(signal)) => child.process.signal(signal).is_ok(),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Sets the window size of a terminal.
    pub fn resize(&mut self, job: JobId, window: Window) {
        if let Some(child) = self.jobs.get(&job) {
            child.resize(size(window));
        }
    }

    /// Returns true if an open output holds unread bytes.
    pub fn unread(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(ChildIo::unread)
    }

    /// Closes the pipes of a job and forgets it once its tree is ended.
    pub fn close(&mut self, job: JobId) {
        let Some(child) = self.jobs.get_mut(&job) else {
            return;
        };
        child.closed = true;
        child.close(&self.registry);
        if child.ending.is_none() {
            self.remove(job);
        }
    }
}
