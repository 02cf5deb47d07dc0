//! Programs that the bench starts: each is ended by its id when it is dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Time for a daemon to start, and to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval at which the end by a signal is noticed.
const TICK: Duration = Duration::from_millis(200);

/// True once the bench was asked to end.
static SIGNALLED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Makes SIGINT and SIGTERM end the bench by a panic, which drops, and thus ends, all that it has started.
pub fn end_on_signals() {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&SIGNALLED))
            .expect("the signal can be caught");
    }
}

/// Panics if the bench was asked to end.
pub fn check_signals() {
    assert!(!SIGNALLED.load(Ordering::Relaxed), "ended by a signal");
}

/// Sleeps, and panics when the bench is asked to end.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    loop {
        check_signals();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(TICK));
    }
}

/// Runs a program that has to succeed, and returns its output.
pub fn output(mut command: Command) -> Vec<u8> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output.stdout
}

/// A program that runs until it is dropped, and the lines that it prints.
pub struct Daemon {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Daemon {
    pub fn start(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let copy = writer.try_clone().expect("a descriptor can be duplicated");
        command.stdin(Stdio::null()).stdout(copy).stderr(writer);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // It holds the writing end, without which the lines have an end.
        drop(command);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(reader).split(b'\n').map_while(Result::ok);
            for line in lines {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for the next line that contains `part`.
    pub fn line(&self, part: &str) -> String {
        let mut others = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => others = others + &line + "\n",
                Err(error) => panic!("no line with {part:?}: {error}, after:\n{others}"),
            }
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(self.pid(), Signal::TERM);
        if let Ok(pidfd) = pidfd_open(self.pid(), PidfdFlags::empty()) {
            ends_within(&pidfd, PATIENCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program whose output is read. Killed when dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// End of a transfer.
#[derive(Clone, Copy)]
pub enum Ending {
    /// Succeeded with the output expected, after this time.
    Finished(Duration),
    /// Killed after the longest time allowed.
    TimedOut,
    /// Failed, or its output was not the one expected.
    Failed,
}

/// Runs a program with `input`, and compares its output with the one expected.
pub fn transfer(
    mut command: Command,
    input: Option<&Path>,
    expected: &[u8],
    limit: Duration,
) -> Ending {
    let stdin = input.map_or_else(Stdio::null, |path| {
        File::open(path).expect("the input can be read").into()
    });
    command.stdin(stdin).stdout(Stdio::piped());
    let begin = Instant::now();
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut running = Running(child);
    let stdout = running.0.stdout.take().expect("stdout is a pipe");
    let pid = Pid::from_child(&running.0);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child has a pidfd until its wait");
    let (same, in_time) = thread::scope(|scope| {
        let watchdog = scope.spawn(|| {
            let in_time = ends_within(&pidfd, limit);
            if !in_time {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            }
            in_time
        });
        let same = yields(stdout, expected);
        (same, watchdog.join().expect("it does not panic"))
    });
    let status = running.0.wait().expect("a child can be waited for");
    let time = begin.elapsed();
    check_signals();
    match (in_time, same) {
        (false, _) => Ending::TimedOut,
        (true, Ok(())) if status.success() => Ending::Finished(time),
        (true, same) => {
            let reason = same.err().unwrap_or_default();
            eprintln!("link: {command:?}: {status} {reason}");
            Ending::Failed
        }
    }
}

/// Returns false if the process still runs after `limit`, or when the bench is asked to end.
fn ends_within(pidfd: impl AsFd, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(TICK);
        let timeout = Timespec::try_from(left).expect("a tick is short");
        let mut ready = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) if left.is_zero() => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {
                if SIGNALLED.load(Ordering::Relaxed) {
                    return false;
                }
            }
            ended => return ended.is_ok(),
        }
    }
}

/// Reads to the end, and says how the bytes differ from those expected.
fn yields(mut stdout: impl Read, mut expected: &[u8]) -> Result<(), String> {
    let total = expected.len();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = stdout
            .read(&mut buffer)
            .map_err(|error| format!("while its output was read: {error}"))?;
        if count == 0 && expected.is_empty() {
            return Ok(());
        }
        let at = total - expected.len();
        if count == 0 {
            return Err(format!("after {at} of {total} bytes"));
        }
        expected = expected
            .strip_prefix(&buffer[..count])
            .ok_or_else(|| format!("with other bytes than expected after {at}"))?;
    }
}
