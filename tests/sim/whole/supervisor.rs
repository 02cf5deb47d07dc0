//! A model of the supervisor: it outlives the agents (fronts) above it, and holds their jobs and the output and input
//! that was not passed on. Each process runs the task that its argument names.
//!
//! Invariants, each checked here: a task starts once; every byte of stdin reaches the process once and in order; no
//! byte of output is asked for after its release.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use udpagent::agent::jobs::{
    Digest, Exit, Force, JobId, Origin, Output, Phase, Pid, Processes, Program, Restored, Start,
    Started, Status,
};
use udpagent::agent::limits;
use udpagent::crypto::PublicKey;
use udpagent::message::{Cause, RequestId, Window};
use udpagent::time::Instant;
use udpagent::wire::Lane;

use crate::task::{Pattern, Reader, Task};

/// SIGTERM
const TERM: i32 = 15;

/// Bytes that a pipe holds for its reader when the writer is gone.
const PIPE: u64 = 64 << 10;

/// Bytes of one read from a pipe.
const READ: u64 = 8 << 10;

/// Record of starts and exits, over all incarnations of an agent.
#[derive(Default, Debug)]
pub struct Log {
    /// Starts of each task.
    pub starts: HashMap<u64, u32>,
    /// Commands that are on record as accepted.
    pub accepted: Arc<AtomicU64>,
    /// Number of processes that were told to end.
    pub ended: u64,
    /// Exit codes of processes that ran to their end.
    pub returned: HashMap<u64, u8>,
}

/// The exit code of a task, determined by its id.
pub const fn exit_code(id: u64) -> u8 {
    (id % 251) as u8
}

struct Process {
    task: Task,
    /// Time at which it runs.
    starts: Instant,
    /// Start of its output, after the end of its input; set at its first turn.
    ready: Option<Instant>,
    stdin: Reader,
    end: bool,
    exit: Option<Exit>,
}

struct Job {
    start: Start,
    process: Process,
    status: Status,
    released: [u64; 2],
    windows: [u64; 2],
    shut: [bool; 2],
    /// Input that the process has not read.
    stdin: VecDeque<Bytes>,
    stdin_accepted: u64,
    stdin_eof: bool,
    cause: Option<Cause>,
}

/// A forgotten job: its key, request and digest, and the time.
pub type Forgotten = (PublicKey, RequestId, Digest, Instant);

/// The supervisor of one host.
pub struct Supervisor {
    log: Rc<RefCell<Log>>,
    origin: Origin,
    now: Instant,
    jobs: BTreeMap<JobId, Job>,
    changed: BTreeSet<JobId>,
    forgotten: Vec<Forgotten>,
}

impl Supervisor {
    /// A supervisor that starts now.
    pub const fn new(log: Rc<RefCell<Log>>, now: Instant) -> Self {
        Self {
            log,
            origin: Origin::new(now),
            now,
            jobs: BTreeMap::new(),
            changed: BTreeSet::new(),
            forgotten: Vec::new(),
        }
    }

    /// Its start, and the next number of a job.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Processes that run or are not yet forgotten.
    pub fn count(&self) -> usize {
        let runs = |job: &&Job| !matches!(job.status.phase, Phase::Ended { .. });
        self.jobs.values().filter(runs).count()
    }

    /// Jobs that are remembered by their ids only, oldest first.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        self.forgotten.clone()
    }

    /// All jobs, for a new front.
    pub fn restored(&mut self) -> Vec<Restored> {
        // Their present states are passed on with them.
        self.changed.clear();
        let job = |(&id, job): (&JobId, &Job)| Restored {
            job: id,
            request: job.start.request,
            owner: job.start.owner.clone(),
            record: job.start.record.clone(),
            status: job.status,
            released: job.released,
            shut: job.shut,
            stdin_accepted: job.stdin_accepted,
            stdin_eof: job.stdin_eof,
            cause: job.cause,
            picture: None,
            taken_from_prompt: false,
        };
        self.jobs.iter().map(job).collect()
    }

    /// Lets the processes run until `now`, and returns a changed state.
    pub fn next(&mut self, now: Instant) -> Option<(JobId, Status)> {
        self.now = now;
        for (&id, job) in &mut self.jobs {
            if job.step(now, &self.log) {
                self.changed.insert(id);
            }
        }
        let id = self.changed.pop_first()?;
        Some((id, self.jobs.get(&id)?.status))
    }

    /// Time of the next step that needs no input.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let times = self.jobs.values().flat_map(|job| {
            let starting = job.status.phase == Phase::Starting;
            let starts = starting.then_some(job.process.starts);
            starts.into_iter().chain(job.process.ready)
        });
        times.filter(|at| *at > now).min()
    }
}

