//! The front's loop: processes events of the network, messages of the supervisor, the terminal and the clock in turn,
//! and executes the commands of the service.
//!
//! Each turn takes a bounded number of events of each kind, so that none starves the others. If events are left,
//! the next turn follows at once; otherwise the thread sleeps until a descriptor, another thread or the next
//! deadline wakes it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant as Moment};

use crossbeam_channel::{Receiver, TryRecvError};
use mio::Poll;

use super::bot::FrontBot;
use super::busy::{BusyCommands, BusyReport};
use super::limits;
use super::policy::FrontPolicy;
use super::prompt::Prompt;
use super::remote::Remote;
use super::terminal::Printer;
use super::typed_lines::TypedLines;
use crate::agent::core::Service;
use crate::agent::ipc::{Feed, FrontCounts, SocketInterest, ToFront, ToSupervisor};
use crate::agent::log::{self, Counts};
use crate::agent::note::Note;
use crate::agent::own_command::OwnCommand;
use crate::agent::recorder::SharedLog;
use crate::message::Outcome;
use crate::net::{Clock, Command, Event, Net, Timer};
use crate::prompt::style::Style;
use crate::session;
use crate::time::Instant;

/// Tokens of the poll.
pub(super) mod tokens {
    use mio::Token;

    /// Another thread.
    pub const WAKER: Token = Token(0);
    /// The clock.
    pub const TIMER: Token = Token(1);
    /// The supervisor.
    pub const SUPERVISOR: Token = Token(2);
}

/// End of the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The agent was shut down.
    ShutDown,
    /// The supervisor is gone.
    Lost,
}

/// State of the front's loop.
pub(super) struct Thread {
    poll: Poll,
    pub(super) service: Service<Remote, FrontPolicy>,
    pub(super) net: Net,
    pub(super) policy: FrontPolicy,
    /// Time at which the next key or invitation expires.
    expiry: Option<Instant>,
    counts: Counts,
    busy: BusyCommands,
    /// The log, if it is that of a process of its own.
    log: Option<SharedLog>,
    /// Lines of audit records.
    records: Receiver<Vec<u8>>,
    pub(super) printer: Option<Printer>,
    pub(super) bot: Option<FrontBot>,
    pub(super) typed: Option<TypedLines>,
    pub(super) prompt: Option<Prompt>,
    /// Commands of the user at the prompt: one, or those of an earlier front.
    pub(super) own: Vec<OwnCommand>,
    /// Number of their sessions so far.
    pub(super) own_sessions: u64,
    /// Style of lines above the prompt.
    pub(super) style: Style,
    /// True once the agent ends.
    pub(super) is_ending: bool,
    /// Time at which a line of the user that came too early is tried again.
    pub(super) says_again: Option<Instant>,
    timer: Timer,
    /// Registration of the connection to the supervisor.
    interest: SocketInterest,
    /// True if it may be readable.
    supervisor_ready: bool,
    pub(super) lost: bool,
}

impl Thread {
    pub(super) fn new(
        poll: Poll,
        mut service: Service<Remote, FrontPolicy>,
        net: Net,
        policy: FrontPolicy,
        records: Receiver<Vec<u8>>,
        log: Option<SharedLog>,
    ) -> io::Result<Self> {
        let timer = Timer::new(poll.registry(), tokens::TIMER)?;
        let supervisor = service.processes().raw_fd();
        let interest = SocketInterest::register(poll.registry(), supervisor, tokens::SUPERVISOR)?;
        let mut thread = Self {
            poll,
            service,
            net,
            policy,
            expiry: None,
            counts: Counts::default(),
            busy: BusyCommands::default(),
            log,
            records,
            printer: None,
            bot: None,
            typed: None,
            prompt: None,
            own: Vec::new(),
            own_sessions: 0,
            style: Style::default(),
            is_ending: false,
            says_again: None,
            timer,
            interest,
            supervisor_ready: true,
            lost: false,
        };
        thread.note_expiry(Clock.now());
        Ok(thread)
    }

