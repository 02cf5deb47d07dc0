//! The agent's thread: processes events of the network, processes, the terminal, files and the clock in turn,
//! and executes the commands of the service.
//!
//! Each turn takes a bounded number of events of each kind, so that none starves the others. If events are left,
//! the next turn follows at once; otherwise the thread sleeps until a descriptor, another thread or the next
//! deadline wakes it.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Interest, Poll};
use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level;

use super::in_process::InProcess;
use super::policy::SharedPolicy;
use super::replay_log::ReplayLog;
use super::terminal::{self, Printer, Typed};
use super::watch::Watch;
use super::{limits, log};
use crate::agent::core::Service;
use crate::net::{Clock, Command, Event, Net, Timer};
use crate::process::reap_orphans;
use crate::session;
use crate::time::Instant;

/// Tokens of the poll; those of processes are above.
pub(super) mod tokens {
    use mio::Token;

    /// Another thread.
    pub const WAKER: Token = Token(0);
    /// The clock.
    pub const TIMER: Token = Token(1);
    /// A changed file.
    pub const WATCH: Token = Token(2);
    /// A child process that ended.
    pub const ORPHANS: Token = Token(3);
}

/// SIGCHLD as a readable stream.
struct Orphans {
    stream: mio::net::UnixStream,
    registration: SigId,
}

impl Orphans {
    fn new(poll: &Poll) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let registration = low_level::pipe::register(SIGCHLD, write)?;
        let mut stream = mio::net::UnixStream::from_std(read);
        poll.registry()
            .register(&mut stream, tokens::ORPHANS, Interest::READABLE)?;
        Ok(Self {
            stream,
            registration,
        })
    }

    fn reap(&mut self) {
        let mut signals = [0; 64];
        while self.stream.read(&mut signals).is_ok_and(|count| count > 0) {}
        reap_orphans();
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        low_level::unregister(self.registration);
    }
}

/// State of the agent's thread.
pub(super) struct Thread {
    poll: Poll,
    service: Service<InProcess, SharedPolicy>,
    net: Net,
    policy: SharedPolicy,
    watch: Option<Watch>,
    /// Time at which changed files are loaded.
    reload: Option<Instant>,
    /// Time at which the next key or invitation expires.
    expiry: Option<Instant>,
    replay_log: Option<ReplayLog>,
    orphans: Orphans,
    printer: Option<Printer>,
    typed: Option<Receiver<Typed>>,
    timer: Timer,
    stop: Arc<AtomicBool>,
    /// Deadline for ending the last process trees.
    last: Option<Instant>,
}

impl Thread {
    pub(super) fn new(
        poll: Poll,
        service: Service<InProcess, SharedPolicy>,
        net: Net,
        policy: SharedPolicy,
        replay_log: Option<ReplayLog>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let timer = Timer::new(poll.registry(), tokens::TIMER)?;
        let orphans = Orphans::new(&poll)?;
        let watch = match policy.sources() {
            None => None,
            Some(sources) => {
                let watch = Watch::new(poll.registry(), tokens::WATCH, sources.paths())?;
                // Files may have changed between the first load and the start of the watch.
                policy.reload();
                Some(watch)
            }
        };
        let mut thread = Self {
            poll,
            service,
            net,
            policy,
            watch,
            reload: None,
            expiry: None,
            replay_log,
            orphans,
            printer: None,
            typed: None,
            timer,
            stop,
            last: None,
        };
        thread.note_expiry(Clock.now());
        Ok(thread)
    }

    /// Shows the chat on stdout and reads typed lines from stdin.
    pub(super) fn open_terminal(&mut self, wake: impl Fn() + Send + 'static) -> io::Result<()> {
        self.printer = Some(Printer::start()?);
        self.typed = terminal::read_input(wake)?;
        Ok(())
    }

    /// Runs until the agent has ended.
    pub(super) fn run(mut self) {
        let mut ready = mio::Events::with_capacity(limits::READY);
        loop {
            let more = self.turn();
            if self.has_ended() {
                break;
            }
            let timeout = if more {
                Some(Duration::ZERO)
            } else {
                self.set_timer()
            };
            match self.poll.poll(&mut ready, timeout) {
                Ok(()) => {}
                // Interrupted by a signal: the next poll reports the events.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A panic of a thread ends the program.
                Err(error) => panic!("cannot wait for processes and files: {error}"),
            }
            for event in &ready {
                match event.token() {
                    tokens::WAKER | tokens::TIMER => {}
                    tokens::WATCH => self.check_files(),
                    tokens::ORPHANS => self.orphans.reap(),
                    _ => self.service.processes().on_ready(event),
                }
            }
        }
        self.close();
    }

