//! The loop of `exec` and `attach`: one thread that feeds the attempts and waits for the next thing.
//!
//! It never blocks on anything but the select: names were resolved before, terminals and pipes have
//! threads. Invariant: when it returns, everything that was received and has a reader is written.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, never, select};

use super::plan::{Finish, Interruption, Settings, Task, Verbosity};
use super::show::{Account, Show, Shown, Style};
use super::summary::{self, Fate, Tally};
use super::{Action, Attempt, Config, Goal, Output, Report};
use crate::control::limits;
use crate::control::link::{Directory, Link};
use crate::control::stdio::{Chunk, Piece, Reader, Writer, Written};
use crate::message::Outcome;
use crate::net;
use crate::session::Ticket;
use crate::time::micros;

/// One host that is being talked to.
struct Running {
    attempt: Attempt,
    began: Instant,
    learned: Option<Ticket>,
}

struct Run<'a> {
    link: &'a Link,
    directory: Option<&'a Directory>,
    settings: Settings,
    tasks: Vec<Task>,
    /// The slot of the first task.
    base: u32,
    /// By task.
    running: Vec<Option<Box<Running>>>,
    /// Slots with actions to take.
    ready: BTreeSet<u32>,
    /// The first task that has not begun.
    next: usize,
    active: usize,
    show: Show,
    streams: [Writer<Account>; 2],
    finish: Finish,
    /// Nothing more is to be said: the reader has left.
    quiet: bool,
}

/// Runs all tasks to their ends. `signals` brings SIGINT and its kin; what is learnt of agents is remembered
/// in `directory`.
#[must_use]
pub fn run(
    link: &Link,
    directory: Option<&Directory>,
    tasks: Vec<Task>,
    settings: Settings,
    signals: &Receiver<i32>,
) -> Finish {
    let began = Instant::now();
    let mut run = Run {
        link,
        directory,
        base: link.reserve(tasks.len()),
        running: tasks.iter().map(|_| None).collect(),
        tasks,
        ready: BTreeSet::new(),
        next: 0,
        active: 0,
        show: Show::new(settings.style),
        streams: [stdout(), stderr()].map(Writer::new),
        settings,
        finish: Finish {
            tally: Tally::default(),
            report: None,
            interruption: None,
            took: Duration::ZERO,
        },
        quiet: false,
    };
    run.run(signals);
    run.finish.took = began.elapsed();
    run.finish
}

