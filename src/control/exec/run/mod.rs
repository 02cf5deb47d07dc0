//! Loop of `exec` and `attach`: one thread that feeds the jobs of all hosts and waits for the next event.
//!
//! The loop blocks only in its `select`: names are looked up by threads of their own, and so are the streams read and
//! written. Invariant: when it returns, everything that was received and has a reader is written, unless the user has left it
//! or the network has failed.

mod ends;
mod exchanging;
mod hosts;
mod interruption;
mod keyboard;
mod progress;
mod rate;
mod streams;
mod terminal;

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use self::progress::Progress;
use self::terminal::{HANGUP, UserTerminal};
use super::RemoteJob;
use super::exchange::Exchange;
use super::host_files::HostFiles;
use super::job_log::JobLog;
use super::plan::{Failure, Finish, Interruption, Settings, Task, TaskHost, Verbosity};
use super::recorder::Recorder;
use super::show::{ByteCount, Show};
use super::surroundings::Surroundings;
use crate::control::client::Client;
use crate::control::contact::Reporters;
use crate::control::fleet::{Schedule, Stop};
use crate::control::host_resolver::HostResolver;
use crate::control::limits;
use crate::control::lookups::{LookupEvent, Lookups};
use crate::control::stdio::{Ledger, Reader, StdinChunk, Writer};
use crate::control::window::Window;
use crate::message::Fate;
use crate::net;
use crate::session::Ticket;
use crate::time;

/// Host in progress.
struct Running {
    job: RemoteJob,
    /// Slot of its sessions.
    slot: u32,
    began: Instant,
    learned: Option<Ticket>,
    /// Bytes of input that were sent to it.
    sent: u64,
    /// True if a piece of input was asked for and has not come.
    is_asked: bool,
    /// Time since which it holds up the input of all.
    stalled: Option<Instant>,
    /// True if its actions wait for room in the queue of an output.
    is_held: bool,
    /// True if the agent keeps the command when it is left.
    is_kept: bool,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts, each named"
)]
struct Run<'a> {
    client: &'a Client,
    resolver: Option<&'a HostResolver>,
    settings: Settings,
    tasks: Vec<Task>,
    /// Slot of the first task. Each attempt to reach a host has another one.
    base: u32,
    /// Further attempts that were made, and the time of the first, by task.
    attempts: Vec<(u32, Option<time::Instant>)>,
    /// Addresses of the hosts of a run over several that have begun.
    reporters: Reporters,
    /// Hosts in progress, by task.
    running: Vec<Option<Box<Running>>>,
    active: usize,
    /// Tasks with actions to take.
    ready: BTreeSet<usize>,
    /// Tasks whose actions wait for room in the queue of an output, in the order of their turns.
    held: VecDeque<usize>,
    schedule: Schedule,
    window: Window,
    lookups: Option<Lookups>,
    fates: Vec<Option<Fate>>,
    show: Show,
    files: HostFiles,
    job_log: Option<JobLog>,
    /// Ends that are named together when the run ends: the task, and the outcome in words.
    ends: Vec<(usize, String)>,
    streams: [Writer<Option<ByteCount>>; 2],
    exchange: Option<Exchange>,
    progress: Progress,
    terminal: UserTerminal,
    /// Time at which a person at a terminal is told that the only host has not answered yet.
    silence_noted: Option<Instant>,
    finish: Finish,
    /// True if the reader of an output has closed it: messages of `udpctl` are dropped.
    quiet: bool,
    /// True if a message on stderr has to be written before more of stdout is.
    stdout_waits: bool,
    /// True if the terminal has to be restored on stdout before a message is written.
    stderr_waits: bool,
    /// True if nobody can answer a question: there is no keyboard, or its input has ended.
    is_unattended: bool,
    /// True once what was gathered is queued.
    is_concluded: bool,
    /// Journal entries of the requests.
    recorder: Option<Recorder>,
    /// Called when the first agent has accepted its request.
    on_accepted: Option<Box<dyn FnOnce() + 'a>>,
}

