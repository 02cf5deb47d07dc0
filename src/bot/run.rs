//! One run of the command of a bot.
//!
//! Not its queue. Invariants: at the return its process group is killed and it is reaped; no more of its output is held
//! than [`limits::ANSWER`] and [`limits::STDERR`].

use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{Answer, Command, Failure, Outcome, limits};

/// Runs a command with a message on its standard input, and waits for its end. Returns `None` if `canceled` was hung up
/// before.
#[must_use]
pub fn run(command: &Command, message: &[u8], canceled: BorrowedFd<'_>) -> Option<Outcome> {
    let result = Running::start(command, message).and_then(|running| running.wait(canceled));
    match result {
        Ok(outcome) => outcome,
        Err(error) => Some(Outcome::Failed(Failure::of_system(&error))),
    }
}

/// A command that runs. Dropping it kills its process group and reaps it.
struct Running<'a> {
    command: &'a Command,
    deadline: Instant,
    child: Child,
    /// True once its number may be that of another process.
    is_reaped: bool,
    handle: OwnedFd,
    /// Rest of the message.
    input: &'a [u8],
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    output: Vec<u8>,
    errors: Vec<u8>,
}

impl<'a> Running<'a> {
    fn start(command: &'a Command, message: &'a [u8]) -> io::Result<Self> {
        let deadline = Instant::now() + command.timeout;
        let mut child = process::Command::new(command.words.program())
            .args(command.words.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let handle = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(error) => {
                kill(&child);
                child.wait()?;
                return Err(error.into());
            }
        };
        let running = Self {
            command,
            deadline,
            handle,
            input: message,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            is_reaped: false,
            output: Vec::new(),
            errors: Vec::new(),
        };
        let Self {
            stdin,
            stdout,
            stderr,
            ..
        } = &running;
        stdin.as_ref().map_or(Ok(()), set_nonblocking)?;
        stdout.as_ref().map_or(Ok(()), set_nonblocking)?;
        stderr.as_ref().map_or(Ok(()), set_nonblocking)?;
        Ok(running)
    }

    fn wait(mut self, canceled: BorrowedFd<'_>) -> io::Result<Option<Outcome>> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let failure = Failure::of_time(self.command.timeout, &self.errors);
                return Ok(Some(Outcome::Failed(failure)));
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let none = PollFlags::empty();
            let mut events = vec![
                PollFd::from_borrowed_fd(canceled, none),
                PollFd::new(&self.handle, PollFlags::IN),
            ];
            events.extend(
                self.stdin
                    .iter()
                    .map(|pipe| PollFd::new(pipe, PollFlags::OUT)),
            );
            events.extend(
                self.stdout
                    .iter()
                    .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
            );
            events.extend(
                self.stderr
                    .iter()
                    .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
            );
            match poll(&mut events, Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let is_canceled = events[0].revents().contains(PollFlags::HUP);
            let has_ended = events[1].revents().contains(PollFlags::IN);
            if is_canceled {
                return Ok(None);
            }
            self.write();
            self.read();
            if self.output.len() > limits::ANSWER {
                let answer = Answer::new(&self.output[..limits::ANSWER], true);
                return Ok(Some(Outcome::Answered(answer)));
            }
            if has_ended {
                // What it wrote before its end was read after that.
                return self.conclude().map(Some);
            }
        }
    }

