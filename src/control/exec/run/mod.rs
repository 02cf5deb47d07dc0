//! Loop of `exec` and `attach`: one thread that feeds the jobs of all hosts and waits for the next event.
//!
//! The loop blocks only in its `select`: names are resolved before, and the streams have threads of their own. Invariant: when it returns, everything that was received and has a reader is written.

mod hosts;
mod streams;
mod terminal;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};
use rustix::process::Signal;

use super::plan::{Failure, Finish, Interruption, Settings, Task, Verbosity};
use super::show::{ByteCount, Show};
use super::summary::{Fate, Tally};
use super::{JobRequest, RemoteJob};
use crate::control::client::Client;
use crate::control::console::Console;
use crate::control::host_resolver::HostResolver;
use crate::control::journal::{Live, State};
use crate::control::limits;
use crate::control::stdio::{Ledger, Reader, StdinChunk, Streams, Writer};
use crate::message::OnDisconnect;
use crate::session::Ticket;

/// Host in progress.
struct Running {
    job: RemoteJob,
    began: Instant,
    learned: Option<Ticket>,
}

struct Run<'a> {
    client: &'a Client,
    resolver: Option<&'a HostResolver>,
    settings: Settings,
    tasks: Vec<Task>,
    /// Slot of the first task.
    base: u32,
    /// Hosts in progress, by task.
    running: Vec<Option<Box<Running>>>,
    /// Slots of jobs that have actions to take.
    ready: BTreeSet<u32>,
    /// Index of the first task that has not begun.
    next: usize,
    active: usize,
    show: Show,
    streams: [Writer<Option<ByteCount>>; 2],
    /// The user's terminal, while it is the command's.
    console: Option<Console>,
    finish: Finish,
    /// True if the reader of an output has closed it: messages of `udpctl` are dropped.
    quiet: bool,
    /// True if a message on stderr has to be written before more of stdout is.
    stdout_waits: bool,
    /// Journal entries of the requests.
    journal: Option<Live>,
}

/// Runs all tasks to their ends. `signals` carries SIGINT and the other signals that interrupt or are forwarded,
/// and SIGWINCH. Tickets of agents are stored in `resolver`, states of requests in `journal`. The input is read only
/// if the settings say so.
#[must_use]
pub fn run(
    client: &Client,
    resolver: Option<&HostResolver>,
    journal: Option<Live>,
    tasks: Vec<Task>,
    settings: Settings,
    streams: Streams,
    signals: &Receiver<i32>,
) -> Finish {
    let began = Instant::now();
    let base = client.reserve(tasks.len());
    let writer = |sink| {
        let ledger = journal.as_ref().map(|journal| {
            let ledger: Box<dyn Ledger<Option<ByteCount>>> = Box::new(journal.ledger(base));
            ledger
        });
        Writer::new(sink, ledger)
    };
    let mut run = Run {
        client,
        resolver,
        base,
        running: tasks.iter().map(|_| None).collect(),
        tasks,
        ready: BTreeSet::new(),
        next: 0,
        active: 0,
        show: Show::new(settings.style),
        streams: [streams.stdout, streams.stderr].map(writer),
        quiet: settings.verbosity == Verbosity::Silent,
        settings,
        console: None,
        finish: Finish {
            tally: Tally::default(),
            report: None,
            ticket: None,
            interruption: None,
            failure: None,
            took: Duration::ZERO,
        },
        stdout_waits: false,
        journal,
    };
    run.run(streams.stdin, signals);
    if let Some(journal) = run.journal.take() {
        journal.close();
    }
    run.finish.took = began.elapsed();
    run.finish
}