/// Runs all tasks to their ends. The input is read only if the settings say so.
#[must_use]
pub fn run(tasks: Vec<Task>, settings: Settings, surroundings: Surroundings<'_>) -> Finish {
    let began = Instant::now();
    let Surroundings {
        client,
        resolver,
        mut recorder,
        streams,
        exchange,
        files,
        job_log,
        on_accepted,
        signals,
    } = surroundings;
    let total = tasks.len();
    let base = client.reserve(total.saturating_mul(settings.fleet.retries as usize + 1));
    let ledgers = [0, 1].map(|_| {
        let live = recorder.as_mut()?.live();
        let ledger: Box<dyn Ledger<Option<ByteCount>>> = Box::new(live.ledger(base));
        Some(ledger)
    });
    let [to_stdout, to_stderr] = ledgers;
    let mut run = Run {
        client,
        resolver,
        base,
        attempts: vec![(0, None); total],
        reporters: Reporters::default(),
        running: tasks.iter().map(|_| None).collect(),
        active: 0,
        ready: BTreeSet::new(),
        held: VecDeque::new(),
        schedule: Schedule::new(total, settings.fleet.rules),
        window: Window::new(settings.fleet.places).with_first_contacts(client.first_contacts()),
        lookups: None,
        fates: vec![None; total],
        show: Show::new(settings.style),
        files,
        job_log,
        ends: Vec::new(),
        streams: [
            Writer::new(streams.stdout, to_stdout),
            Writer::new(streams.stderr, to_stderr),
        ],
        progress: match &exchange {
            None => Progress::new(settings.fleet.terminals, total, began),
            Some(exchange) => {
                let meter = Arc::clone(&exchange.meter);
                Progress::of_bytes(settings.fleet.terminals, total, began, meter)
            }
        },
        exchange,
        quiet: settings.verbosity == Verbosity::Silent,
        terminal: UserTerminal::default(),
        silence_noted: (settings.fleet.terminals.stderr && total == 1 && !settings.style.is_json())
            .then(|| began + limits::SILENCE_NOTED),
        finish: Finish::default(),
        stdout_waits: false,
        stderr_waits: false,
        is_unattended: !settings.fleet.keyboard,
        is_concluded: false,
        recorder,
        on_accepted,
        tasks,
        settings,
    };
    run.find_hosts();
    run.run(streams.stdin, signals);
    if let Some(recorder) = run.recorder.take() {
        recorder.close();
    }
    let fate = |fate: Option<Fate>| fate.unwrap_or(Fate::Skipped);
    run.finish.fates = run.fates.into_iter().map(fate).collect();
    run.finish.stopped = run.schedule.stopped();
    run.finish.incomplete = run.files.into_incomplete();
    run.finish.took = began.elapsed();
    run.finish
}

