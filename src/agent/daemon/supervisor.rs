//! The processes of jobs, with their pipes in a `mio::Poll`: what [`Processes`] asks for, done.
//!
//! Not the job table. Readiness is edge-triggered: what may be read, written or reaped stands in a queue
//! until a call says that there is nothing left, and [`Supervisor::poll`] works it off one piece at a time,
//! so that a process that floods delays the others by one read. Invariants: never more is read than there
//! is room for; a leader is reaped after its tree has been ended, if it is.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::child_io::{ChildIo, Fed, Part, Read};
use crate::agent::jobs::{self, Force, JobId, Output, Processes};
use crate::message::Window;
use crate::net::Clock;
use crate::process::{
    self, Account, Ending, Limit, ProcessSnapshot, Progress, Signal, SpawnError, Stage, Stdin,
    WindowSize, clean_environment,
};
use crate::time::Instant;

/// Tokens below are the agent's own.
const FIRST_TOKEN: usize = 16;

/// Tokens of a job: one for each [`Part`].
const TOKENS: usize = 4;

/// `ENOTDIR`, `EPERM`: error numbers that are ours to choose.
const NOT_A_DIRECTORY: i32 = 20;
const NOT_PERMITTED: i32 = 1;

/// Something that a process did.
#[derive(Debug)]
pub enum ProcessEvent {
    /// It wrote.
    Wrote(Output, Bytes),
    /// It closed an output.
    Closed(Output),
    /// Its stdin took so many bytes.
    Took(u64),
    /// It reads no more.
    StdinClosed,
    /// It is over.
    Exited(jobs::Exit),
}

/// All processes of jobs.
pub struct Supervisor {
    registry: Registry,
    account: Account,
    /// What descendants are recognised by, unlike those of any other agent.
    mark: String,
    limits: Vec<Limit>,
    snapshot: ProcessSnapshot,
    jobs: HashMap<JobId, ChildIo>,
    endings: BTreeSet<JobId>,
    /// Those on a terminal whose input has ended.
    inputs: BTreeSet<JobId>,
    ready: VecDeque<(JobId, Part)>,
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
    /// None yet. `mark` distinguishes this agent's processes from those of all others, `limits` are those
    /// of each.
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
            buffer: vec![0; super::limits::READ].into_boxed_slice(),
        }
    }

    /// The poll has reported something; not all of it is ours.
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

    /// Whether [`poll`](Self::poll) has something to look at.
    pub fn is_busy(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether no tree is being ended.
    pub fn is_idle(&self) -> bool {
        self.endings.is_empty()
    }

    /// The next thing that happened.
    pub fn poll(&mut self) -> Option<(JobId, ProcessEvent)> {
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
                _ => None,
            },
            Part::Stdin => {
                let fed = child.feed(Clock.now(), &self.registry);
                if child.poll_timeout().is_some() {
                    self.inputs.insert(job);
                }
                match fed {
                    Fed::Nothing => None,
                    Fed::Took(bytes) => Some(ProcessEvent::Took(bytes)),
                    Fed::StdinClosed => Some(ProcessEvent::StdinClosed),
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
                        Some(ProcessEvent::Wrote(output, bytes))
                    }
                    Read::End => Some(ProcessEvent::Closed(output)),
                }
            }
        };
        if child.wants_turn(part) {
            self.ready.push_back((job, part));
        }
        event
    }

    /// When [`on_timeout`](Self::on_timeout) should be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ending = |job| self.jobs.get(job)?.ending.as_ref()?.poll_timeout();
        let input = |job| self.jobs.get(job)?.poll_timeout();
        let endings = self.endings.iter().filter_map(ending);
        endings.chain(self.inputs.iter().filter_map(input)).min()
    }

    /// Goes on with telling that input has ended, and with ending trees.
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
            if child.closed {
                self.let_go(job);
            }
        }
    }

    /// Reaps a leader of which nothing more is wanted.
    fn let_go(&mut self, job: JobId) {
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

    /// The whole of what a process is to be.
    fn complete(&self, job: JobId, spec: jobs::Spec) -> Result<process::Spec, i32> {
        // Refused ones are denied before they come here.
        let account = self.account.reach(&spec.user).map_err(|_| NOT_PERMITTED)?;
        let mut env = clean_environment(&account, spec.env).map_err(|_| NOT_PERMITTED)?;
        if let Some(terminal) = &spec.terminal {
            env.retain(|(name, _)| name != "TERM");
            env.push(("TERM".into(), terminal.term.clone().into()));
        }
        let home = &account.home;
        let cwd = match spec.cwd {
            Some(cwd) => home.join(cwd),
            None if home.is_dir() => home.clone(),
            None => PathBuf::from("/"),
        };
        Ok(process::Spec {
            argv: spec.argv,
            script: spec.script,
            env,
            cwd,
            stdin: if spec.stdin { Stdin::Pipe } else { Stdin::Null },
            terminal: spec.terminal.as_ref().map(|terminal| size(terminal.window)),
            user: (account != self.account).then_some(account),
            limits: self.limits.clone(),
            marker: format!("{}-{}", self.mark, job.0),
            ..process::Spec::default()
        })
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

/// As the requester sees it: a missing policy is not a missing program.
fn errno(error: SpawnError) -> i32 {
    match error.stage {
        Stage::Directory if error.errno == rustix::io::Errno::NOENT.raw_os_error() => {
            NOT_A_DIRECTORY
        }
        _ => error.errno,
    }
}

impl Processes for Supervisor {
    fn spawn(&mut self, job: JobId, spec: jobs::Spec) -> Result<i32, i32> {
        let spec = self.complete(job, spec)?;
        let process = process::spawn(&spec).map_err(errno)?;
        let pid = process.pid().as_raw_pid();
        let mut child = ChildIo::new(process);
        // On failure the drop kills it.
        self.register(job, &mut child)
            .map_err(|error| error.raw_os_error().unwrap_or(NOT_PERMITTED))?;
        self.jobs.insert(job, child);
        Ok(pid)
    }

    fn set_room(&mut self, job: JobId, output: Output, room: u64) {
        let part = Part::of(output);
        if let Some(child) = self.jobs.get_mut(&job)
            && child.set_room(output, room)
        {
            self.ready.push_back((job, part));
        }
    }

    fn shut(&mut self, job: JobId, output: Output) {
        if let Some(child) = self.jobs.get_mut(&job) {
            child.shut(output, &self.registry);
        }
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        if let Some(child) = self.jobs.get_mut(&job)
            && child.write(data, eof)
        {
            self.ready.push_back((job, Part::Stdin));
        }
    }

    fn end(&mut self, job: JobId, force: Force) {
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

    fn leave(&mut self, job: JobId) {
        if let Some(mut child) = self.jobs.remove(&job) {
            self.deregister(&mut child);
            child.process.leave();
        }
    }

    fn signal(&mut self, job: JobId, signal: i32) -> bool {
        let child = self.jobs.get(&job).filter(|child| !child.exited);
        let signal = Signal::from_named_raw(signal);
        match (child, signal) {
            (Some(child), Some(signal)) => child.process.signal(signal).is_ok(),
            _ => false,
        }
    }

    fn resize(&mut self, job: JobId, window: Window) {
        if let Some(child) = self.jobs.get(&job) {
            child.resize(size(window));
        }
    }

    fn unread(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(ChildIo::unread)
    }

    fn close(&mut self, job: JobId) {
        let Some(child) = self.jobs.get_mut(&job) else {
            return;
        };
        child.closed = true;
        child.close(&self.registry);
        if child.ending.is_none() {
            self.let_go(job);
        }
    }
}
