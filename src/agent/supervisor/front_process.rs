//! The front as a process: its start, and its replacement when it has ended.
//!
//! Not what it does. Invariant: at most one front exists; a front that ends at once is started at most once in a
//! second.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Supervisor, limits, task_process};
use crate::agent::bot;
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
    /// Command of the bot, if there is one.
    bot: Option<BotCommand>,
    /// Process ids of bots, which end on their own when their front does.
    bots: Vec<i32>,
    /// That of the present front.
    present_bot: Option<i32>,
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
            program,
            descriptors,
            setup: Box::new(setup),
            bot,
            bots: Vec::new(),
            present_bot: None,
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
        let bot = self.start_bot()?;
        // A front without a bot gets another descriptor in its place, which is no socket.
        let bot = bot.as_ref().map_or(inputs, |socket| socket.as_fd());
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

    /// Starts the process of the bot, if there is one. Returns the socket of its front. If there will be no front, the
    /// process ends with this socket.
    fn start_bot(&mut self) -> io::Result<Option<UnixStream>> {
        let Some(command) = &self.bot else {
            return Ok(None);
        };
        let (own, other) = UnixStream::pair()?;
        let child = bot::launch(&self.program, command, other.into())?;
        self.present_bot = i32::try_from(child.id()).ok();
        self.bots.extend(self.present_bot);
        Ok(Some(own))
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

    /// Reaps it if it has ended. It is killed if its bot has ended, so that the next front has another.
    pub fn reap(&mut self) {
        task_process::reap(&mut self.bots);
        if self
            .present_bot
            .is_some_and(|bot| !self.bots.contains(&bot))
        {
            self.present_bot = None;
            self.end();
        }
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
        self.reap();
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
