//! The trial of a program before it is executed in the place of this one: as a child, it reads the configuration and
//! the state, and says whether it could continue.
//!
//! The supervisor starts itself under the name [`LAUNCHER`], which executes the program: only the launcher waits if the
//! file system of the program does not answer. Invariant: nothing is changed by a trial, and it ends within a bounded
//! time.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process_group, setsid};

use super::program::{FileIdentity, Program};
use super::state::State;
use crate::agent::supervisor::task_process::TaskProcess;
use crate::escape;

/// Name under which the program tries itself.
pub const TRIAL: &str = "udpagent-trial";

/// Name under which this program executes another one for its trial.
pub const LAUNCHER: &str = "udpagent-launcher";

/// Last line of a successful trial.
const READY: &str = "ready to take over";

/// Bytes of the reason for a failure.
const REASON: usize = 1024;

/// Bytes that a trial may write.
const OUTPUT: usize = 64 << 10;

/// A trial in progress. Dropping it ends it.
#[derive(Debug)]
pub struct Trial {
    process: TaskProcess,
    output: UnixStream,
    text: Vec<u8>,
}

impl Trial {
    /// Starts a trial with a state. `own` is the program that runs. The process is added to `children`, which are to be
    /// reaped after their ends.
    ///
    /// # Errors
    /// The system has no process or descriptor left.
    pub fn start(
        own: &Path,
        program: &Program,
        state: OwnedFd,
        children: &mut Vec<i32>,
    ) -> io::Result<Self> {
        let (output, other) = UnixStream::pair()?;
        output.set_nonblocking(true)?;
        let other = OwnedFd::from(other);
        let mut command = Command::new(own);
        command
            .arg0(LAUNCHER)
            .arg(&program.path)
            .args(program.args.iter().skip(1))
            .stdin(state)
            .stdout(Stdio::from(other.try_clone()?))
            .stderr(Stdio::from(other));
        Ok(Self {
            process: TaskProcess::start(&mut command, children)?,
            output,
            text: Vec::new(),
        })
    }

    /// Returns a descriptor that becomes readable when [`poll`](Self::poll) may return the result.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.output.as_raw_fd()
    }

    /// Returns the result if it is known: the file that was tried, or the reason, if the program cannot continue.
    pub fn poll(&mut self) -> Option<Result<FileIdentity, String>> {
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

    fn result(&self) -> Result<FileIdentity, String> {
        let mut lines = self.text.trim_ascii_end().split(|&byte| byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let file = str::from_utf8(first).ok().and_then(FileIdentity::parse);
        // Without the identity, the first line is that of the launcher.
        let lines: Vec<&[u8]> = file
            .is_none()
            .then_some(first)
            .into_iter()
            .chain(lines)
            .collect();
        match (file, lines.last()) {
            (Some(file), Some(line)) if *line == READY.as_bytes() => Ok(file),
            _ => Err(reason(&lines)),
        }
    }
}

/// Returns the reason for a failure: the last message of this program, or else the first line that was written.
fn reason(lines: &[&[u8]]) -> String {
    let own = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(b"udpagent: "));
    let first = lines.iter().find(|line| !line.is_empty()).copied();
    own.or(first).map_or_else(
        || "the program has ended without a word".to_owned(),
        |line| escape::line(line, REASON).into_owned(),
    )
}

impl Drop for Trial {
    fn drop(&mut self) {
        // As long as the process is not reaped, its number stands for it, and for the group that it leads.
        if self.process.kill() {
            let _ = kill_process_group(self.process.pid(), Signal::KILL);
        }
    }
}

/// Executes the program that is the first argument, for a trial, with the other arguments, and waits for its end.
///
/// It runs in a session of its own, so that this agent reaps what a trial leaves behind that it has killed.
///
/// # Errors
/// The program cannot be executed.
pub fn launch(args: impl IntoIterator<Item = OsString>) -> io::Result<()> {
    let mut args = args.into_iter();
    let path = PathBuf::from(args.next().unwrap_or_default());
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    setsid()?;
    let file = FileIdentity::of(&path).map_err(named)?;
    writeln!(io::stdout(), "{file}")?;
    let child = Command::new(&path).arg0(TRIAL).args(args).spawn();
    let mut child = child.map_err(named)?;
    child.wait().map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_refused_program_is_its_own_message_or_the_first_line_of_another() {
        for (lines, words) in [
            (
                &[&b"udpagent: a warning"[..], b"udpagent: audit-file: /no"][..],
                "audit-file: /no",
            ),
            (
                &[
                    b"",
                    b"udpagent-trial: unrecognized option",
                    b"Try 'udpagent-trial --help'",
                ],
                "udpagent-trial: unrecognized option",
            ),
            (&[b""], "the program has ended without a word"),
        ] {
            assert_eq!(reason(lines), words);
        }
    }
}
