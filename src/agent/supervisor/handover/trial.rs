//! The trial of a program before it is executed in the place of this one: as a child, it reads the configuration and
//! the state, and says whether it could continue.
//!
//! Invariant: nothing is changed by a trial, and it ends within a bounded time.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::program::{FileIdentity, Program};
use super::state::State;
use crate::escape;

/// Name under which the program tries itself.
pub const TRIAL: &str = "udpagent-trial";

/// Last line of a successful trial.
const READY: &str = "ready to take over";

/// Bytes of the reason for a failure.
const REASON: usize = 1024;

/// Bytes that a trial may write.
const OUTPUT: usize = 64 << 10;

/// A trial in progress. Dropping it ends it.
#[derive(Debug)]
pub struct Trial {
    child: Child,
    output: UnixStream,
    text: Vec<u8>,
    file: FileIdentity,
}

impl Trial {
    /// Starts a trial with a state.
    ///
    /// # Errors
    /// The program cannot be executed.
    pub fn start(program: &Program, state: OwnedFd) -> io::Result<Self> {
        let file = program.file()?;
        let (output, other) = UnixStream::pair()?;
        output.set_nonblocking(true)?;
        let other = OwnedFd::from(other);
        let child = Command::new(&program.path)
            .arg0(TRIAL)
            .args(program.args.iter().skip(1))
            .stdin(state)
            .stdout(Stdio::from(other.try_clone()?))
            .stderr(Stdio::from(other))
            .spawn()?;
        Ok(Self {
            child,
            output,
            text: Vec::new(),
            file,
        })
    }

    /// Returns its process id. It is to be reaped after its end.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(-1)
    }

    /// Returns the file that is tried.
    #[must_use]
    pub const fn file(&self) -> FileIdentity {
        self.file
    }

    /// Returns a descriptor that becomes readable when [`poll`](Self::poll) may return the result.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.output.as_raw_fd()
    }

    /// Returns the result if it is known: the reason, if the program cannot continue.
    pub fn poll(&mut self) -> Option<Result<(), String>> {
        let mut buffer = [0; REASON];
        loop {
            match self.output.read(&mut buffer) {
                Ok(0) => return Some(self.result()),
                Ok(length) => {
                    self.text.extend(&buffer[..length]);
                    if self.text.len() > OUTPUT {
                        return Some(Err("it writes too much".to_owned()));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }

    fn result(&self) -> Result<(), String> {
        let text = self.text.trim_ascii_end();
        if text.ends_with(READY.as_bytes()) {
            return Ok(());
        }
        let text = text.split(|&byte| byte == b'\n').next_back();
        match text.unwrap_or_default() {
            [] => Err("the program has ended without a word".to_owned()),
            line => Err(escape::line(line, REASON).into_owned()),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Reads a state from standard input and reports that the program could continue with it.
///
/// # Errors
/// The state cannot be read.
pub fn report() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    State::parse(&text)?;
    writeln!(io::stdout(), "{READY}")
}
