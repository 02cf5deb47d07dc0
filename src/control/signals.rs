//! Signals as values on a channel.

use std::io;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

/// Signals that are told apart before the loop takes the first: the second one already means "at once".
const PENDING: usize = 16;

/// Catches SIGINT, SIGTERM, SIGHUP, SIGWINCH and those that are to be forwarded from now on. One that is
/// ignored, as by nohup(1), stays so unless it is to be forwarded.
///
/// # Errors
/// When the system refuses.
pub fn catch(forward: &[i32]) -> io::Result<Receiver<i32>> {
    let more: Vec<i32> = [SIGWINCH].iter().chain(forward).copied().collect();
    catch_end(&more)
}

/// Catches SIGINT, SIGTERM, SIGHUP and `more`. One of the first three that is ignored stays so unless it
/// is among `more`.
///
/// # Errors
/// When the system refuses.
pub fn catch_end(more: &[i32]) -> io::Result<Receiver<i32>> {
    let (sender, receiver) = bounded(PENDING);
    let ours = not_ignored([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = Signals::new(ours.chain(more.iter().copied()))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                // A full channel has said it all.
                let _ = sender.try_send(signal);
            }
        })?;
    Ok(receiver)
}

/// Those of `signals` that this process was not told to ignore, as by nohup(1). Only these may be caught.
pub fn not_ignored(signals: impl IntoIterator<Item = i32>) -> impl Iterator<Item = i32> {
    let ignored = ignored();
    signals
        .into_iter()
        .filter(move |signal| ignored & (1 << (signal - 1)) == 0)
}

/// The signals that this process was told to ignore, proc_pid_status(5): a bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
