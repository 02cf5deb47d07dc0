//! A process of this program for one task: its start, its end, and its place among the children that are reaped.
//!
//! Not what it is told. Invariant: each process is among those children from its start on, and one that cannot be handled
//! is killed, so that none is left behind.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid,
};

/// A process for a task.
#[derive(Debug)]
pub struct TaskProcess {
    pid: Pid,
    handle: OwnedFd,
}

impl TaskProcess {
    /// Starts a process, whose id is added to `children`.
    ///
    /// # Errors
    /// The program cannot be executed, or the system has no process or descriptor left.
    pub fn start(command: &mut Command, children: &mut Vec<i32>) -> io::Result<Self> {
        Self::start_with(command, children, |pid| {
            Ok(pidfd_open(pid, PidfdFlags::empty())?)
        })
    }

    fn start_with(
        command: &mut Command,
        children: &mut Vec<i32>,
        open: impl FnOnce(Pid) -> io::Result<OwnedFd>,
    ) -> io::Result<Self> {
        let pid = Pid::from_child(&command.spawn()?);
        children.push(pid.as_raw_pid());
        let handle = open(pid).inspect_err(|_| {
            let _ = kill_process(pid, Signal::KILL);
        })?;
        Ok(Self { pid, handle })
    }

    /// Returns its process id.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills it. Returns false if it is reaped.
    pub fn kill(&self) -> bool {
        pidfd_send_signal(&self.handle, Signal::KILL).is_ok()
    }
}

/// Reaps those of the children that have ended, and removes them.
pub fn reap(children: &mut Vec<i32>) {
    children.retain(|&pid| {
        let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_pid() > 1);
        pid.is_some_and(|pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)))
    });
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::io::Errno;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_process_without_a_handle_is_killed_and_reaped() {
        let mut children = Vec::new();
        let mut command = Command::new("sleep");
        let failed = TaskProcess::start_with(command.arg("60"), &mut children, |_| {
            Err(Errno::MFILE.into())
        });
        assert_eq!(
            failed.unwrap_err().kind(),
            io::Error::from(Errno::MFILE).kind()
        );
        let [pid] = children[..] else {
            panic!("{children:?}")
        };
        let pid = Pid::from_raw(pid).unwrap();
        let begun = Instant::now();
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(pid), ended).unwrap().unwrap();
        assert_eq!(status.terminating_signal(), Some(Signal::KILL.as_raw()));
        assert!(begun.elapsed() < Duration::from_secs(60));
        reap(&mut children);
        assert!(children.is_empty());
        assert_eq!(waitid(WaitId::Pid(pid), ended).unwrap_err(), Errno::CHILD);
    }
}