    /// Processes one turn. Returns true if events are left.
    fn turn(&mut self) -> bool {
        let now = Clock.now();
        if self.stop.load(Ordering::SeqCst) {
            self.service.shut_down(now);
            self.execute_commands();
        }
        let mut more = self.take_events(now);
        self.take_typed(now);
        for _ in 0..limits::PROCESS_EVENTS_PER_TURN {
            let Some((job, status)) = self.service.processes().poll(now) else {
                break;
            };
            self.service.on_status(now, job, status);
            self.execute_commands();
        }
        more |= self.service.processes().is_busy();
        self.on_time(now);
        self.execute_commands();
        more
    }

    fn take_events(&mut self, now: Instant) -> bool {
        for _ in 0..limits::EVENTS_PER_TURN {
            match self.net.events.channel().try_recv() {
                Ok(event) => {
                    self.net.events.taken();
                    self.on_event(now, event);
                    self.execute_commands();
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
                let kept = self
                    .replay_log
                    .as_mut()
                    .map(|replay_log| replay_log.add(fingerprint));
                if let Some(Err(error)) = kept {
                    tracing::warn!(%error, "cannot store the fingerprint of a handshake");
                    self.replay_log = None;
                }
            }
            Event::Session(event) => self.service.on_session_event(now, event),
            Event::Plain { path, text, length } => {
                let (chat, outbox) = self.service.chat();
                chat.on_plain(now, path, text, length, outbox);
            }
            Event::Suppressed { datagrams } => self.service.chat().0.on_suppressed(datagrams),
            Event::Failed { address, error } => {
                tracing::error!(%address, error, "a socket failed");
            }
        }
    }

    fn take_typed(&mut self, now: Instant) {
        let Some(typed) = &self.typed else { return };
        // Bounded by the capacity of the channel.
        for typed in typed.try_iter() {
            match typed {
                Typed::Line(line) => {
                    let (chat, outbox) = self.service.chat();
                    chat.on_typed(now, &line, outbox);
                }
                Typed::Quit => self.service.shut_down(now),
            }
        }
        self.execute_commands();
    }

    /// Schedules a load of changed files. A file that is being replaced is missing or empty for a moment, which
    /// must revoke no key.
    fn check_files(&mut self) {
        if self.watch.as_mut().is_some_and(Watch::has_changed) {
            let settled = Clock.now() + limits::SETTLED;
            self.reload.get_or_insert(settled);
        }
    }

    fn reload(&mut self, now: Instant) {
        self.reload = None;
        self.policy.reload();
        self.on_new_policy(now);
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
        if due(self.service.processes().poll_timeout()) {
            self.service.processes().on_timeout(now);
        }
        if due(self.service.poll_timeout()) {
            self.service.on_timeout(now);
        }
        if due(self.reload) {
            self.reload(now);
        }
        if due(self.expiry) {
            self.on_new_policy(now);
        }
        if self.last.is_none() && self.service.is_closed() {
            self.last = Some(now + limits::LAST_TREES);
        }
    }

    /// Sets the timer to the next deadline. Returns the timeout of the poll if the timer cannot be used.
    fn set_timer(&mut self) -> Option<Duration> {
        let now = Clock.now();
        let deadlines = [
            self.service.poll_timeout(),
            self.service.processes().poll_timeout(),
            self.reload,
            self.expiry,
            self.last,
        ];
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
    fn execute_commands(&mut self) {
        while let Some(command) = self.service.poll_command() {
            // The end of the network thread is noticed by its event channel.
            let _ = self.net.handle.send(Command::Session(command));
        }
        while let Some(note) = self.service.poll_note() {
            log::write(&note);
        }
        let (chat, _) = self.service.chat();
        while let Some((path, text)) = chat.poll_plain() {
            let _ = self.net.handle.send(Command::Plain { path, text });
        }
        while let Some(line) = chat.poll_line() {
            if let Some(printer) = &self.printer {
                printer.show(&line);
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        let waiting = self.last.is_some_and(|at| Clock.now() < at);
        self.service.is_closed() && (self.service.processes().is_idle() || !waiting)
    }

    /// Lets the network thread send the last datagrams.
    fn close(self) {
        let Net { handle, events, .. } = self.net;
        let _ = handle.send(Command::Shutdown);
        let until = std::time::Instant::now() + limits::LAST_DATAGRAMS;
        while events.channel().recv_deadline(until).is_ok() {
            events.taken();
        }
    }
}
