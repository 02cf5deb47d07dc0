//! Simulated processes: each runs the task that its argument names, within the credit it is given.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use udpagent::agent::jobs::{Errno, Exit, Force, JobId, Output, Pid, Processes, Spec};
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

/// The next step of a process.
pub enum Doing {
    /// It writes.
    Output(JobId, Output, Bytes),
    /// It writes no more.
    Eof(JobId, Output),
    /// It has read from stdin.
    StdinWritten(JobId, u64),
    /// It ends.
    Exit(JobId, Exit),
}

struct Process {
    task: Task,
    /// Start of its output, after the end of its input; set at its first turn.
    ready: Option<Instant>,
    read_limit: [u64; 2],
    written: [u64; 2],
    eof: [bool; 2],
    stdin: Reader,
    read: u64,
    reported: u64,
    end: bool,
    exited: bool,
}

/// The processes of one incarnation of an agent.
pub struct SimulatedProcesses {
    log: Rc<RefCell<Log>>,
    running: BTreeMap<JobId, Process>,
}

/// The exit code of a task, determined by its id.
pub const fn exit_code(id: u64) -> u8 {
    (id % 251) as u8
}

impl SimulatedProcesses {
    /// None yet.
    pub const fn new(log: Rc<RefCell<Log>>) -> Self {
        Self {
            log,
            running: BTreeMap::new(),
        }
    }

    /// Processes that run or are not yet closed.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// The next step of any of them until `now`.
    pub fn next(&mut self, now: Instant) -> Option<Doing> {
        let log = &self.log;
        self.running
            .iter_mut()
            .find_map(|(&job, process)| process.next(job, now, log))
    }

    /// Time of the next step that needs no input.
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let ready = self.running.values().filter_map(|process| process.ready);
        ready.filter(|at| *at > now).min()
    }
}

impl Process {
    fn next(&mut self, job: JobId, now: Instant, log: &RefCell<Log>) -> Option<Doing> {
        if self.read > self.reported {
            let bytes = self.read - self.reported;
            self.reported = self.read;
            return Some(Doing::StdinWritten(job, bytes));
        }
        if self.end && !self.exited {
            self.exited = true;
            return Some(Doing::Exit(
                job,
                Exit::Signal {
                    signal: TERM,
                    core: false,
                },
            ));
        }
        let has_input = self.task.stdin == 0 || self.stdin.is_ended();
        if !has_input || *self.ready.get_or_insert(now + self.task.takes) > now {
            return None;
        }
        if let Some(doing) = self.write(job) {
            return Some(doing);
        }
        // Some leave before the reader has read all: exit is not the end of the output.
        let written = self.eof == [true, true];
        let rest = self.task.out + self.task.err - self.written[0] - self.written[1];
        let early = self.task.id.is_multiple_of(3) && rest <= PIPE;
        if (written || early) && !self.exited {
            self.exited = true;
            let code = exit_code(self.task.id);
            log.borrow_mut().returned.insert(self.task.id, code);
            return Some(Doing::Exit(job, Exit::Code(code)));
        }
        None
    }

    fn write(&mut self, job: JobId) -> Option<Doing> {
        for output in Output::ALL {
            let i = output as usize;
            let (total, lane) = match output {
                Output::Out => (self.task.out, Lane::Data),
                Output::Err => (self.task.err, Lane::Stderr),
            };
            let end = total
                .min(self.written[i] + self.read_limit[i])
                .min(self.written[i] + READ);
            if end > self.written[i] && !self.eof[i] {
                let data = Pattern::output(self.task.id, lane).bytes(self.written[i], end);
                self.read_limit[i] -= end - self.written[i];
                self.written[i] = end;
                return Some(Doing::Output(job, output, data));
            }
            // As with a pipe, EOF is seen by a read, which needs credit.
            if end == total && !self.eof[i] && (self.read_limit[i] > 0 || self.exited) {
                self.eof[i] = true;
                return Some(Doing::Eof(job, output));
            }
        }
        None
    }
}

impl Processes for SimulatedProcesses {
    fn spawn(&mut self, job: JobId, spec: Spec) -> Result<Pid, Errno> {
        let text = spec.argv[1].to_str().expect("a task");
        let bytes: Vec<u8> = (0..Task::SIZE)
            .map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).expect("hexadecimal"))
            .collect();
        let task = Task::decode(&bytes.try_into().expect("a task's size"));
        let mut log = self.log.borrow_mut();
        let starts = log.starts.entry(task.id).or_default();
        *starts += 1;
        assert_eq!(*starts, 1, "task {} starts twice", task.id);
        // The record of acceptance is written before the start.
        let accepted = log.accepted.load(Ordering::Relaxed);
        assert_eq!(accepted, log.starts.len() as u64, "not on record");
        assert_eq!(spec.stdin, task.stdin > 0);
        let process = Process {
            task,
            ready: None,
            read_limit: [0, 0],
            written: [0, 0],
            eof: [false, false],
            stdin: Reader::new(Pattern::stdin(task.id), task.stdin),
            read: 0,
            reported: 0,
            end: false,
            exited: false,
        };
        let before = self.running.insert(job, process);
        assert!(before.is_none(), "a job's number is used again");
        Ok(Pid(i32::try_from(1_000 + job.0).expect("few jobs")))
    }

    fn set_read_limit(&mut self, job: JobId, output: Output, bytes: u64) {
        if let Some(process) = self.running.get_mut(&job) {
            process.read_limit[output as usize] = bytes;
        }
    }

    fn shut(&mut self, job: JobId, output: Output) {
        if let Some(process) = self.running.get_mut(&job) {
            process.eof[output as usize] = true;
        }
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        if let Some(process) = self.running.get_mut(&job) {
            process.stdin.read(process.read, &data, eof);
            process.read += data.len() as u64;
        }
    }

    fn end(&mut self, job: JobId, _: Force) {
        if let Some(process) = self.running.get_mut(&job) {
            self.log.borrow_mut().ended += u64::from(!process.end);
            process.end = true;
        }
    }

    fn detach(&mut self, job: JobId) {
        self.running.remove(&job);
    }

    fn signal(&mut self, job: JobId, _: i32) -> bool {
        self.running
            .get(&job)
            .is_some_and(|process| !process.exited)
    }

    fn close(&mut self, job: JobId) {
        let process = self.running.remove(&job).expect("closed once");
        assert!(process.exited, "close follows the exit");
    }
}
