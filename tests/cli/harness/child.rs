//! A process with output that tests can wait for.

use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};

/// Deadline of every wait. Generous, because the machine may be busy with other tests.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running process; killed and reaped when dropped.
pub struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// The lines of a stream as they arrive.
struct Lines {
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Child {
    /// Starts it with pipes for all three streams.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut started = None;
        eventually("the program can be executed", || {
            started = match command.spawn() {
                // Another test has begun a process while this one was writing the file.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
                result => Some(result.unwrap()),
            };
            started.is_some()
        });
        let mut process = started.expect("it has started");
        Self {
            stdin: process.stdin.take(),
            stdout: Lines::of(process.stdout.take().unwrap()),
            stderr: Lines::of(process.stderr.take().unwrap()),
            process,
        }
    }

    /// Waits for a line of stdout that `wanted` accepts, and returns it.
    pub fn stdout_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        self.stdout.wait(wanted)
    }

    /// Waits for a line of stderr that `wanted` accepts, and returns it.
    pub fn stderr_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        self.stderr.wait(wanted)
    }

    /// Lines of stdout that were read so far.
    pub fn stdout_seen(&self) -> &[String] {
        &self.stdout.seen
    }

    /// Lines of stderr that were read so far.
    pub fn stderr_seen(&self) -> &[String] {
        &self.stderr.seen
    }

    /// Writes to stdin.
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The pipe to stdin, for a test that writes to it itself.
    pub const fn stdin(&mut self) -> &mut ChildStdin {
        self.stdin.as_mut().expect("stdin is open")
    }

    /// Takes the pipe to stdin, for another thread.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("stdin is open")
    }

    /// Takes back what [`take_stdin`](Self::take_stdin) has returned.
    pub fn give_stdin(&mut self, stdin: ChildStdin) {
        self.stdin = Some(stdin);
    }

    /// Ends stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end of the process and of both outputs. Returns the status and the rest of stderr.
    pub fn wait(&mut self) -> (std::process::ExitStatus, String) {
        self.stdin = None;
        self.stdout.drain();
        self.stderr.drain();
        let status = self.process.wait().unwrap();
        (status, self.stderr.seen.join("\n"))
    }

    /// True if it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end only. Returns false if it did not end in time.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let handle = pidfd_open(self.pid(), PidfdFlags::empty()).unwrap();
        let deadline = Instant::now() + time;
        loop {
            if !self.is_running() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let left = left.try_into().unwrap();
            // Interrupted or not: the loop checks the state above.
            let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&left));
        }
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            lines,
            seen: Vec::new(),
        }
    }

    fn wait(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(error) => panic!("no such line ({error}); there were {:#?}", self.seen),
            }
        }
    }

    fn drain(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("no end; there were {:#?}", self.seen),
            }
        }
    }
}

/// Status of a process as a shell shows it: 128+n after signal n.
pub fn shell_status(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| Some(128 + status.signal()?))
}

/// Pause between two polls: a test that spins takes the time from what it waits for.
pub const POLL: Duration = Duration::from_millis(1);

/// Waits until a condition holds that no output announces, by polling.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(POLL);
    }
}
