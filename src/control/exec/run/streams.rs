//! Streams of a run: output of the hosts, messages of `udpctl`, and input for the hosts.

use std::io;

use bytes::Bytes;

use super::super::show::ByteCount;
use super::super::{Failure, Goal, Interruption, Output, RemoteJob, Task, Verbosity};
use super::Run;
use crate::control::stdio::{Chunk, StdinChunk, Written};

impl Run<'_> {
    pub(super) fn on_written(&mut self, stream: usize, report: Written<Option<ByteCount>>) {
        let dropped = self.streams[stream].on_report(&report);
        for account in report.tags.iter().chain(&dropped).flatten() {
            self.written(account.slot, account.output, account.bytes);
        }
        let Some(error) = report.error else { return };
        let name = ["standard output", "standard error"][stream];
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.quiet = true;
            self.finish
                .failure
                .get_or_insert(Failure::Stream { name, error });
            self.interrupt(Interruption::BrokenPipe);
        } else {
            self.stream_failed(name, error);
        }
        let output = Output::ALL[stream];
        for index in 0..self.running.len() {
            self.broken(self.slot(index), output);
        }
    }

    fn stream_failed(&mut self, name: &'static str, error: io::Error) {
        let failure = Failure::Stream { name, error };
        self.say(&failure.to_string());
        if self.settings.goal == Goal::Detach {
            self.say_ids();
        }
        self.finish.failure.get_or_insert(failure);
        self.interrupt(Interruption::Failed);
    }

    /// Names the requests that have ended or were left running, as their ids could not be printed.
    fn say_ids(&mut self) {
        let done = |&(index, task): &(usize, &Task)| {
            index < self.next && self.running[index].is_none() && task.host.is_ok()
        };
        let tasks = self.tasks.iter().enumerate().filter(done);
        let lines: Vec<String> = tasks
            .map(|(_, task)| format!("{}: request {}", task.label, task.request.id()))
            .collect();
        for line in lines {
            self.say(&line);
        }
    }

    pub(super) fn on_stdin(&mut self, chunk: StdinChunk) {
        let (data, fin) = match chunk {
            StdinChunk::Data(data) => (data, false),
            StdinChunk::End => (Bytes::new(), true),
            StdinChunk::Failed(error) => {
                // No end of input is sent: the command must not take a failure for one.
                self.settings.stdin = false;
                return self.stream_failed("standard input", error);
            }
        };
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.job.on_stdin(data.clone(), fin);
                self.ready.insert(self.slot(index));
            }
        }
        self.settings.stdin &= !fin;
    }

    /// Returns true if stdin should be read: every job that takes input has credit for it, so the slowest host
    /// sets the pace.
    pub(super) fn wants_stdin(&self) -> bool {
        if !self.settings.stdin {
            return false;
        }
        let mut takers = self
            .running
            .iter()
            .flatten()
            .map(|running| &running.job)
            .filter(|job| job.takes_stdin())
            .peekable();
        takers.peek().is_some() && takers.all(RemoteJob::wants_stdin)
    }

    pub(super) fn written(&mut self, slot: u32, output: Output, bytes: u64) {
        if let Some(job) = self.job(slot) {
            job.on_written(output, bytes);
            self.ready.insert(slot);
        }
    }

    pub(super) fn broken(&mut self, slot: u32, output: Output) {
        if let Some(job) = self.job(slot) {
            job.on_broken_pipe(output);
            self.ready.insert(slot);
        }
    }

    pub(super) fn push(&mut self, output: Output, chunk: Chunk<Option<ByteCount>>) {
        if let Err(Some(account)) = self.streams[output as usize].push(chunk) {
            self.written(account.slot, account.output, account.bytes);
            self.broken(account.slot, output);
        }
    }

    pub(super) fn flush(&mut self, slot: u32) {
        let label = self.tasks[self.index(slot)].label.clone();
        for (output, chunk) in self.show.flush(slot, &label) {
            self.push(output, chunk);
        }
    }

    /// Queues a message of `udpctl` on stderr, behind what hosts have written there.
    pub(super) fn say(&mut self, line: &str) {
        if !self.quiet {
            let end = if self.console.is_some() { "\r\n" } else { "\n" };
            let data = format!("udpctl: {line}{end}").into();
            let _ = self.streams[Output::Stderr as usize].push(Chunk { tag: None, data });
        }
    }

    /// Writes a message of `udpctl` to stderr without the queue, which may be held up by a stopped terminal.
    pub(super) fn say_now(&self, line: &str) {
        if self.settings.verbosity != Verbosity::Silent {
            let line = format!("udpctl: {line}\n");
            self.streams[Output::Stderr as usize].write_now(line.as_bytes());
        }
    }
}
