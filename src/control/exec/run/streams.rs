//! Streams of a run: output of the hosts, messages of `udpctl`, and input for the hosts.

use std::io;
use std::time::Instant;

use bytes::Bytes;

use super::super::plan::STDOUT;
use super::super::show::ByteCount;
use super::super::{Failure, Goal, Interruption, Output, Task, Verbosity};
use super::Run;
use super::progress::Counts;
use crate::control::console;
use crate::control::stdio::{Chunk, StdinChunk, Written};
use crate::message::Fate;

impl Run<'_> {
    pub(super) fn on_written(&mut self, stream: usize, report: Written<Option<ByteCount>>) {
        let dropped = self.streams[stream].on_report(&report);
        for account in report.tags.iter().chain(&dropped).flatten() {
            self.written(account.slot, account.output, account.bytes);
        }
        let Some(error) = report.error else { return };
        let name = [STDOUT, "standard error"][stream];
        if self.has_kept() {
            // The window was closed; its signal may come later.
            self.terminal.is_hung_up = true;
            return;
        }
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
            self.broken(index, output);
        }
    }

    fn stream_failed(&mut self, name: &'static str, error: io::Error) {
        self.stop_for(Failure::Stream { name, error });
        if self.settings.goal == Goal::Detach {
            self.say_ids();
        }
    }

    /// Interrupts the run after a local failure.
    pub(super) fn stop_for(&mut self, failure: Failure) {
        self.say(&failure.to_string());
        self.finish.failure.get_or_insert(failure);
        self.interrupt(Interruption::Failed);
    }

    /// Names the requests that have ended or were left running, as their ids could not be printed.
    fn say_ids(&mut self) {
        let done = |&(index, task): &(usize, &Task)| {
            self.fates[index].is_some() && task.host.found().is_some()
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
                running.sent += data.len() as u64;
                self.ready.insert(index);
            }
        }
        self.settings.stdin &= !fin;
    }

    /// Returns true if stdin should be read: every job that takes input has credit for it, so the slowest host
    /// sets the pace.
    pub(super) fn wants_stdin(&mut self) -> bool {
        // A host that begins later would miss what was read before.
        if !self.settings.stdin || !self.schedule.is_begun() {
            return false;
        }
        let (mut wanting, mut stalled) = (0, 0);
        let now = Instant::now();
        for running in self.running.iter_mut().flatten() {
            if !running.job.takes_stdin() {
                running.stalled = None;
            } else if running.job.wants_stdin() {
                running.stalled = None;
                wanting += 1;
            } else {
                running.stalled.get_or_insert(now);
                stalled += 1;
            }
        }
        wanting > 0 && stalled == 0
    }

    /// Returns the time at which a host is dropped that holds up the input of the others.
    pub(super) fn stall_deadline(&self) -> Option<Instant> {
        let limit = self
            .settings
            .fleet
            .stdin_drop
            .filter(|_| self.settings.stdin)?;
        let stalled = self.running.iter().flatten();
        let since = stalled.filter_map(|running| running.stalled).min()?;
        Some(since + limit)
    }

    /// Cancels the commands that have held up the input of the others for too long.
    pub(super) fn drop_stalled(&mut self, now: Instant) {
        let Some(limit) = self.settings.fleet.stdin_drop else {
            return;
        };
        for index in 0..self.running.len() {
            let is_late = |since: Instant| since + limit <= now;
            if let Some(running) = &mut self.running[index]
                && running.stalled.is_some_and(is_late)
            {
                running.stalled = None;
                running.job.drop_input();
                running.job.cancel();
                self.ready.insert(index);
                let label = &self.tasks[index].label;
                self.say(&format!(
                    "{label}: canceled, as it took no input for {limit:?}"
                ));
            }
        }
    }

    pub(super) fn written(&mut self, slot: u32, output: Output, bytes: u64) {
        let index = self.index(slot);
        if let Some(job) = self.job(index) {
            job.on_written(output, bytes);
            self.ready.insert(index);
        }
    }

    pub(super) fn broken(&mut self, index: usize, output: Output) {
        if let Some(job) = self.job(index) {
            job.on_broken_pipe(output);
            self.ready.insert(index);
        }
    }

    pub(super) fn push(&mut self, output: Output, mut chunk: Chunk<Option<ByteCount>>) {
        let clear = self.progress.clear(output == Output::Stdout);
        if !clear.is_empty() {
            // A chunk of its own: the count of the output's bytes stays exact.
            let chunk = Chunk {
                tag: None,
                data: Bytes::from_static(clear),
            };
            let _ = self.streams[output as usize].push(chunk);
        }
        if chunk.tag.is_some_and(|count| count.bytes == 0) {
            chunk.tag = None;
        }
        if let Err(Some(account)) = self.streams[output as usize].push(chunk) {
            self.written(account.slot, account.output, account.bytes);
            self.broken(self.index(account.slot), output);
        }
    }

    pub(super) fn flush(&mut self, index: usize) {
        let label = self.tasks[index].label.clone();
        for (output, chunk) in self.show.flush(self.slot(index), &label) {
            self.push(output, chunk);
        }
    }

    /// Queues text of `udpctl` on stdout.
    pub(super) fn print(&mut self, text: String) {
        let chunk = Chunk {
            tag: None,
            data: text.into(),
        };
        self.push(Output::Stdout, chunk);
    }

    /// Returns true if the progress may be drawn now. A terminal that was stopped collects no lines.
    pub(super) fn may_draw(&self) -> bool {
        let stderr = &self.streams[Output::Stderr as usize];
        stderr.is_idle() && !self.schedule.asks() && !self.is_concluded
    }

    /// Draws the progress of the run on a terminal, if it is time to.
    pub(super) fn show_progress(&mut self) {
        if !self.may_draw() {
            return;
        }
        let ended = self.fates.iter().flatten();
        let counts = || Counts {
            ended: ended.clone().count(),
            errors: ended.clone().filter(|fate| **fate != Fate::Ok).count(),
            active: self.active,
        };
        let now = Instant::now();
        if self
            .progress
            .deadline()
            .is_some_and(|deadline| deadline <= now)
            && let counts = counts()
            && let Some(data) = self.progress.draw(counts, now, console::window().columns)
        {
            let _ = self.streams[Output::Stderr as usize].push(Chunk { tag: None, data });
        }
    }

    /// Queues a message of `udpctl` on stderr, behind what hosts have written there.
    pub(super) fn say(&mut self, line: &str) {
        self.note_message(line);
        self.say_once(line);
    }

    /// Queues a message that need not be repeated once a terminal is restored.
    pub(super) fn say_once(&mut self, line: &str) {
        if !self.quiet {
            let end = console::line_end();
            let data = format!("udpctl: {line}{end}").into();
            self.push(Output::Stderr, Chunk { tag: None, data });
        }
    }

    /// Writes a message of `udpctl` to stderr without the queue, which may be held up by a stopped terminal.
    pub(super) fn say_now(&self, line: &str) {
        if self.settings.verbosity != Verbosity::Silent {
            let line = format!("udpctl: {line}{}", console::line_end());
            self.streams[Output::Stderr as usize].write_now(line.as_bytes());
        }
    }
}
