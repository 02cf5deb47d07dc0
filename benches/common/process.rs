//! Programs that the bench starts: each is ended by its id when it is dropped.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Time for a daemon to start, and to end after SIGTERM.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Interval at which the end by a signal is noticed.
pub const TICK: Duration = Duration::from_millis(200);

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

/// Children of a process that has one thread.
pub fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("a running process has a list of its children");
    let pids = children.split_whitespace().map(str::parse::<i32>);
    pids.filter_map(|pid| Pid::from_raw(pid.expect("an id is a number")))
        .collect()
}

/// A program whose output is read. Killed when dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns false if the process still runs after `limit`, or when the bench is asked to end.
pub fn ends_within(pidfd: impl AsFd, limit: Duration) -> bool {
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