impl Job {
    /// Takes one step. Returns true if the state has changed.
    fn step(&mut self, now: Instant, log: &RefCell<Log>) -> bool {
        match self.status.phase {
            Phase::Starting if self.process.starts <= now => {
                let mut log = log.borrow_mut();
                let starts = log.starts.entry(self.process.task.id).or_default();
                *starts += 1;
                assert_eq!(*starts, 1, "task {} starts twice", self.process.task.id);
                // The record of acceptance is written before the start.
                let accepted = log.accepted.load(Ordering::Relaxed);
                assert!(accepted >= log.starts.len() as u64, "not on record");
                self.status.phase = Phase::Running;
                self.status.started = Some(Started {
                    pid: Pid(1_000),
                    home: None,
                });
                true
            }
            Phase::Running => self.run(now, log),
            Phase::Starting
            | Phase::Refused(_)
            | Phase::Failed { .. }
            | Phase::Ended { .. }
            | Phase::Unkillable { .. } => false,
        }
    }

    fn run(&mut self, now: Instant, log: &RefCell<Log>) -> bool {
        let process = &mut self.process;
        if !self.status.stdin_closed {
            let before = self.status.stdin_written;
            if let Some(data) = self.stdin.pop_front() {
                process.stdin.read(before, &data, false);
                self.status.stdin_written += data.len() as u64;
                return true;
            }
            if self.stdin_eof && !process.stdin.is_ended() {
                process.stdin.read(before, b"", true);
            }
        }
        if process.end && process.exit.is_none() {
            let (signal, core) = (TERM, false);
            process.exit = Some(Exit::Signal { signal, core });
        }
        if process.exit.is_none() {
            let has_input = process.task.stdin == 0 || process.stdin.is_ended();
            if !has_input || *process.ready.get_or_insert(now + process.task.takes) > now {
                return false;
            }
        }
        if self.write() {
            return true;
        }
        let written = self.is_written();
        let process = &mut self.process;
        let rest = process.task.out + process.task.err - self.status.outputs.iter().sum::<u64>();
        // Some leave before the reader has read all: exit is not the end of the output.
        let early = process.task.id.is_multiple_of(3) && rest <= PIPE;
        if process.exit.is_none() && (written || early) {
            let code = exit_code(process.task.id);
            log.borrow_mut().returned.insert(process.task.id, code);
            process.exit = Some(Exit::Code(code));
            self.status.stdin_closed = true;
            return true;
        }
        if let Some(exit) = process.exit
            && (written || process.end)
        {
            let streams_open = false;
            self.status.phase = Phase::Ended { exit, streams_open };
            self.status.stdin_closed = true;
            return true;
        }
        false
    }

    const fn totals(&self) -> [u64; 2] {
        [self.process.task.out, self.process.task.err]
    }

    fn is_written(&self) -> bool {
        Output::ALL.into_iter().all(|output| {
            let i = output as usize;
            self.shut[i] || self.status.outputs[i] == self.totals()[i]
        })
    }

    fn write(&mut self) -> bool {
        let extra = match self.process.exit {
            Some(_) => limits::LANE_AT_EXIT,
            None => 0,
        };
        for output in Output::ALL {
            let i = output as usize;
            let room = self.released[i] + self.windows[i] + extra;
            let read = self.status.outputs[i];
            let end = self.totals()[i].min(room).min(read + READ);
            if !self.shut[i] && !self.process.end && end > read {
                self.status.outputs[i] = end;
                return true;
            }
        }
        false
    }
}

/// The supervisor as one front sees it.
#[derive(Clone)]
pub struct Handle(pub Rc<RefCell<Supervisor>>);

impl Handle {
    fn with(&self, id: JobId, act: impl FnOnce(&mut Job)) {
        if let Some(job) = self.0.borrow_mut().jobs.get_mut(&id) {
            act(job);
        }
    }
}

