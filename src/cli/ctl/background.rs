//! Background of a run that has begun: a process of its own, which lets the shell go on once the agent has accepted the command.
//!
//! A program with threads cannot fork, so it starts itself again and waits for a byte on a pipe, which is the standard input of
//! the other one. Invariant: the process in front exits with 0 only if the agent has accepted the command, and otherwise
//! with the status of the one in the background.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::process::setsid;
use rustix::stdio::{dup2_stdin, stdin};

use crate::message::status::{UDPCTL_FAILURE, interrupted};

/// The process in the background, before the agent has accepted its command.
#[derive(Debug)]
pub struct Background {
    ready: File,
}

impl Background {
    /// Takes the pipe to the process in front from standard input, which is empty from now on.
    pub fn inherited() -> Result<Self> {
        let ready = stdin().try_clone_to_owned().context("standard input")?;
        empty_stdin()?;
        Ok(Self {
            ready: ready.into(),
        })
    }

    /// Leaves the session of the terminal, and lets the process in front exit.
    pub fn detach(&self) {
        // Fails only for the leader of a process group, which the process in front has not made of this one.
        let _ = setsid();
        // Without a reader, the process in front was killed.
        let _ = (&self.ready).write_all(&[1]);
    }
}

/// Starts this program again with some words, and waits until it is in the background or has ended. Returns the exit status.
pub fn start(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<u8> {
    let (mut ready, sender) = std::io::pipe().context("a pipe")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(sender)
        .spawn()
        .context("cannot start this program in the background")?;
    // The command, with its end of the pipe, is dropped by now.
    if ready.read(&mut [0]).context("a pipe")? > 0 {
        return Ok(0);
    }
    let status = child.wait().context("the process in the background")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or_else(|| status.signal().map_or(UDPCTL_FAILURE, interrupted)))
}

/// Makes standard input empty.
pub fn empty_stdin() -> Result<()> {
    let null = File::open("/dev/null").context("/dev/null")?;
    dup2_stdin(null).context("standard input")
}
