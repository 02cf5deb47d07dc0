//! A process that ends the jobs if the supervisor dies without having ended them.
//!
//! Not a supervisor: it starts nothing and reports to nobody. It knows the process trees from messages, and its
//! socket tells it the death of the supervisor. Invariant: after the death of the supervisor no job is left that is
//! neither ended nor followed, nor kept by the service manager for the next supervisor (`store`).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::agent::ipc::{FrameError, Frames};
use crate::agent::jobs::JobId;
use crate::message::status::{AGENT_FAILURE, SUCCESS};
use crate::net::Clock;
use crate::process::{CgroupsLock, Endings, GRACE, Tree, TreeParts, remove_empty, unblock_signals};

/// Name under which this program is the guard, as its argument 0.
pub const NAME: &str = "udpagent-guard";

/// Interval between two looks at the trees that are being ended.
const LOOK: Duration = Duration::from_millis(20);

/// Time after which the guard gives up on trees that survive KILL.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Message of the supervisor.
#[derive(Serialize, Deserialize)]
enum Message {
    /// The cgroups of the jobs are below this directory.
    Cgroups(PathBuf),
    /// A process was started.
    Started(JobId, TreeParts),
    /// A process is gone, or is left alone.
    Gone(JobId),
    /// The supervisor ends, and has ended the jobs.
    End,
}

/// Connection to the guard.
pub struct Guard {
    /// `None` once the guard is gone: nobody needs to be told then.
    frames: Option<Frames<Message, ()>>,
    pid: Option<u32>,
}

impl Guard {
    /// Starts the guard.
    ///
    /// # Errors
    /// The program cannot be executed, or the system has no descriptor left.
    pub fn start() -> io::Result<Self> {
        let (own, other) = UnixStream::pair()?;
        let program = match std::fs::metadata("/proc/self/exe") {
            Ok(_) => "/proc/self/exe".into(),
            Err(_) => std::env::current_exe()?,
        };
        let child = Command::new(program)
            .arg0(NAME)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            frames: Some(Frames::new(own)?),
            pid: Some(child.id()),
        })
    }

    /// Takes the connection to a guard that this program has started before it was executed anew.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            frames: Some(Frames::new(socket.into())?),
            pid: None,
        })
    }

    /// Returns the descriptor of the connection, unless the guard is gone.
    #[must_use]
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.frames.as_ref().map(Frames::raw_fd)
    }

    /// Kills a guard that this program has started.
    pub fn kill(self) {
        let pid = self.pid.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Returns its process id, if this program has started it.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// True if it was told everything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.frames
            .as_ref()
            .is_none_or(|frames| frames.queued() == 0)
    }

    /// Waits until it was told everything, for at most `time`. Returns false if it does not listen.
    pub fn wait_until_sent(&mut self, time: Duration) -> bool {
        let until = Clock.now() + time;
        loop {
            self.flush();
            let Some(frames) = &self.frames else {
                return false;
            };
            if frames.queued() == 0 {
                return true;
            }
            let left = until.since(Clock.now());
            let Ok(timeout) = Timespec::try_from(left) else {
                return false;
            };
            let mut fds = [PollFd::new(frames.socket(), PollFlags::OUT)];
            if left.is_zero() {
                return false;
            }
            // A signal, as of the end of a child, is no end of the time.
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Tells it of the directory of the cgroups of the jobs.
    pub fn follow_cgroups(&mut self, directory: &Path) {
        self.tell(&Message::Cgroups(directory.to_owned()));
        self.flush();
    }

    /// Tells it of a process.
    pub fn started(&mut self, job: JobId, tree: TreeParts) {
        self.tell(&Message::Started(job, tree));
        self.flush();
    }

    /// Tells it that a process is gone.
    pub fn gone(&mut self, job: JobId) {
        self.tell(&Message::Gone(job));
    }

    /// Tells it to end.
    pub fn end(&mut self) {
        self.tell(&Message::End);
        self.flush();
    }

    fn tell(&mut self, message: &Message) {
        if let Some(frames) = &mut self.frames {
            frames.queue(message);
        }
    }

    /// Sends what it takes. Without a guard the jobs are followed as before.
    pub fn flush(&mut self) {
        if let Some(frames) = &mut self.frames
            && let Err(error) = frames.flush()
        {
            tracing::warn!(
                "the guard is gone ({error}): after a crash of the agent its jobs go on"
            );
            self.frames = None;
        }
    }
}

/// Runs the guard.
#[must_use]
pub fn main() -> ExitCode {
    match follow() {
        Ok(left) => {
            end(left);
            ExitCode::from(SUCCESS)
        }
        Err(error) => {
            eprintln!("{NAME}: {error}; it is started by udpagent only");
            ExitCode::from(AGENT_FAILURE)
        }
    }
}

/// Remains of a supervisor.
#[derive(Default)]
struct Left {
    trees: BTreeMap<JobId, TreeParts>,
    /// Directory of the cgroups of the jobs. While it is locked, no other agent ends what is in them.
    cgroups: Option<(PathBuf, Option<CgroupsLock>)>,
}

/// Follows the messages until the supervisor ends or dies.
fn follow() -> io::Result<Left> {
    // For ps(1): the name of the file says nothing.
    let _ = rustix::thread::set_name(c"udpagent-guard");
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    unblock_signals();
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let mut frames: Frames<(), Message> = Frames::new(socket)?;
    let mut left = Left::default();
    loop {
        match frames.receive() {
            Ok(Some(Message::Cgroups(directory))) => {
                let lock = CgroupsLock::hold(&directory).ok();
                left.cgroups = Some((directory, lock));
            }
            Ok(Some(Message::Started(job, tree))) => {
                left.trees.insert(job, tree);
            }
            Ok(Some(Message::Gone(job))) => {
                left.trees.remove(&job);
            }
            Ok(Some(Message::End)) => return Ok(Left::default()),
            Ok(None) => {
                let socket = frames.socket().as_fd();
                match poll(&mut [PollFd::new(&socket, PollFlags::IN)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(FrameError::Closed) => return Ok(left),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Ends trees and removes their cgroups. It serves nobody else and may wait.
fn end(left: Left) {
    let mut endings = Endings::new();
    let begun = Clock.now();
    for (job, parts) in left.trees {
        if let Some(tree) = Tree::from_parts(parts) {
            endings.start_tree(job, tree, begun);
        }
    }
    while !endings.is_empty() && Clock.now().since(begun) < GRACE + GIVE_UP {
        endings.on_timeout(Clock.now());
        while endings.poll().is_some() {}
        std::thread::sleep(LOOK);
    }
    // Another agent may have taken them.
    if let Some((directory, lock)) = &left.cgroups
        && lock.as_ref().is_some_and(CgroupsLock::is_only)
    {
        remove_empty(directory);
    }
}
