//! A fake supervisor.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::agent::jobs::{
    Errno, Exit, Force, JobId, Output, Phase, Pid, Processes, Restored, Spec, Start, Started,
    Status,
};
use crate::agent::limits;
use crate::message::{Cause, Outcome, StartStep, Window};

/// A supervisor without processes: it records the calls and holds the output that a test writes.
#[derive(Default)]
pub struct FakeProcesses {
    pub spawned: Vec<(JobId, Spec)>,
    pub starts: Vec<(JobId, Start)>,
    /// Started and not yet reported.
    pub pending: Vec<JobId>,
    /// True if starts are not reported before [`Harness::report`].
    pub slow: bool,
    pub statuses: HashMap<JobId, Status>,
    pub written: HashMap<(JobId, Output), Vec<u8>>,
    pub released: HashMap<(JobId, Output), u64>,
    /// Windows of the streams that carry the outputs, once they have grown.
    pub lanes: HashMap<(JobId, Output), u64>,
    pub eof: HashSet<(JobId, Output)>,
    pub exits: HashMap<JobId, Exit>,
    pub stdin: HashMap<JobId, (Vec<u8>, bool)>,
    pub ended: Vec<(JobId, Force)>,
    pub causes: Vec<(JobId, Cause)>,
    pub signals: Vec<(JobId, i32)>,
    pub windows: Vec<(JobId, Window)>,
    pub pictures: HashMap<JobId, (u64, Window, Vec<u8>)>,
    pub taken_from_prompt: HashSet<JobId>,
    pub forgotten: Vec<JobId>,
    pub left: Vec<JobId>,
    pub shut: Vec<(JobId, Output)>,
    pub fails: Option<Errno>,
    pub refuses: Option<Outcome>,
}

impl FakeProcesses {
    pub fn released(&self, job: JobId, output: Output) -> u64 {
        self.released
            .get(&(job, output))
            .copied()
            .unwrap_or_default()
    }

    /// Returns a job as a supervisor passes it to a later agent.
    pub fn restored(&self, job: JobId, start: &Start) -> Restored {
        let (stdin, stdin_eof) = self.stdin.get(&job).cloned().unwrap_or_default();
        let cause = self.causes.iter().find(|cause| cause.0 == job);
        Restored {
            job,
            request: start.request,
            owner: start.owner.clone(),
            record: start.record.clone(),
            status: self.statuses[&job],
            released: Output::ALL.map(|output| self.released(job, output)),
            shut: Output::ALL.map(|output| self.shut.contains(&(job, output))),
            stdin_accepted: stdin.len() as u64,
            stdin_eof,
            cause: cause.map(|cause| cause.1),
            picture: self.pictures.get(&job).cloned(),
            taken_from_prompt: self.taken_from_prompt.contains(&job),
        }
    }

    /// Free space for an output.
    pub fn room(&self, job: JobId, output: Output) -> u64 {
        let held =
            self.statuses[&job].outputs[output as usize].saturating_sub(self.released(job, output));
        let window = self.lanes.get(&(job, output)).copied();
        window.unwrap_or(limits::LANE).saturating_sub(held)
    }
}

impl Processes for FakeProcesses {
    fn start(&mut self, job: JobId, start: Start) {
        let mut status = Status::STARTING;
        if let Some(errno) = self.fails {
            let (step, lingering) = (StartStep::Program, false);
            status.phase = Phase::Failed {
                errno,
                step,
                lingering,
            };
        } else if let Some(outcome) = self.refuses {
            status.phase = Phase::Refused(outcome);
        } else {
            status.phase = Phase::Running;
            let pid = Pid(1000 + i32::try_from(job.0).unwrap());
            status.started = Some(Started { pid, home: None });
            self.spawned.push((job, start.spec.clone()));
        }
        assert!(self.statuses.insert(job, status).is_none(), "a new number");
        self.starts.push((job, start));
        self.pending.push(job);
    }

    fn output(&mut self, job: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes> {
        assert!(from >= self.released(job, output), "released bytes");
        let [from, to] = [from, to].map(|offset| usize::try_from(offset).unwrap());
        vec![Bytes::copy_from_slice(
            &self.written[&(job, output)][from..to],
        )]
    }

    fn set_window(&mut self, job: JobId, output: Output, bytes: u64) {
        self.lanes.insert((job, output), bytes);
    }

    fn release(&mut self, job: JobId, output: Output, offset: u64) {
        assert!(!self.forgotten.contains(&job));
        assert!(offset > self.released(job, output), "released anew");
        self.released.insert((job, output), offset);
    }

    fn shut(&mut self, job: JobId, output: Output) {
        self.shut.push((job, output));
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        assert!(!self.forgotten.contains(&job));
        let (bytes, ended) = self.stdin.entry(job).or_default();
        assert!(!*ended, "bytes after the end");
        bytes.extend_from_slice(&data);
        *ended = eof;
        let waiting = bytes.len() as u64 - self.statuses[&job].stdin_written;
        assert!(waiting <= limits::STDIN);
    }

    fn end(&mut self, job: JobId, cause: Cause, force: Force) {
        self.causes.push((job, cause));
        self.ended.push((job, force));
    }

    fn detach(&mut self, job: JobId) {
        self.left.push(job);
    }

    fn signal(&mut self, job: JobId, signal: i32) -> bool {
        self.signals.push((job, signal));
        true
    }

    fn resize(&mut self, job: JobId, window: Window) {
        self.windows.push((job, window));
    }

    fn keep_picture(&mut self, job: JobId, offset: u64, size: Window, picture: Vec<u8>) {
        self.pictures.insert(job, (offset, size, picture));
    }

    fn take_from_prompt(&mut self, job: JobId) {
        assert!(self.taken_from_prompt.insert(job), "taken anew");
    }

    fn forget(&mut self, job: JobId) {
        assert!(!self.forgotten.contains(&job));
        self.forgotten.push(job);
    }
}