impl Run<'_> {
    /// Begins to look up the names of hosts that are not known yet.
    fn find_hosts(&mut self) {
        let mut names = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            match &task.host {
                TaskHost::Found(_) => self.schedule.ready(index),
                TaskHost::Named(target) => names.push((index, target.clone())),
            }
        }
        if !names.is_empty() {
            self.lookups = Some(Lookups::start(names, self.settings.contact_timeout));
        }
    }

    fn run(&mut self, mut stdin: Option<Box<dyn Read + Send>>, signals: &Receiver<i32>) {
        let events = self.client.events().clone();
        let reports = [0, 1].map(|stream| self.streams[stream].reports().clone());
        let mut keyboard = never();
        if self.settings.fleet.keyboard {
            match keyboard::start() {
                Ok(lines) => keyboard = lines,
                Err(_) => self.is_unattended = true,
            }
        }
        let (no_chunk, no_lookup, mut reader) = (never(), never(), None);
        let exchange = self.exchange_events();
        loop {
            self.act();
            // A host that has just ended makes room for others.
            while self.begin_some() {
                self.act();
            }
            if self.active == 0 && self.schedule.is_done() {
                self.conclude();
                self.flush_streams();
                if self.streams.iter().all(Writer::is_idle) {
                    return;
                }
            }
            self.ask_for_input();
            self.show_progress();
            self.flush_streams();
            let chunks = if self.wants_stdin() {
                let start = || Reader::start(stdin.take().unwrap_or_else(|| Box::new(io::empty())));
                reader.get_or_insert_with(start).chunks()
            } else {
                &no_chunk
            };
            let lookups = self
                .lookups
                .as_ref()
                .map(|lookups| lookups.events().clone());
            let wait = self.wait();
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
                recv(chunks) -> chunk => if let Some(reason) = self.on_typed(chunk.unwrap_or(StdinChunk::End)) {
                    // What was typed before goes to the command.
                    self.act();
                    return self.leave(reason);
                },
                recv(exchange) -> event => if event.map(|event| self.on_exchange(event, &exchange)).is_err() {
                    return self.fail(Failure::Exchange);
                },
                recv(signals) -> signal => if let Ok(signal) = signal && self.on_signal(signal) {
                    return;
                },
                recv(keyboard) -> line => if let Ok(line) = line {
                    self.on_line(&line);
                } else {
                    keyboard = never();
                    self.on_keyboard_end();
                },
                recv(lookups.as_ref().unwrap_or(&no_lookup)) -> event => if let Ok(event) = event {
                    self.on_lookup(event);
                },
                default(wait) => {}
            }
            if self.terminal.is_hung_up {
                return self.leave(HANGUP);
            }
            self.on_time();
        }
    }

    fn on_lookup(&mut self, event: LookupEvent) {
        let lookups = self.lookups.as_mut();
        let found = lookups.and_then(|lookups| lookups.on_event(event, Instant::now()));
        if let Some((index, addresses)) = found {
            self.found(index, addresses);
        }
    }

    /// Handles what is due without an event.
    fn on_time(&mut self) {
        let now = Instant::now();
        while let Some((index, addresses)) = self
            .lookups
            .as_mut()
            .and_then(|lookups| lookups.overdue(now))
        {
            self.found(index, addresses);
        }
        self.drop_stalled(now);
        if self.silence_noted.take_if(|at| *at <= now).is_some() {
            match self.job(0).map(|job| job.waiting()) {
                Some(Some(words)) => self.say(&format!("{}: {words}", self.tasks[0].label)),
                Some(None) => {}
                // Its name is being looked up, or it is tried again soon.
                None => self.silence_noted = Some(now + limits::SILENCE_NOTED),
            }
        }
    }

    /// Returns the time until something is due without an event.
    fn wait(&self) -> Duration {
        let now = net::Clock.now();
        let places = self
            .window
            .next_deadline()
            .filter(|_| !self.schedule.is_begun());
        let internal = self.schedule.deadline().into_iter().chain(places);
        // A report on what is written ends the wait of a backlog.
        let internal = internal.filter(|_| !self.is_backlogged());
        let internal = internal.map(|deadline| deadline.since(now));
        let lookups = self.lookups.as_ref().and_then(Lookups::deadline);
        let progress = self.progress.deadline().filter(|_| self.may_draw());
        let external = [lookups, self.stall_deadline(), progress, self.silence_noted];
        let external = external.into_iter().flatten();
        let external = external.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        internal.chain(external).min().unwrap_or(limits::NO_WAIT)
    }

    fn flush_streams(&mut self) {
        let [stdout, stderr] = &mut self.streams;
        if self.stderr_waits {
            stdout.flush();
            self.stderr_waits = !stdout.is_idle();
            if self.stderr_waits {
                return;
            }
        }
        stderr.flush();
        self.stdout_waits &= !stderr.is_idle();
        if !self.stdout_waits {
            stdout.flush();
        }
    }

    /// Ends the run after a failure of the network thread. What runs is lost.
    fn fail(&mut self, failure: Failure) {
        self.schedule.stop(Stop::Interrupted);
        for index in 0..self.running.len() {
            if self.running[index].is_some() {
                self.fates[index] = Some(Fate::Lost);
            }
        }
        self.conclude();
        self.drain(limits::LEAVE);
        self.say_now(&failure.to_string());
        self.finish.interruption = Some(Interruption::Failed);
        self.finish.failure.get_or_insert(failure);
    }

    fn job(&mut self, index: usize) -> Option<&mut RemoteJob> {
        let running = self.running.get_mut(index)?.as_mut()?;
        Some(&mut running.job)
    }

    /// Returns the slot under which the output of a task is counted.
    fn slot(&self, index: usize) -> u32 {
        self.base + u32::try_from(index).expect("Client::reserve has counted them")
    }

    /// Returns the task that a slot belongs to.
    const fn index(&self, slot: u32) -> usize {
        slot.wrapping_sub(self.base) as usize % self.tasks.len()
    }

    fn is_fleet(&self) -> bool {
        self.tasks.len() > 1
    }
}

#[cfg(test)]
mod tests;