impl Run<'_> {
    fn run(&mut self, mut stdin: Option<Box<dyn Read + Send>>, signals: &Receiver<i32>) {
        let events = self.client.events().clone();
        let reports = [0, 1].map(|stream| self.streams[stream].reports().clone());
        let (idle, mut reader) = (never(), None);
        loop {
            self.begin_some();
            self.act();
            self.flush_streams();
            if self.active == 0 && self.streams.iter().all(Writer::is_idle) {
                return;
            }
            let chunks = if self.wants_stdin() {
                let start = || Reader::start(stdin.take().unwrap_or_else(|| Box::new(io::empty())));
                reader.get_or_insert_with(start).chunks()
            } else {
                &idle
            };
            select! {
                recv(events) -> event => match event {
                    Ok(event) => {
                        self.on_event(event);
                        // Events that are already there are handled before their actions are taken, up to a limit.
                        for event in events.try_iter().take(limits::EVENTS_AT_ONCE) {
                            self.on_event(event);
                        }
                    }
                    Err(_) => return self.fail(Failure::Network),
                },
                recv(reports[0]) -> report => self.on_written(0, report.expect("the writer holds its sender")),
                recv(reports[1]) -> report => self.on_written(1, report.expect("the writer holds its sender")),
                recv(chunks) -> chunk => if self.on_typed(chunk.unwrap_or(StdinChunk::End)) {
                    return self.leave(Interruption::Left);
                },
                recv(signals) -> signal => if let Ok(signal) = signal && self.on_signal(signal) {
                    return;
                },
            }
        }
    }

    fn flush_streams(&mut self) {
        let [stdout, stderr] = &mut self.streams;
        stderr.flush();
        self.stdout_waits &= !stderr.is_idle();
        if !self.stdout_waits {
            stdout.flush();
        }
    }

    /// Handles a signal. Returns true if the run has to end at once.
    fn on_signal(&mut self, signal: i32) -> bool {
        if signal == Signal::WINCH.as_raw() {
            self.on_window();
            return false;
        }
        if self.settings.forward.contains(&signal) && self.active > 0 {
            for index in 0..self.running.len() {
                if let Some(running) = &mut self.running[index] {
                    running.job.signal(signal);
                    self.ready.insert(self.slot(index));
                }
            }
            return false;
        }
        if self.finish.interruption.is_none() {
            let mut running = self.running.iter().flatten();
            self.say(if running.any(|running| running.job.was_accepted()) {
                "canceling; press Ctrl-C again to leave at once"
            } else {
                "no agent has answered yet; press Ctrl-C again to leave at once"
            });
            self.interrupt(Interruption::Signal(signal));
            return false;
        }
        self.leave(Interruption::Signal(signal));
        true
    }

    /// Ends the run at once and names the commands that may still run. Writes to stderr directly: the queue may be
    /// held up by a stopped terminal.
    fn leave(&mut self, interruption: Interruption) {
        self.restore_now();
        for index in 0..self.running.len() {
            if let Some(running) = self.running[index].take() {
                if !running.job.may_be_there() {
                    self.write_state(index, State::Void);
                }
                let label = &self.tasks[index].label;
                self.finish.tally.add(Fate::Left, label);
                let id = running.job.id();
                if interruption == Interruption::Left {
                    let end = end_of_left(&self.tasks[index].request);
                    self.say_now(&format!(
                        "{label}: left; \"udpctl attach {label} {id}\" comes back to it while it runs{end}"
                    ));
                } else {
                    self.say_now(&format!(
                        "{label}: left, and it may still run; request {id}"
                    ));
                }
            }
        }
        while let Some(task) = self.tasks.get(self.next) {
            self.finish.tally.add(Fate::Skipped, &task.label);
            self.write_state(self.next, State::Void);
            self.next += 1;
        }
        self.finish.interruption = Some(interruption);
    }

    fn interrupt(&mut self, interruption: Interruption) {
        self.finish.interruption.get_or_insert(interruption);
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.job.cancel();
                self.ready.insert(self.slot(index));
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.say_now(&failure.to_string());
        self.finish.interruption = Some(Interruption::Failed);
        self.finish.failure.get_or_insert(failure);
    }

    fn job(&mut self, slot: u32) -> Option<&mut RemoteJob> {
        let index = slot.checked_sub(self.base)? as usize;
        let running = self.running.get_mut(index)?.as_mut()?;
        Some(&mut running.job)
    }

    fn slot(&self, index: usize) -> u32 {
        self.base + u32::try_from(index).expect("Client::reserve has counted them")
    }

    const fn index(&self, slot: u32) -> usize {
        (slot - self.base) as usize
    }

    fn is_fleet(&self) -> bool {
        self.tasks.len() > 1
    }
}

/// Returns what ends a command that was left, in words.
fn end_of_left(request: &JobRequest) -> String {
    match request {
        JobRequest::Exec(exec) => match exec.on_disconnect {
            OnDisconnect::Keep => String::new(),
            OnDisconnect::Kill => {
                let lease = exec.lease_ms.map(Duration::from_millis);
                let lease = lease.unwrap_or(limits::RETRY_FOR);
                format!(", at most {lease:?} from now on")
            }
        },
        JobRequest::Attach { .. } => {
            "; unless it was started to be kept, it is ended after its lease".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