impl Run<'_> {
    fn run(&mut self, signals: &Receiver<i32>) {
        let events = self.link.events().clone();
        let reports = [0, 1].map(|stream| self.streams[stream].reports().clone());
        let (idle, mut reader) = (never(), None);
        loop {
            self.begin_some();
            self.act();
            self.streams.iter_mut().for_each(Writer::flush);
            if self.active == 0 && self.streams.iter().all(Writer::is_idle) {
                return;
            }
            let chunks = if self.wants_stdin() {
                reader.get_or_insert_with(Reader::start).chunks()
            } else {
                &idle
            };
            select! {
                recv(events) -> event => match event {
                    Ok(event) => {
                        self.on_event(event);
                        // What has come together is acted upon together.
                        for event in events.try_iter().take(limits::EVENTS_AT_ONCE) {
                            self.on_event(event);
                        }
                    }
                    Err(_) => return self.fail("the network thread has ended"),
                },
                recv(reports[0]) -> report => self.on_written(0, &report.expect("the writer holds its sender")),
                recv(reports[1]) -> report => self.on_written(1, &report.expect("the writer holds its sender")),
                recv(chunks) -> chunk => self.on_stdin(chunk.unwrap_or(Chunk::End)),
                recv(signals) -> signal => if let Ok(signal) = signal && self.on_signal(signal) {
                    return;
                },
            }
        }
    }

    /// Begins as many hosts as the window allows.
    fn begin_some(&mut self) {
        while self.active < limits::WINDOW && self.next < self.tasks.len() {
            let index = self.next;
            self.next += 1;
            let slot = self.slot(index);
            if self.finish.interruption.is_some() {
                let label = self.tasks[index].label.clone();
                self.finish.tally.add(Fate::Skipped, &label);
                continue;
            }
            match &self.tasks[index].host {
                Ok(host) => {
                    let attempt = Attempt::new(Config {
                        slot,
                        opening: self.tasks[index].opening.clone(),
                        goal: self.settings.goal,
                        agent: host.agent,
                        paths: host.paths.clone(),
                        ticket: host.ticket,
                        begun: net::Clock.now(),
                        contact_timeout: self.settings.contact_timeout,
                        patience: self.settings.patience,
                    });
                    self.running[index] = Some(Box::new(Running {
                        attempt,
                        began: Instant::now(),
                        learned: None,
                    }));
                    self.active += 1;
                    self.ready.insert(slot);
                }
                Err(error) => {
                    let report = Report {
                        id: self.tasks[index].opening.id(),
                        outcome: Some(Outcome::Unreachable {}),
                        accepted: false,
                        lengths: [0, 0],
                        missing: [0, 0],
                        streams_open: false,
                        note: Some(error.to_string()),
                    };
                    let line = format!("{}: {error}", self.tasks[index].label);
                    self.ended(index, report, Duration::ZERO, Some(line));
                }
            }
        }
    }

    /// Takes all actions that are due.
    fn act(&mut self) {
        while let Some(slot) = self.ready.pop_first() {
            while let Some(action) = self.attempt(slot).and_then(Attempt::poll) {
                self.take(slot, action);
            }
        }
    }

    fn take(&mut self, slot: u32, action: Action) {
        let index = self.index(slot);
        match action {
            Action::Command(command) => self.link.send(command),
            Action::Output(output, data) => {
                let label = &self.tasks[index].label;
                match self.show.on_output(slot, label, output, data) {
                    Shown::Piece(piece) => self.push(output, piece),
                    Shown::Held => {}
                    Shown::Kept(bytes) => self.written((slot, output, bytes)),
                }
            }
            Action::Learned(ticket) => {
                if let Some(running) = &mut self.running[index] {
                    running.learned = Some(ticket);
                }
            }
            Action::Accepted => {}
            Action::Flush => self.flush(slot),
            Action::Ended(report) => {
                self.flush(slot);
                let running = self.running[index].take().expect("it has just reported");
                self.active -= 1;
                self.learn(index, running.learned);
                let line = (summary::is_worth_a_line(&report)
                    || self.settings.verbosity == Verbosity::Verbose
                    || self.is_fleet() && Fate::of(report.outcome) != Fate::Ok)
                    .then(|| summary::line(&self.tasks[index].label, &report));
                self.ended(index, report, running.began.elapsed(), line);
            }
        }
    }

    fn on_event(&mut self, event: net::Event) {
        self.link.taken();
        match event {
            net::Event::Session(event) => {
                if let Some(connection) = event.connection() {
                    let slot = Attempt::slot_of(connection);
                    if let Some(attempt) = self.attempt(slot) {
                        attempt.on_event(event);
                        self.ready.insert(slot);
                    }
                }
            }
            net::Event::Failed { address, error } => self.say(&format!("{address}: {error}")),
            net::Event::Plain { .. } | net::Event::Suppressed { .. } => {}
        }
    }

    fn on_written(&mut self, stream: usize, report: &Written<Account>) {
        let in_vain = self.streams[stream].on_report(report);
        for account in report.tags.iter().chain(&in_vain).flatten() {
            self.written(*account);
        }
        let Some(error) = &report.error else { return };
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.quiet = true;
            self.interrupt(Interruption::BrokenPipe);
        } else {
            let name = ["standard output", "standard error"][stream];
            self.say(&format!("{name}: {error}"));
            self.interrupt(Interruption::Failed);
        }
        let output = Output::ALL[stream];
        for index in 0..self.running.len() {
            self.broken(self.slot(index), output);
        }
    }

    fn on_stdin(&mut self, chunk: Chunk) {
        let (data, fin) = match chunk {
            Chunk::Data(data) => (data, false),
            Chunk::End => (Bytes::new(), true),
            Chunk::Failed(error) => {
                // Not the end of input: the command must not take it for one.
                self.say(&format!("standard input: {error}"));
                self.settings.stdin = false;
                return self.interrupt(Interruption::Failed);
            }
        };
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.attempt.on_stdin(data.clone(), fin);
                self.ready.insert(self.slot(index));
            }
        }
        self.settings.stdin &= !fin;
    }

    /// Those who take input all have room for it: the slowest sets the pace.
    fn wants_stdin(&self) -> bool {
        if !self.settings.stdin {
            return false;
        }
        let mut takers = self
            .running
            .iter()
            .flatten()
            .map(|running| &running.attempt)
            .filter(|attempt| attempt.takes_stdin())
            .peekable();
        takers.peek().is_some() && takers.all(Attempt::wants_stdin)
    }

    /// True: leave at once.
    fn on_signal(&mut self, signal: i32) -> bool {
        if self.finish.interruption.is_none() {
            self.say("canceling; press Ctrl-C again to leave at once");
            self.interrupt(Interruption::Signal(signal));
            return false;
        }
        for index in 0..self.running.len() {
            if let Some(running) = self.running[index].take() {
                let label = &self.tasks[index].label;
                // The terminal may be what is held, so no queue.
                eprintln!(
                    "udpctl: {label}: left, and it may still run; request {}",
                    running.attempt.id()
                );
            }
        }
        self.finish.interruption = Some(Interruption::Signal(signal));
        true
    }

    fn interrupt(&mut self, interruption: Interruption) {
        self.finish.interruption.get_or_insert(interruption);
        for index in 0..self.running.len() {
            if let Some(running) = &mut self.running[index] {
                running.attempt.cancel();
                self.ready.insert(self.slot(index));
            }
        }
    }

    fn fail(&mut self, what: &str) {
        eprintln!("udpctl: {what}");
        self.finish.interruption = Some(Interruption::Failed);
    }

    fn attempt(&mut self, slot: u32) -> Option<&mut Attempt> {
        let index = slot.checked_sub(self.base)? as usize;
        let running = self.running.get_mut(index)?.as_mut()?;
        Some(&mut running.attempt)
    }

    fn slot(&self, index: usize) -> u32 {
        self.base + u32::try_from(index).expect("Link::reserve has counted them")
    }

    const fn index(&self, slot: u32) -> usize {
        (slot - self.base) as usize
    }

    fn is_fleet(&self) -> bool {
        self.tasks.len() > 1
    }

    fn written(&mut self, (slot, output, bytes): (u32, Output, u64)) {
        if let Some(attempt) = self.attempt(slot) {
            attempt.on_written(output, bytes);
            self.ready.insert(slot);
        }
    }

    fn broken(&mut self, slot: u32, output: Output) {
        if let Some(attempt) = self.attempt(slot) {
            attempt.on_broken_pipe(output);
            self.ready.insert(slot);
        }
    }

    fn push(&mut self, output: Output, piece: Piece<Account>) {
        if let Err(Some(account)) = self.streams[output as usize].push(piece) {
            self.written(account);
            self.broken(account.0, output);
        }
    }

    fn flush(&mut self, slot: u32) {
        let label = self.tasks[self.index(slot)].label.clone();
        for (output, piece) in self.show.flush(slot, &label) {
            self.push(output, piece);
        }
    }

    /// A line of our own on stderr, behind what hosts have written there.
    fn say(&mut self, line: &str) {
        if !self.quiet {
            let data = format!("udpctl: {line}\n").into();
            let _ = self.streams[Output::Stderr as usize].push(Piece { tag: None, data });
        }
    }

    fn learn(&self, index: usize, learned: Option<Ticket>) {
        if let (Some(ticket), Ok(host), Some(directory)) =
            (learned, &self.tasks[index].host, self.directory)
            && host.ticket.is_none_or(|known| is_news(&known, &ticket))
        {
            directory.learn(&host.agent, &ticket);
        }
    }

    fn ended(&mut self, index: usize, report: Report, took: Duration, line: Option<String>) {
        let label = self.tasks[index].label.clone();
        if let Style::Json(_) = self.settings.style {
            let captured = self.show.take_captured(self.slot(index));
            let mut object = summary::object(&label, &report, &captured, took).to_string();
            object.push('\n');
            let data = object.into();
            let _ = self.streams[Output::Stdout as usize].push(Piece { tag: None, data });
        } else if self.settings.goal == Goal::Detach && report.outcome.is_none() {
            let data = if self.is_fleet() {
                format!("{label}: {}\n", report.id)
            } else {
                format!("{}\n", report.id)
            };
            let _ = self.streams[Output::Stdout as usize].push(Piece {
                tag: None,
                data: data.into(),
            });
        }
        if let Some(line) = line {
            self.say(&line);
        }
        self.finish.tally.add(Fate::of(report.outcome), &label);
        self.finish.report = Some(report);
    }
}

/// Whether a ticket is worth writing down: another run of the agent, or a clock or path that changed.
fn is_news(known: &Ticket, learned: &Ticket) -> bool {
    known.epoch != learned.epoch
        || known.offset.abs_diff(learned.offset) > micros(limits::TICKET_DRIFT)
        || learned.rtt > 2 * known.rtt
        || 2 * learned.rtt < known.rtt
}

fn stdout() -> BorrowedFd<'static> {
    rustix::stdio::stdout()
}

fn stderr() -> BorrowedFd<'static> {
    rustix::stdio::stderr()
}