    /// Answers messages of the chat by a bot, if there is one. Its processes come on the channel.
    pub(super) fn open_bot(
        &mut self,
        channel: Option<OwnedFd>,
        wake: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<()> {
        self.bot = channel
            .map(|channel| FrontBot::new(channel, wake))
            .transpose()?;
        Ok(())
    }

    /// Runs until the agent has ended.
    pub(super) fn run(mut self) -> End {
        let mut ready = mio::Events::with_capacity(limits::READY);
        loop {
            let more = self.turn();
            if self.lost {
                return End::Lost;
            }
            if self.service.is_closed() {
                break;
            }
            let timeout = if more {
                Some(Duration::ZERO)
            } else {
                self.set_timer()
            };
            match self.wait(&mut ready, timeout) {
                Ok(()) => {
                    let mut events = ready.iter();
                    self.supervisor_ready |=
                        events.any(|event| event.token() == tokens::SUPERVISOR);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A panic of a thread ends the program.
                Err(error) => panic!("cannot wait for the supervisor: {error}"),
            }
        }
        self.close();
        End::ShutDown
    }

    /// Waits for readiness: of the connection for room, too, if something is to be sent on it.
    fn wait(&mut self, ready: &mut mio::Events, timeout: Option<Duration>) -> io::Result<()> {
        let waiting = self.service.processes().is_sending();
        self.interest.set_waiting(self.poll.registry(), waiting)?;
        self.poll.poll(ready, timeout)
    }

    /// Processes one turn. Returns true if events are left.
    fn turn(&mut self) -> bool {
        let now = Clock.now();
        let mut more = self.take_messages(now);
        self.execute_commands();
        more |= self.take_events(now);
        self.execute_commands();
        self.take_typed(now);
        self.take_lines_of_prompt(now);
        self.take_answers(now);
        self.on_time(now);
        self.execute_commands();
        // What a flood has pushed out of the history meanwhile is not sent.
        if !self.service.processes().is_sending() {
            self.send_history();
        }
        more
    }

    /// Processes messages of the supervisor. Returns true if some are left.
    fn take_messages(&mut self, now: Instant) -> bool {
        if !self.supervisor_ready {
            return false;
        }
        for taken in 1..=limits::MESSAGES_PER_TURN {
            match self.service.processes().receive() {
                Ok(Some(message)) => {
                    self.on_message(now, message);
                    if taken % limits::BATCH == 0 {
                        self.execute_commands();
                    }
                }
                Ok(None) => {
                    self.supervisor_ready = false;
                    return false;
                }
                Err(error) => {
                    tracing::debug!("the supervisor is gone, or has dismissed this front: {error}");
                    self.leave(now);
                    self.lost = true;
                    return false;
                }
            }
        }
        true
    }

    fn on_message(&mut self, now: Instant, message: ToFront) {
        match message {
            ToFront::Report(report) => self.service.on_status(now, report.job, report.status),
            ToFront::Policy(files) => {
                self.policy.replace(&Feed::Files(files));
                self.on_new_policy(now);
            }
            ToFront::Redeemed { question, name } => self.service.on_registered(question, name),
            ToFront::Count(number) => {
                let _ = self.net.handle.send(Command::Count(number));
            }
            ToFront::Interrupted => self.on_interrupted(now),
            ToFront::ShutDown => {
                self.is_ending = true;
                self.take_last_typed(now);
                self.service.shut_down(now);
            }
            // Only before the loop.
            ToFront::Setup(_)
            | ToFront::Restored { .. }
            | ToFront::Remembered(_)
            | ToFront::Horizons(_)
            | ToFront::Ready => {}
        }
    }

    fn take_events(&mut self, now: Instant) -> bool {
        for taken in 1..=limits::EVENTS_PER_TURN {
            match self.net.events.channel().try_recv() {
                Ok(event) => {
                    self.net.events.taken();
                    self.on_event(now, event);
                    if taken % limits::BATCH == 0 {
                        self.execute_commands();
                    }
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    // The network thread has ended, so no controller can be served.
                    self.service.shut_down(now);
                    return false;
                }
            }
        }
        true
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Session(session::Event::InitSeen { fingerprint }) => {
                let message = ToSupervisor::InitSeen(fingerprint.0);
                self.service.processes().send(&message);
            }
            Event::Session(event) => {
                self.keep_reset(&event);
                self.service.on_session_event(now, event);
            }
            Event::Plain { path, text, length } => {
                let (chat, outbox) = self.service.chat();
                chat.on_plain(now, path, text, length, outbox);
            }
            Event::Suppressed { datagrams } => self.service.chat().0.on_suppressed(datagrams),
            Event::Counted { number, counts } => {
                let log_dropped = self.log.as_ref().map_or(0, SharedLog::lost);
                let net = *counts;
                let counts = Box::new(FrontCounts { net, log_dropped });
                let message = ToSupervisor::Counted(number, counts);
                self.service.processes().send(&message);
            }
            Event::Failed { address, error } => {
                tracing::error!(%address, error, "a socket failed");
            }
            // An agent does not ask for these reports.
            Event::Refused(_) => {}
        }
    }

    /// Tells the supervisor what the next front needs to reset a session.
    fn keep_reset(&mut self, event: &session::Event) {
        let message = match event {
            session::Event::Accepted {
                session,
                key,
                reset,
                ..
            } => ToSupervisor::SessionOpened(session.0, *key, **reset),
            session::Event::Moved { session, path } => ToSupervisor::SessionMoved(session.0, *path),
            session::Event::Closed { session, .. } => ToSupervisor::SessionClosed(session.0),
            session::Event::Connected { .. }
            | session::Event::Confirmed { .. }
            | session::Event::Stream { .. }
            | session::Event::Silent { .. }
            | session::Event::Heard { .. }
            | session::Event::DatagramSize { .. }
            | session::Event::InitSeen { .. } => return,
        };
        self.service.processes().send(&message);
    }

    fn on_new_policy(&mut self, now: Instant) {
        self.service.on_policy_changed(now);
        self.note_expiry(now);
        self.execute_commands();
    }

    fn note_expiry(&mut self, now: Instant) {
        self.expiry = self.policy.next_expiry().map(|time| now + time);
    }

    fn on_time(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.service.poll_timeout()) {
            self.service.on_timeout(now);
        }
        if due(self.expiry) {
            self.on_new_policy(now);
        }
        while let Some(denial) = self.policy.denials().poll(now) {
            log::write_session_denial(&denial);
            let line = denial.record().to_line_now();
            self.service.processes().send(&ToSupervisor::Record(line));
        }
        self.report_busy(now);
    }

