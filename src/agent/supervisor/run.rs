//! The loop of the supervisor: readiness events, messages of the front, and deadlines in turn.
//!
//! Each turn takes a bounded number of each, so that none starves the others. If something is left, the next turn
//! follows at once; otherwise it sleeps until a descriptor or the next deadline wakes it.

mod end;
mod replacement;

use std::io;
use std::time::Duration;

use self::replacement::Replacement;
use super::front_process::FrontProcess;
use super::handover::Program;
use super::messages::Connection;
use super::reload::is_hung_up;
use super::signals::Signals;
use super::{Supervisor, limits, tokens};
use crate::agent::access::PolicySource as _;
use crate::agent::audit::{Event, Record};
use crate::agent::ipc::{Frames, ToFront, ToSupervisor};
use crate::agent::service_manager::{ServiceManager, State};
use crate::message::Cause;
use crate::net::{Clock, Timer};
use crate::process::reap_orphans;
use crate::time::Instant;

/// Course of the end of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Working,
    /// The front ends the jobs and closes the sessions, at the latest until this time.
    Ending(Instant),
    /// Ends the remaining process trees, at the latest until this time.
    LastTrees(Instant),
}

/// The supervisor at work, with its front.
pub struct Run {
    supervisor: Supervisor,
    /// The front, if it is a process of its own.
    process: Option<FrontProcess>,
    signals: Signals,
    /// True if a child has ended that is perhaps not reaped.
    child_has_ended: bool,
    timer: Timer,
    phase: Phase,
    service_manager: ServiceManager,
    /// The program to execute in the place of this one, if it may be replaced.
    program: Option<Program>,
    /// True if the service manager has bound the sockets.
    activated: bool,
    replacement: Option<Replacement>,
    /// Time of the order to end.
    stop: Option<Instant>,
}

