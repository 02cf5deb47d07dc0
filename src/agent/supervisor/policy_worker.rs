//! A process that reads or changes the files of the policy, so that the supervisor never waits for a file system.
//!
//! It is this program, executed again under the name [`NAME`]: it receives one task, answers it and ends. Within
//! another program it is a thread. Not what the answer means. Invariant: the supervisor waits for none of its system
//! calls.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use serde::{Deserialize, Serialize};

use super::limits;
use super::task_process::TaskProcess;
use super::watch;
use crate::agent::access::{PolicyFiles, Sources, invite};
use crate::crypto::{InviteToken, PublicKey};
use crate::net::Clock;
use crate::time::Instant;
use crate::wire::limits::INVITE;

/// Name under which this program reads the files, as its argument 0.
pub const NAME: &str = "udpagent-policy";

/// Task of a worker.
#[derive(Serialize, Deserialize)]
pub enum Task {
    /// Watch the files, and read them.
    Read,
    /// List a key and use its invitation up.
    Redeem {
        /// The key.
        key: PublicKey,
        /// The invitation.
        invite: [u8; INVITE],
        /// Requested name.
        name: String,
        /// Seconds since 1970.
        unix_now: u64,
    },
}

/// Answer of a worker.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// The files.
    Read {
        /// Their texts.
        files: Box<PolicyFiles>,
        /// Further paths that are watched.
        watched: watch::Watched,
    },
    /// The name of the listed key, or the reason why none was listed.
    Redeemed(Result<String, String>),
}

/// A worker with a task. Dropping it ends one that reads. One that lists a key completes that: it ends by itself, unless
/// the file system hangs.
pub struct Worker {
    socket: UnixStream,
    text: Vec<u8>,
    until: Instant,
    /// The process, if it is one.
    process: Option<TaskProcess>,
    only_reads: bool,
}

impl Worker {
    /// Gives a worker a task, to be answered until a time. `program` is executed; without it a thread is started.
    /// `watch` is the inotify descriptor. A process is added to `children`, which are to be reaped after their ends.
    ///
    /// # Errors
    /// The system has no process, thread or descriptor left.
    pub fn start(
        program: Option<&PathBuf>,
        sources: &Sources,
        watch: BorrowedFd<'_>,
        task: &Task,
        until: Instant,
        children: &mut Vec<i32>,
    ) -> io::Result<Self> {
        let (mut socket, other) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        // A task is short, and the socket is empty.
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        socket.write_all(&line)?;
        let watch = watch.try_clone_to_owned()?;
        let process = if let Some(program) = program {
            let mut command = Command::new(program);
            command
                .arg0(NAME)
                // Control-C is for the supervisor, which lets a change of the files be completed.
                .process_group(0)
                .stdin(Stdio::from(OwnedFd::from(other)))
                .stdout(Stdio::from(watch));
            Some(TaskProcess::start(&mut command, children)?)
        } else {
            let sources = sources.clone();
            let thread = std::thread::Builder::new().name("policy".into());
            thread.spawn(move || {
                // The supervisor notices the end.
                let _ = work(&sources, &other, watch.as_fd());
            })?;
            None
        };
        Ok(Self {
            socket,
            text: Vec::new(),
            until,
            process,
            only_reads: matches!(task, Task::Read),
        })
    }

    /// Reports the readiness of its answer as `token`.
    pub fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = self.socket.as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)
    }

    /// Returns its process id, if it is a process.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let process = self.process.as_ref();
        process.map(|process| process.pid().as_raw_pid())
    }

    /// Returns the time until which it may answer.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.until
    }

    /// Returns its answer once it is known, or the reason why there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Result<Answer, String>> {
        let mut buffer = [0; 8 << 10];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    let answer = serde_json::from_slice(&self.text);
                    let ended = |_| "the process that reads it has ended".to_owned();
                    return Some(answer.map_err(ended));
                }
                Ok(length) => self.text.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Some(Err(error.to_string())),
            }
        }
        (self.until <= now).then(|| Err("the file system does not answer".to_owned()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| self.only_reads) {
            process.kill();
        }
    }
}

/// Does the task on standard input for the files of `sources`. Standard output is the inotify descriptor.
///
/// # Errors
/// Those of the socket.
pub fn main(sources: &Sources) -> io::Result<()> {
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    work(sources, &socket, rustix::stdio::stdout())
}

fn work(sources: &Sources, socket: &UnixStream, watch: BorrowedFd<'_>) -> io::Result<()> {
    let mut line = Vec::new();
    BufReader::new(socket).read_until(b'\n', &mut line)?;
    let answer = match serde_json::from_slice(&line)? {
        Task::Read => {
            // In this order, so that a change after the reading is noticed.
            let watched = watch::follow(watch, &sources.paths());
            let files = Box::new(sources.read());
            Answer::Read { files, watched }
        }
        Task::Redeem {
            key,
            invite,
            name,
            unix_now,
        } => {
            let token = InviteToken::from_bytes(invite);
            Answer::Redeemed(redeem(sources, &key, &name, &token, unix_now))
        }
    };
    let mut writer = BufWriter::new(socket);
    serde_json::to_writer(&mut writer, &answer)?;
    writer.flush()
}

/// Lists a key. While another program changes the files, it waits.
fn redeem(
    sources: &Sources,
    key: &PublicKey,
    name: &str,
    token: &InviteToken,
    unix_now: u64,
) -> Result<String, String> {
    let until = Clock.now() + limits::REDEMPTION;
    loop {
        match invite::redeem(&sources.agent, key, name, token, unix_now) {
            Ok(member) => return Ok(member.name),
            Err(invite::RedeemError::Locked) if Clock.now() < until => {
                std::thread::sleep(limits::REDEMPTION_RETRY);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Time for a redemption, with that for the answer.
pub const REDEMPTION: Duration = limits::REDEMPTION.saturating_add(limits::POLICY);