    fn report_busy(&mut self, now: Instant) {
        if let Some(BusyReport { commands, last }) = self.busy.poll(now) {
            log::write_busy(commands, &last);
        }
    }

    /// Sets the timer to the next deadline. Returns the timeout of the poll if the timer cannot be used.
    fn set_timer(&mut self) -> Option<Duration> {
        let now = Clock.now();
        let denials = self.policy.denials().poll_timeout();
        let busy = self.busy.poll_timeout();
        let bot = self.bot.as_ref().and_then(FrontBot::poll_timeout);
        let typed = self.typed.as_ref().and_then(TypedLines::deadline);
        let pasted = self.prompt.as_ref().map_or(typed, Prompt::deadline);
        let pasted = pasted.map(|at| now + at.saturating_duration_since(Moment::now()));
        let service = self.service.poll_timeout();
        let paced = self.says_again;
        let deadlines = [service, self.expiry, denials, busy, bot, pasted, paced];
        let deadline = deadlines.into_iter().flatten().min();
        if deadline.is_some_and(|at| at <= now) {
            return Some(Duration::ZERO);
        }
        match self.timer.set(now, deadline) {
            Ok(()) => None,
            Err(_) => deadline.map(|at| at.since(now)),
        }
    }

    /// Executes the commands of the service.
    pub(super) fn execute_commands(&mut self) {
        let now = Clock.now();
        while let Some((job, status)) = self.service.processes().poll() {
            self.service.on_status(now, job, status);
        }
        while let Some(command) = self.service.poll_command() {
            // No controller is told of a start that only this process knows.
            if self.service.processes().flush_starts().is_err() {
                self.lost = true;
                return;
            }
            if let Some(command) = self.on_own(now, command) {
                // The end of the network thread is noticed by its event channel.
                let _ = self.net.handle.send(Command::Session(command));
            }
        }
        for line in self.records.try_iter() {
            let message = ToSupervisor::Record(line);
            self.service.processes().send(&message);
        }
        while let Some(question) = self.service.poll_question() {
            self.service.processes().send(&ToSupervisor::Redeem {
                question: question.number,
                key: question.key,
                address: question.address,
                invite: question.invite,
                name: question.name,
            });
        }
        if self.service.processes().flush().is_err() {
            self.lost = true;
        }
        while let Some(note) = self.service.poll_note() {
            if let Note::Refused {
                controller,
                outcome: Outcome::Busy {},
                ..
            } = &note
            {
                self.busy.push(controller);
            }
            self.counts.write(&note);
        }
        self.show_chat();
    }

    /// Lets the network thread send the last datagrams.
    fn close(mut self) {
        self.queue_history();
        self.bot.iter().for_each(FrontBot::note_unanswered);
        let Net { handle, events, .. } = self.net;
        let _ = handle.send(Command::Shutdown);
        let until = std::time::Instant::now() + limits::LAST_DATAGRAMS;
        while events.channel().recv_deadline(until).is_ok() {
            events.taken();
        }
        // Before the supervisor kills this process: the last lines are shown, and the terminal is restored.
        self.printer = None;
        self.prompt = None;
        self.service.processes().send(&ToSupervisor::Closed);
        // A supervisor that is gone has ended everything.
        let _ = self.service.processes().flush_all();
    }
}