impl Processes for Handle {
    fn start(&mut self, id: JobId, start: Start) {
        let text = match &start.spec.program {
            Program::Argv(argv) => argv[1].to_str().expect("a task").to_owned(),
            Program::Service(service) => {
                let argv = service.argv();
                let path = argv[1].as_os_str().to_str().expect("a path");
                path.trim_start_matches('/').to_owned()
            }
            Program::Script { .. } => panic!("a task is a program or a service"),
        };
        let bytes: Vec<u8> = (0..Task::SIZE)
            .map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hexadecimal"))
            .collect();
        let task = Task::decode(&bytes.try_into().expect("a task's size"));
        assert_eq!(start.spec.stdin, task.stdin > 0);
        let mut supervisor = self.0.borrow_mut();
        let next = &mut supervisor.origin.next_job;
        assert!(id >= *next, "a job's number is used again");
        *next = JobId(id.0 + 1);
        let known =
            |forgotten: &Forgotten| (forgotten.0, forgotten.1) == (start.owner.key, start.request);
        assert!(
            !supervisor.forgotten.iter().any(known),
            "a forgotten request"
        );
        // A start takes a moment, but not where a scenario measures time.
        let slow = task.takes > Duration::ZERO;
        let starts = supervisor.now + Duration::from_millis(u64::from(slow) * (task.id % 4));
        let process = Process {
            task,
            starts,
            ready: None,
            stdin: Reader::new(Pattern::stdin(task.id), task.stdin),
            end: false,
            exit: None,
        };
        let job = Job {
            start,
            process,
            status: Status::STARTING,
            released: [0, 0],
            windows: [limits::LANE; 2],
            shut: [false, false],
            stdin: VecDeque::new(),
            stdin_accepted: 0,
            stdin_eof: false,
            cause: None,
        };
        supervisor.jobs.insert(id, job);
        supervisor.changed.insert(id);
    }

    fn output(&mut self, id: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes> {
        let supervisor = self.0.borrow();
        let job = &supervisor.jobs[&id];
        let i = output as usize;
        assert!(job.released[i] <= from && from < to && to <= job.status.outputs[i]);
        let lane = match output {
            Output::Out => Lane::Data,
            Output::Err => Lane::Stderr,
        };
        let middle = from + (to - from) / 2;
        let pattern = Pattern::output(job.process.task.id, lane);
        vec![pattern.bytes(from, middle), pattern.bytes(middle, to)]
    }

    fn set_window(&mut self, id: JobId, output: Output, bytes: u64) {
        self.with(id, |job| job.windows[output as usize] = bytes);
    }

    fn release(&mut self, id: JobId, output: Output, offset: u64) {
        self.with(id, |job| {
            let released = &mut job.released[output as usize];
            assert!(*released < offset && offset <= job.status.outputs[output as usize]);
            *released = offset;
        });
    }

    fn shut(&mut self, id: JobId, output: Output) {
        self.with(id, |job| job.shut[output as usize] = true);
    }

    fn write_stdin(&mut self, id: JobId, data: Bytes, eof: bool) {
        self.with(id, |job| {
            assert!(!job.stdin_eof, "bytes after the end");
            job.stdin_accepted += data.len() as u64;
            assert!(job.stdin_accepted - job.status.stdin_written <= limits::STDIN);
            if !data.is_empty() {
                job.stdin.push_back(data);
            }
            job.stdin_eof = eof;
        });
    }

    fn resize(&mut self, _: JobId, _: Window) {}

    fn end(&mut self, id: JobId, cause: Cause, _: Force) {
        let log = Rc::clone(&self.0.borrow().log);
        self.with(id, |job| {
            log.borrow_mut().ended += u64::from(!job.process.end);
            job.process.end = true;
            job.cause.get_or_insert(cause);
        });
    }

    fn signal(&mut self, id: JobId, _: i32) -> bool {
        let supervisor = self.0.borrow();
        let job = supervisor.jobs.get(&id);
        job.is_some_and(|job| job.status.phase == Phase::Running)
    }

    fn keep_picture(&mut self, _: JobId, _: u64, _: Window, _: Vec<u8>) {}

    fn take_from_prompt(&mut self, _: JobId) {
        unreachable!("no agent here has a prompt");
    }

    fn detach(&mut self, id: JobId) {
        self.0.borrow_mut().jobs.remove(&id);
    }

    fn forget(&mut self, id: JobId) {
        let mut supervisor = self.0.borrow_mut();
        let job = supervisor.jobs.remove(&id).expect("forgotten once");
        assert!(
            matches!(job.status.phase, Phase::Ended { .. }),
            "forgotten while it runs"
        );
        let now = supervisor.now;
        let Start {
            request,
            digest,
            owner,
            ..
        } = job.start;
        supervisor.forgotten.push((owner.key, request, digest, now));
    }
}
