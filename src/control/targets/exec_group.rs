//! Commands of this machine that name the members of a group, or print an inventory.
//!
//! A command runs when its output is needed, and that is kept for a minute, so that the commands of a script do not ask
//! again and again. Invariant: a command that fails, or does not end in time, gives no output.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::control::{limits, signals};
use crate::home;
use crossbeam_channel::bounded;

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program<'a> {
    /// Text for `/bin/sh`.
    Shell(&'a str),
    /// Program that prints an inventory; its path is absolute.
    Inventory(&'a Path),
}

impl Program<'_> {
    fn command(self) -> Command {
        match self {
            Self::Shell(text) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", text]);
                command
            }
            Self::Inventory(path) => {
                let mut command = Command::new(path);
                command.arg("--list");
                command
            }
        }
    }

    /// Returns a line that tells it from other programs, and from earlier versions of the same file.
    fn head(self) -> String {
        match self {
            Self::Shell(text) => format!("{text:?}\n"),
            Self::Inventory(path) => {
                let changed = fs::metadata(path).and_then(|meta| meta.modified());
                format!("{} --list {:?}\n", path.display(), changed.ok())
            }
        }
    }

    /// Largest output, in bytes.
    const fn most(self) -> u64 {
        match self {
            Self::Shell(_) => home::MAX_FILE,
            Self::Inventory(_) => limits::INVENTORY,
        }
    }
}

/// Reason why a command gives no output.
#[derive(Debug)]
pub enum ProgramError {
    /// The system does not start this program.
    Start(PathBuf, io::Error),
    /// Another one, as a sentence.
    Other(String),
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, error) => write!(f, "cannot start {}: {error}", program.display()),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// Returns the output of a command, or that of an earlier run that is kept in the file `cache`.
///
/// # Errors
/// [`ProgramError`]
pub fn output(program: Program, cache: &Path) -> Result<String, ProgramError> {
    let head = program.head();
    if let Some(kept) = kept(cache, program.most() + head.len() as u64)
        .as_deref()
        .and_then(|text| text.strip_prefix(&head))
    {
        return Ok(kept.to_owned());
    }
    let output = run(program)?;
    // Without it, the next command runs it again.
    let _ = home::replace_unsynced(cache, (head + &output).as_bytes());
    Ok(output)
}

/// Returns the text of the file, if it is new.
fn kept(cache: &Path, most: u64) -> Option<String> {
    let modified = fs::metadata(cache).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    let bytes = home::read_at_most(cache, home::Readers::Owner, most).ok()??;
    String::from_utf8(bytes)
        .ok()
        .filter(|_| age < limits::GROUP_KEPT)
}

fn run(program: Program) -> Result<String, ProgramError> {
    let mut command = program.command();
    let most = program.most();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let output = signals::with_child(&mut command, |child| collect(child, most));
    output
        .map_err(|error| ProgramError::Start(command.get_program().into(), error))?
        .map_err(ProgramError::Other)
}

/// Reads the output of a child, at most this many bytes, and waits for its end.
fn collect(child: &mut Child, most: u64) -> Result<String, String> {
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let (sender, receiver) = bounded(1);
    let reader = std::thread::Builder::new().name("group".into());
    let reader = reader.spawn(move || {
        let mut text = String::new();
        let read = stdout.take(most + 1).read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    reader.map_err(|error| format!("cannot start a thread: {error}"))?;
    let end = Instant::now() + limits::GROUP_COMMAND;
    let read = receiver.recv_deadline(end);
    let is_complete = matches!(&read, Ok(Ok(text)) if text.len() as u64 <= most);
    let status = ended(child, if is_complete { end } else { Instant::now() });
    let text = match read {
        Err(_) => {
            return Err(format!(
                "the command does not end within {:?}",
                limits::GROUP_COMMAND
            ));
        }
        Ok(Err(error)) => return Err(format!("the output of the command: {error}")),
        Ok(Ok(text)) if text.len() as u64 > most => {
            return Err(format!("the command writes more than {most} bytes"));
        }
        Ok(Ok(text)) => text,
    };
    match status {
        None => Err(format!(
            "the command does not end within {:?}",
            limits::GROUP_COMMAND
        )),
        Some(status) if !status.success() => Err(format!("the command failed: {status}")),
        Some(_) => Ok(text),
    }
}

/// Waits for the end of the command, and kills it if that does not come in time.
fn ended(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_command_is_kept_for_the_same_command_only() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache/web");
        let count = directory.path().join("count");
        let command = format!("echo x >> {}; echo 'web[1-2]'", count.display());
        for _ in 0..3 {
            assert_eq!(
                output(Program::Shell(&command), &cache).unwrap(),
                "web[1-2]\n"
            );
        }
        assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
        assert_eq!(output(Program::Shell("echo db"), &cache).unwrap(), "db\n");
        let old = SystemTime::now() - limits::GROUP_KEPT;
        fs::File::options()
            .append(true)
            .open(&cache)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(
            output(Program::Shell(&format!("{command}; :")), &cache).unwrap(),
            "web[1-2]\n"
        );
    }

    #[test]
    fn a_command_that_fails_or_writes_too_much_gives_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("web");
        for (command, words) in [
            ("echo web1; exit 3", "the command failed: exit status: 3"),
            ("kill -9 $$", "the command failed: signal: 9 (SIGKILL)"),
            (
                "exec >&-; exec sleep 600",
                "the command does not end within 10s",
            ),
            ("yes", "the command writes more than 4194304 bytes"),
            (
                "printf '\\377'",
                "the output of the command: stream did not contain valid UTF-8",
            ),
        ] {
            assert_eq!(
                output(Program::Shell(command), &cache)
                    .unwrap_err()
                    .to_string(),
                words
            );
            assert!(!cache.exists());
        }
    }
}
