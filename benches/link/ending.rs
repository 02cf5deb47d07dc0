//! One transfer, whose output is compared, and its end.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::common::process::{Running, check_signals, ends_within};

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
