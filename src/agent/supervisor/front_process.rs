//! The front as a process: its start, and its replacement when it has ended.
//!
//! Not what it does. Invariant: at most one front exists; a front that ends at once is started at most once in a
//! second.

mod bot;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use self::bot::BotProcesses;
use super::{Supervisor, limits};
use crate::agent::ipc::FRONT;
use crate::agent::ipc::{Frames, Setup, ToFront, ToSupervisor, send_descriptors};
use crate::bot::Command as BotCommand;
use crate::time::Instant;

/// The front.
pub struct FrontProcess {
    program: PathBuf,
    /// Socket of the log, and bound sockets.
    descriptors: Vec<OwnedFd>,
    /// Makes the first message.
    setup: Box<dyn Fn(&Supervisor) -> Setup + Send>,
    /// The bot, if there is one.
    bot: Option<BotProcesses>,
    child: Option<Child>,
    started: Option<Instant>,
    next: Instant,
    delay: Duration,
}

impl FrontProcess {
    /// Returns a front that is not started yet. `descriptors` are the socket of
    /// the log and the bound sockets.
    pub fn new(
        program: PathBuf,
        descriptors: Vec<OwnedFd>,
        bot: Option<BotCommand>,
        setup: impl Fn(&Supervisor) -> Setup + Send + 'static,
    ) -> Self {
        Self {
            bot: bot.map(|command| BotProcesses::new(program.clone(), command)),
            program,
            descriptors,
            setup: Box::new(setup),
            child: None,
            started: None,
            next: Instant::ZERO,
            delay: Duration::ZERO,
        }
    }

    /// Returns the time from which it may be started.
    #[must_use]
    pub const fn next_start(&self) -> Instant {
        self.next
    }

    /// Starts it and returns the connection to it.
    ///
    /// # Errors
    /// The program cannot be executed, or the system has no descriptor left.
    pub fn start(
        &mut self,
        now: Instant,
        supervisor: &Supervisor,
    ) -> io::Result<Frames<ToFront, ToSupervisor>> {
        self.schedule(now);
        let (own, other) = UnixStream::pair()?;
        let outputs = supervisor.shared.outputs.read_only()?;
        let stdin = rustix::stdio::stdin();
        let inputs = supervisor.shared.inputs.file();
        let bot = self.bot.as_mut().map(BotProcesses::on_front).transpose()?;
        // A front without a bot gets another descriptor in its place, which is no socket.
        let bot = bot.as_ref().map_or(inputs, |channel| channel.as_fd());
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![stdin, outputs.as_fd(), inputs, bot];
        descriptors.extend(self.descriptors.iter().map(OwnedFd::as_fd));
        send_descriptors(&own, &descriptors)?;
        let mut connection = Frames::new(own)?;
        // At last, so that there is no process if something else fails.
        let child = Command::new(&self.program)
            .arg0(FRONT)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .spawn()?;
        self.child = Some(child);
        connection.queue(&ToFront::Setup(Box::new((self.setup)(supervisor))));
        Ok(connection)
    }

    /// Starts a process of the bot, if there is one and it is due.
    pub fn serve_bot(&mut self, now: Instant, supervisor: &mut Supervisor) {
        if let Some(bot) = &mut self.bot {
            bot.serve(now, supervisor);
        }
    }

    /// Lets the processes of the bot end, and kills them after a short time.
    pub fn end_bot(&mut self, now: Instant) {
        if let Some(bot) = &mut self.bot {
            bot.end(now);
        }
    }

    /// Kills the processes of the bot that are left, if it is time to.
    pub fn kill_bot(&mut self, now: Instant) {
        if let Some(bot) = &mut self.bot {
            bot.on_timeout(now);
        }
    }

    /// Returns the time at which the processes of the bot are killed.
    #[must_use]
    pub fn bot_end(&self) -> Option<Instant> {
        self.bot.as_ref()?.poll_timeout()
    }

    /// True if no process of the bot is left.
    #[must_use]
    pub fn has_no_bot(&self) -> bool {
        self.bot.as_ref().is_none_or(BotProcesses::is_empty)
    }

    /// Returns the next deadline of the bot.
    #[must_use]
    pub fn bot_deadline(&self, supervisor: &Supervisor) -> Option<Instant> {
        let bot = self.bot.as_ref()?;
        bot.next_start(supervisor)
    }

    /// Returns the descriptors of the bound sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<RawFd> {
        self.descriptors
            .iter()
            .skip(1)
            .map(AsRawFd::as_raw_fd)
            .collect()
    }

    /// Returns the bound sockets.
    #[must_use]
    pub fn bound(&self) -> Vec<BorrowedFd<'_>> {
        self.descriptors
            .iter()
            .skip(1)
            .map(OwnedFd::as_fd)
            .collect()
    }

    /// Returns its process id, as long as it was not reaped.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let child = self.child.as_ref()?;
        i32::try_from(child.id()).ok()
    }

    /// Passes SIGCONT on: kill(1) may have signaled the supervisor alone.
    pub fn pass_on_continued(&self) {
        if let Some(pid) = self.pid().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    /// Ends it. Its connection ends after its last messages.
    pub fn end(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }

    /// Sets the earliest time of the next start.
    fn schedule(&mut self, now: Instant) {
        self.started = Some(now);
        self.next = now + self.delay;
    }

    /// Reaps it, and processes of the bot, if they have ended.
    pub fn reap(&mut self, now: Instant, supervisor: &mut Supervisor) {
        if let Some(bot) = &mut self.bot {
            bot.reap(now, supervisor);
        }
        self.reap_front();
    }

    fn reap_front(&mut self) {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(Some(_)) | Err(_))
        {
            self.child = None;
        }
    }

    /// Kills it, because its connection is lost, and sets the time of the next start.
    pub fn kill(&mut self, now: Instant) {
        let sound = self
            .started
            .is_some_and(|started| now.since(started) >= limits::FRONT_SOUND);
        self.delay = if sound {
            Duration::ZERO
        } else {
            (self.delay * 2).clamp(limits::FRONT_RESTART, limits::FRONT_RESTART_MAX)
        };
        self.next = now + self.delay;
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
        self.reap_front();
    }
}

impl Drop for FrontProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
