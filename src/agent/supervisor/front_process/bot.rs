//! The processes of the bot: their start, their replacement when they have ended, and the end of what their command leaves then.
//!
//! Not what they do ([`bot`](crate::agent::bot)). Invariants: there is one for each room in which the command runs at once, as far as
//! the front needs them; they end with their front on their own, or are killed at the end of the agent; one that has failed is
//! replaced after a pause that grows, and neither its front nor a session is concerned; no process of its command is left.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use crate::agent::bot;
use crate::agent::ipc::send_descriptors;
use crate::agent::jobs::JobId;
use crate::agent::supervisor::{Supervisor, limits};
use crate::bot::Command;
use crate::process::{Spec, Tree, User, start_time};
use crate::time::Instant;

/// The processes of the bot, and those of earlier fronts that have not ended yet.
pub struct BotProcesses {
    program: PathBuf,
    command: Command,
    /// Takes the sockets of the processes to the present front.
    channel: Option<UnixStream>,
    running: Vec<Running>,
    /// Processes of the present front.
    present: Vec<Pid>,
    /// Number of processes that were started.
    count: u64,
    pause: Pause,
    /// Time at which those that are left are killed, at the end of the agent.
    kill_at: Option<Instant>,
}

/// The pause before the next start.
struct Pause {
    next: Instant,
    delay: Duration,
}

/// A process that was not reaped.
struct Running {
    pid: Pid,
    id: JobId,
    tree: Tree,
    started: Instant,
}

impl BotProcesses {
    /// Returns a bot without processes.
    pub const fn new(program: PathBuf, command: Command) -> Self {
        Self {
            program,
            command,
            channel: None,
            running: Vec::new(),
            present: Vec::new(),
            count: 0,
            pause: Pause {
                next: Instant::ZERO,
                delay: Duration::ZERO,
            },
            kill_at: None,
        }
    }

    /// Returns the channel of a new front. The processes of the one before end on their own.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn on_front(&mut self) -> io::Result<UnixStream> {
        let (own, other) = UnixStream::pair()?;
        // A front that takes none delays nobody.
        own.set_nonblocking(true)?;
        self.channel = Some(own);
        self.present.clear();
        Ok(other)
    }

    /// Returns the time from which a process may be started, if one is missing.
    pub fn next_start(&self, supervisor: &Supervisor) -> Option<Instant> {
        let is_missing = self.present.len() < supervisor.bot_processes();
        is_missing.then_some(self.pause.next)
    }

    /// Starts processes for the present front, as far as they are missing and due.
    pub fn serve(&mut self, now: Instant, supervisor: &mut Supervisor) {
        while self.next_start(supervisor).is_some_and(|at| at <= now) {
            if let Err(error) = self.start(now, supervisor) {
                tracing::error!(%error, event = "bot_not_started", "on-message: its process cannot be started");
                self.pause.on_failure(now, now);
            }
        }
    }

    fn start(&mut self, now: Instant, supervisor: &mut Supervisor) -> io::Result<()> {
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
        self.running.push(Running {
            pid,
            id,
            tree,
            started: now,
        });
        // If the front does not get its socket, the process ends.
        send_descriptors(channel, &[own.as_fd()])?;
        self.present.push(pid);
        Ok(())
    }

    /// Lets the processes end, whose front is gone, and kills them after a short time.
    pub fn end(&mut self, now: Instant) {
        self.present.clear();
        self.kill_at = Some(now + limits::BOT_ENDS);
    }

    /// Returns the time of the next call of [`on_timeout`](Self::on_timeout).
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.kill_at
    }

    /// Kills the processes that are left at the end, such as a stopped one. [`reap`](Self::reap) ends what their commands leave.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            for running in &self.running {
                let _ = kill_process(running.pid, Signal::KILL);
            }
        }
    }

    /// True if each process was reaped.
    pub const fn is_empty(&self) -> bool {
        self.running.is_empty()
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
            let Running { tree, started, .. } = self.running.swap_remove(index);
            if let Some(guard) = &mut supervisor.guard {
                guard.gone(id);
            }
            let has_concluded = |status: &WaitStatus| status.exit_status() == Some(0);
            let is_sound = status.as_ref().is_some_and(has_concluded);
            if !is_sound {
                supervisor.endings.start_tree(id, tree, now);
                supervisor.endings.kill_now(&id, now);
            }
            if let Some(at) = self.present.iter().position(|one| *one == pid) {
                self.present.swap_remove(at);
                if is_sound {
                    self.pause.on_end(now);
                } else {
                    tracing::warn!(
                        event = "bot_ended",
                        "on-message: its process has ended; starting it anew"
                    );
                    self.pause.on_failure(now, started);
                }
            }
        }
    }
}

impl Pause {
    /// Sets the time of the next start after the end of a process whose front is gone, which the next turns notice.
    fn on_end(&mut self, now: Instant) {
        self.next = self.next.max(now + limits::BOT_RESTART);
    }

    /// Sets the time of the next start after the failure of a process that has begun at `started`. Several that fail at once, as
    /// by one signal to all, make it longer once.
    fn on_failure(&mut self, now: Instant, started: Instant) {
        if now < self.next {
            return;
        }
        self.delay = if now.since(started) >= limits::BOT_SOUND {
            limits::BOT_RESTART
        } else {
            (self.delay * 2).clamp(limits::BOT_RESTART, limits::BOT_RESTART_MAX)
        };
        self.next = now + self.delay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_a_bot_that_fail_at_once_make_its_pause_longer_once() {
        let mut pause = Pause {
            next: Instant::ZERO,
            delay: Duration::ZERO,
        };
        let mut now = Instant::ZERO + Duration::from_secs(100);
        for step in [1, 2, 4] {
            for _ in 0..4 {
                pause.on_failure(now, now);
                assert_eq!(pause.next, now + limits::BOT_RESTART * step);
            }
            now = pause.next;
        }
        for _ in 0..20 {
            pause.on_failure(now, now);
            now = pause.next;
        }
        assert_eq!(pause.delay, limits::BOT_RESTART_MAX);
        pause.on_failure(now + limits::BOT_SOUND, now);
        assert_eq!(pause.delay, limits::BOT_RESTART);
        // The end of its front is no failure.
        now = pause.next;
        for _ in 0..4 {
            pause.on_end(now);
            assert_eq!(pause.next, now + limits::BOT_RESTART);
        }
        pause.on_failure(pause.next, now);
        assert_eq!(pause.delay, limits::BOT_RESTART * 2);
    }
}
