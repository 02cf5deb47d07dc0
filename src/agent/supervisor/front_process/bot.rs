//! The process of the bot: its start, its replacement when it has ended, and the end of what its command leaves then.
//!
//! Not what it does ([`bot`](crate::agent::bot)). Invariants: it ends with its front on its own; one that has failed is
//! replaced after a pause that grows, and neither its front nor a session is concerned; no process of its command is left.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use crate::agent::bot;
use crate::agent::ipc::send_descriptors;
use crate::agent::jobs::JobId;
use crate::agent::supervisor::{Supervisor, limits};
use crate::bot::Command;
use crate::process::{Spec, Tree, User, start_time};
use crate::time::Instant;

/// The process of the bot, and those of earlier fronts that have not ended yet.
pub struct BotProcess {
    program: PathBuf,
    command: Command,
    /// Takes the sockets of the processes to the present front.
    channel: Option<UnixStream>,
    running: Vec<Running>,
    /// Process of the present front.
    present: Option<Pid>,
    /// Number of processes that were started.
    count: u64,
    started: Instant,
    next: Instant,
    delay: Duration,
}

/// A process that was not reaped.
struct Running {
    pid: Pid,
    id: JobId,
    tree: Tree,
}

impl BotProcess {
    /// Returns a bot whose process is not started yet.
    pub const fn new(program: PathBuf, command: Command) -> Self {
        Self {
            program,
            command,
            channel: None,
            running: Vec::new(),
            present: None,
            count: 0,
            started: Instant::ZERO,
            next: Instant::ZERO,
            delay: Duration::ZERO,
        }
    }

    /// Returns the channel of a new front. The process of the one before ends on its own.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn on_front(&mut self) -> io::Result<UnixStream> {
        let (own, other) = UnixStream::pair()?;
        // A front that takes none delays nobody.
        own.set_nonblocking(true)?;
        self.channel = Some(own);
        self.present = None;
        Ok(other)
    }

    /// Returns the time from which a process may be started, if there is none.
    pub fn next_start(&self) -> Option<Instant> {
        self.present.is_none().then_some(self.next)
    }

    /// Starts a process for the present front, if it has none and it is due.
    pub fn serve(&mut self, now: Instant, supervisor: &mut Supervisor) {
        if self.next_start().is_none_or(|at| at > now) {
            return;
        }
        self.started = now;
        if let Err(error) = self.start(supervisor) {
            tracing::error!(%error, event = "bot_not_started", "on-message: its process cannot be started");
            self.postpone(now);
        }
    }

    fn start(&mut self, supervisor: &mut Supervisor) -> io::Result<()> {
        let Some(channel) = &self.channel else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let (own, other) = UnixStream::pair()?;
        // Jobs are numbered from the other end.
        let id = JobId(u64::MAX - self.count);
        self.count += 1;
        let spec = Spec {
            marker: format!("{}-bot-{}", supervisor.mark, self.count),
            ..Spec::new(User::Own(supervisor.policy.account().clone()))
        };
        let child = bot::launch(&self.program, &self.command, &spec.marker, other.into())?;
        let pid = Pid::from_child(&child);
        let tree = Tree::new(pid, &spec, start_time(pid));
        if let Some(guard) = &mut supervisor.guard {
            guard.started(id, tree.to_parts());
        }
        self.running.push(Running { pid, id, tree });
        // If the front does not get its socket, the process ends.
        send_descriptors(channel, &[own.as_fd()])?;
        self.present = Some(pid);
        Ok(())
    }

    /// Reaps processes that have ended. What the command of one that has failed has left is killed.
    pub fn reap(&mut self, now: Instant, supervisor: &mut Supervisor) {
        let mut index = 0;
        while let Some(&Running { pid, id, .. }) = self.running.get(index) {
            let status = match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(None) => {
                    index += 1;
                    continue;
                }
                Ok(Some((_, status))) => Some(status),
                // It was reaped as an orphan.
                Err(_) => None,
            };
            let Running { tree, .. } = self.running.swap_remove(index);
            if let Some(guard) = &mut supervisor.guard {
                guard.gone(id);
            }
            let has_concluded = |status: &WaitStatus| status.exit_status() == Some(0);
            let is_sound = status.as_ref().is_some_and(has_concluded);
            if !is_sound {
                supervisor.endings.start_tree(id, tree, now);
                supervisor.endings.kill_now(&id, now);
            }
            if self.present == Some(pid) {
                self.present = None;
                if !is_sound {
                    tracing::warn!(
                        event = "bot_ended",
                        "on-message: its process has ended; starting it anew"
                    );
                }
                self.postpone(now);
            }
        }
    }

    /// Sets the time of the next start after an end.
    fn postpone(&mut self, now: Instant) {
        self.delay = if now.since(self.started) >= limits::BOT_SOUND {
            limits::BOT_RESTART
        } else {
            (self.delay * 2).clamp(limits::BOT_RESTART, limits::BOT_RESTART_MAX)
        };
        self.next = now + self.delay;
    }
}