    /// Writes as much of the message as the pipe takes.
    fn write(&mut self) {
        while let Some(pipe) = &mut self.stdin {
            match pipe.write(self.input) {
                Ok(count) => self.input = &self.input[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A command need not read the message.
                Err(_) => self.input = &[],
            }
            if self.input.is_empty() {
                self.stdin = None;
            }
        }
    }

    /// Reads what is in the pipes.
    fn read(&mut self) {
        if read(self.stdout.as_mut(), &mut self.output, limits::ANSWER) {
            self.stdout = None;
        }
        if read(self.stderr.as_mut(), &mut self.errors, usize::MAX) {
            self.stderr = None;
        }
        let surplus = self.errors.len().saturating_sub(limits::STDERR);
        self.errors.drain(..surplus);
    }

    fn conclude(mut self) -> io::Result<Outcome> {
        let status = self.end()?;
        Ok(if status.success() {
            Outcome::Answered(Answer::new(&self.output, false))
        } else {
            Outcome::Failed(Failure::of_status(status, &self.errors))
        })
    }

    /// Kills the process group, with what the command has left in the background, and reaps the command.
    fn end(&mut self) -> io::Result<process::ExitStatus> {
        if !self.is_reaped {
            kill(&self.child);
            self.is_reaped = true;
        }
        self.child.wait()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Kills the process group of a child. It is not reaped, so that the number of the group is not that of another.
fn kill(child: &Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// Reads what is in a pipe, up to a little more than `most` bytes held and [`limits::BURST`] at once. Returns true at its end.
fn read(pipe: Option<&mut impl Read>, into: &mut Vec<u8>, most: usize) -> bool {
    let Some(pipe) = pipe else { return false };
    let mut buffer = vec![0; limits::READ];
    let mut burst = 0;
    while into.len() <= most && burst < limits::BURST {
        match pipe.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => {
                into.extend_from_slice(&buffer[..count]);
                burst += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
    false
}

fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use std::io::pipe;
    use std::time::Duration;

    use super::*;
    use crate::bot::Words;

    /// Runs a script of `sh` with a message.
    fn answer(script: &str, message: &str, timeout: Duration) -> Outcome {
        let words = ["sh", "-c", script].map(str::to_owned);
        let command = Command {
            words: Words::new(words.into()).unwrap(),
            timeout,
        };
        let (canceled, _held) = pipe().unwrap();
        run(&command, message.as_bytes(), canceled.as_fd()).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    fn lines(outcome: Outcome) -> Vec<String> {
        match outcome {
            Outcome::Answered(answer) => answer.lines,
            Outcome::Failed(failure) => panic!("{failure}"),
        }
    }

    fn failure(outcome: Outcome) -> String {
        match outcome {
            Outcome::Answered(answer) => panic!("{answer:?}"),
            Outcome::Failed(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_command_of_a_bot_gets_the_message_on_its_standard_input_and_may_leave_it_unread() {
        let long = "x".repeat(1 << 20);
        assert_eq!(
            lines(answer("wc -c", &long, LONG)),
            [long.len().to_string()]
        );
        assert_eq!(lines(answer("echo hello", &long, LONG)), ["hello"]);
        assert_eq!(lines(answer("", "x", LONG)), [""; 0]);
    }

    #[test]
    fn a_command_of_a_bot_that_fails_gives_no_answer() {
        let script = "echo out; echo first >&2; echo last >&2; exit 3";
        assert_eq!(failure(answer(script, "", LONG)), "exit status 3: last");
        assert_eq!(failure(answer("kill -9 $$", "", LONG)), "ended by signal 9");
        let short = Duration::from_millis(50);
        assert_eq!(
            failure(answer("echo late; echo why >&2; sleep 600", "", short)),
            "no answer within 50ms; killed: why"
        );
        let words = Words::new(vec!["/nonexistent".into()]).unwrap();
        let command = Command {
            words,
            timeout: LONG,
        };
        let (canceled, _held) = pipe().unwrap();
        let outcome = run(&command, b"", canceled.as_fd()).unwrap();
        assert_eq!(
            failure(outcome),
            "cannot be run: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_command_of_a_bot_that_floods_is_killed_and_its_answer_is_cut() {
        let Outcome::Answered(answer) = answer("yes", "", LONG) else {
            panic!("it has failed")
        };
        assert_eq!(
            (answer.lines.len(), answer.is_cut),
            (limits::ANSWER_LINES, true)
        );
    }

    #[test]
    fn what_a_command_of_a_bot_leaves_in_the_background_is_ended_and_not_waited_for() {
        let outcome = answer("sleep 600 & echo $!", "", LONG);
        wait_for_end(&lines(outcome)[0]);
    }

    /// Waits until a process is a zombie, which its new parent reaps, or gone.
    fn wait_for_end(pid: &str) {
        let until = Instant::now() + LONG;
        while let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            && !stat.contains(") Z ")
        {
            assert!(Instant::now() < until, "{stat}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_command_of_a_bot_that_takes_too_long_is_killed_with_its_process_group() {
        let script = r#"trap "" HUP INT TERM; sleep 600 & echo $! >&2; wait"#;
        let mut timeout = Duration::from_millis(100);
        // On a busy machine it may not have written before.
        let pid = loop {
            let failure = failure(answer(script, "", timeout));
            if let Some((_, pid)) = failure.rsplit_once(": ") {
                break pid.to_owned();
            }
            timeout *= 2;
        };
        wait_for_end(&pid);
    }

    #[test]
    fn a_canceled_command_of_a_bot_is_killed() {
        let words = Words::new(vec!["sleep".into(), "600".into()]).unwrap();
        let command = Command {
            words,
            timeout: LONG,
        };
        let (canceled, held) = pipe().unwrap();
        drop(held);
        assert_eq!(run(&command, b"", canceled.as_fd()), None);
    }
}