impl Run {
    /// Prepares a run. Without `process`, [`connect`](Self::connect) the front, which is a part of this process.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(
        supervisor: Supervisor,
        process: Option<FrontProcess>,
        signals: Signals,
    ) -> io::Result<Self> {
        let timer = Timer::new(&supervisor.registry, tokens::TIMER)?;
        Ok(Self {
            supervisor,
            process,
            signals,
            child_has_ended: false,
            timer,
            phase: Phase::Working,
            service_manager: ServiceManager::default(),
            program: None,
            activated: false,
            replacement: None,
            stop: None,
        })
    }

    /// Reports its state to a service manager.
    #[must_use]
    pub fn with_service_manager(mut self, service_manager: ServiceManager) -> Self {
        self.service_manager = service_manager;
        self
    }

    /// Lets the program be replaced. `activated` tells that the service manager has bound the sockets.
    #[must_use]
    pub fn with_program(mut self, program: Program, activated: bool) -> Self {
        self.program = Some(program);
        self.activated = activated;
        self
    }

    /// Takes the connection to a front, in which its setup is queued.
    ///
    /// # Errors
    /// The connection cannot be polled.
    pub fn connect(&mut self, connection: Frames<ToFront, ToSupervisor>) -> io::Result<()> {
        self.supervisor.connect(connection)?;
        self.supervisor.restore_front();
        Ok(())
    }

    /// Runs until the agent has ended.
    pub fn run(mut self, listening: Vec<String>) {
        self.open_store();
        self.supervisor.record_start(listening);
        let mut ready = mio::Events::with_capacity(limits::READY);
        loop {
            let more = self.turn();
            if self.has_ended() {
                // It has restored the terminal, unless it was killed.
                drop(self.process.take());
                self.supervisor.terminal.restore();
                return self.supervisor.record_end_of_agent();
            }
            let timeout = if more {
                Some(Duration::ZERO)
            } else {
                self.set_timer()
            };
            match self.supervisor.wait(&mut ready, timeout) {
                Ok(()) => {}
                // Interrupted by a signal: the next poll reports the events.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A panic ends the program.
                Err(error) => panic!("cannot wait for processes and files: {error}"),
            }
            for event in &ready {
                match event.token() {
                    tokens::TIMER | tokens::RECORDER | tokens::TRIAL | tokens::WORKER => {}
                    tokens::FRONT => self.supervisor.front_ready = true,
                    tokens::SIGNAL => self.signals.drain(),
                    tokens::WATCH => self.supervisor.check_files(),
                    tokens::CHILD => self.child_has_ended = true,
                    tokens::OWNER => self.supervisor.on_owner_ready(None),
                    token => {
                        if let Some(index) = tokens::connection_of(token) {
                            self.supervisor.on_owner_ready(Some(index));
                        } else if let Some((job, part)) = tokens::part(token) {
                            let broken = event.is_error() || event.is_write_closed();
                            self.supervisor.on_ready(job, part, broken);
                        }
                    }
                }
            }
        }
    }

    /// Processes one turn. Returns true if something is left.
    fn turn(&mut self) -> bool {
        let now = Clock.now();
        if self.signals.take_interrupt()
            && (self.phase != Phase::Working || !self.supervisor.asks_at_prompt(now))
        {
            self.signals.set_stop();
        }
        if self.signals.take_continued()
            && let Some(process) = &self.process
        {
            process.pass_on_continued();
        }
        if self.signals.stop() && self.may_stop(now) {
            self.shut_down(now);
        }
        if self.signals.reload() && !self.is_hung_up(now)
            || std::mem::take(&mut self.supervisor.reloads.ordered)
        {
            self.reload(now);
        }
        let mut more = match self.supervisor.take_messages(now) {
            Connection::Idle => false,
            Connection::More => true,
            Connection::Lost => {
                self.on_front_lost(now);
                false
            }
            Connection::Closed => {
                self.end_trees(now);
                false
            }
            Connection::ShutDown => {
                self.shut_down(now);
                true
            }
        };
        self.supervisor.end_pauses(now);
        for _ in 0..limits::TURNS {
            if !self.supervisor.serve(now) {
                break;
            }
        }
        more |= !self.supervisor.ready.is_empty();
        more |= self.supervisor.serve_owner(now);
        self.on_time(now);
        self.supervisor.flush_store(now);
        if self.supervisor.must_open_store(now) {
            self.open_store();
        }
        // A front that is dismissed hears nothing more.
        if !self.is_executing() && self.supervisor.report_changes().is_err() {
            self.supervisor.close_front();
            more = true;
        }
        // No controller waits for the rest.
        more |= self.supervisor.conclude() && self.is_executing();
        if let Some(guard) = &mut self.supervisor.guard {
            guard.flush();
        }
        if std::mem::take(&mut self.child_has_ended) {
            self.on_child();
        }
        self.supervisor.flush_store(now);
        more
    }

    fn on_time(&mut self, now: Instant) {
        self.supervisor.on_records(now);
        self.supervisor.on_deadlines(now);
        self.supervisor.on_endings(now);
        if let Some(cgroups) = &mut self.supervisor.cgroups {
            cgroups.on_timeout(now);
        }
        self.supervisor.on_policy(now);
        self.supervisor.write_chat_history(now);
        match self.phase {
            Phase::Ending(at) if at <= now => self.end_trees(now),
            Phase::Working if self.supervisor.front.is_none() && !self.is_executing() => {
                self.start_front(now);
            }
            Phase::Working => {
                if let Some(process) = &mut self.process {
                    process.serve_bot(now, &mut self.supervisor);
                }
            }
            Phase::LastTrees(_) => {
                if let Some(process) = &mut self.process {
                    process.kill_bot(now);
                }
            }
            Phase::Ending(_) => {}
        }
        self.on_replacement(now);
        self.report(now);
    }

    /// Returns true and starts the shutdown if SIGHUP means that the terminal was closed.
    fn is_hung_up(&mut self, now: Instant) -> bool {
        let is_hung_up = is_hung_up();
        if is_hung_up {
            self.shut_down(now);
        }
        is_hung_up
    }

    /// Loads the files and the program again.
    fn reload(&mut self, now: Instant) {
        if self.phase != Phase::Working {
            return;
        }
        self.service_manager.notify(now, State::Reloading);
        self.supervisor.read_policy(now);
        self.start_replacement(now);
    }

    /// Reports its state to the service manager.
    fn report(&mut self, now: Instant) {
        match self.phase {
            Phase::Working if self.replacement.is_some() => {}
            Phase::Working if self.supervisor.in_force.is_some() => {
                self.service_manager.notify(now, State::Ready);
            }
            Phase::Working => {}
            Phase::Ending(_) | Phase::LastTrees(_) => {
                self.service_manager.notify(now, State::Stopping);
            }
        }
        self.service_manager.on_timeout(now);
    }

    /// Sets the timer to the next deadline. Returns the timeout of the poll if the timer cannot be used.
    fn set_timer(&mut self) -> Option<Duration> {
        let now = Clock.now();
        let phase = match self.phase {
            Phase::Working => {
                let process = self.process.as_ref();
                let missing = self.supervisor.front.is_none() && !self.is_executing();
                let next = process.filter(|_| missing).map(FrontProcess::next_start);
                let next = next.or(self.replacement_deadline());
                let bot = process.and_then(|one| one.bot_deadline(&self.supervisor));
                let bot = bot.filter(|_| self.supervisor.front.is_some());
                next.into_iter()
                    .chain(bot)
                    .chain(self.stop_deadline())
                    .min()
            }
            Phase::Ending(at) => Some(at),
            Phase::LastTrees(at) => {
                let bot = self.process.as_ref().and_then(FrontProcess::bot_end);
                Some(bot.map_or(at, |bot| bot.min(at)))
            }
        };
        let deadline = self.supervisor.next_deadline().into_iter().chain(phase);
        let deadline = deadline.chain(self.service_manager.poll_timeout()).min();
        if deadline.is_some_and(|at| at <= now) {
            return Some(Duration::ZERO);
        }
        match self.timer.set(now, deadline) {
            Ok(()) => None,
            Err(_) => deadline.map(|at| at.since(now)),
        }
    }

    /// Reaps children that have ended: orphans of jobs, and the front.
    fn on_child(&mut self) {
        self.signals.drain_children();
        if let Some(process) = &mut self.process {
            process.reap(Clock.now(), &mut self.supervisor);
        }
        self.supervisor.reap_predecessors();
        reap_orphans();
        if let Some(cgroups) = &mut self.supervisor.cgroups {
            cgroups.on_child(Clock.now());
        }
    }

    fn start_front(&mut self, now: Instant) {
        let is_due = |process: &&mut FrontProcess| process.next_start() <= now;
        let Some(process) = self.process.as_mut().filter(is_due) else {
            return;
        };
        self.supervisor.terminal.keep_mode();
        let connection = process.start(now, &self.supervisor);
        if let Err(error) = connection.and_then(|connection| self.connect(connection)) {
            tracing::error!(%error, "the front cannot be started");
            if let Some(process) = &mut self.process {
                process.kill(now);
            }
        }
    }

    fn on_front_lost(&mut self, now: Instant) {
        self.supervisor.disconnect();
        if let Some(process) = &mut self.process {
            process.kill(now);
        }
        if self.phase == Phase::Working {
            self.supervisor.terminal.on_front_lost();
        }
        self.supervisor.terminal.restore();
        match self.phase {
            Phase::Working if self.is_executing() => {}
            Phase::Working if self.process.is_some() => {
                tracing::warn!("the front has ended; starting it anew");
            }
            Phase::Working | Phase::Ending(_) => {
                self.supervisor.end_all(now, Cause::Shutdown);
                self.end_trees(now);
            }
            Phase::LastTrees(_) => {}
        }
    }
}

impl Supervisor {
    /// Records the start of the agent. If a required record cannot be written, commands are denied later.
    fn record_start(&mut self, listening: Vec<String>) {
        let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
        let event = if self.has_taken_over {
            let running = self.table.iter().filter(|(_, job)| !job.is_settled());
            Event::AgentReplaced {
                version,
                pid,
                listening,
                jobs: running.count(),
            }
        } else {
            Event::AgentStarted {
                version,
                pid,
                listening,
                keys: self.policy.policy().members().count(),
            }
        };
        self.records.send(&Record::of_agent(event));
    }
}
