//! Signals as values on a channel, and the end of the process by SIGINT.
//!
//! Not their meaning, which the receiver decides. Invariant: the process ends by a signal only if it has caught that one.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Room for the state of a process in most cases: a file of the kernel's does not tell its length.
const STATUS: usize = 4096;

/// Signals that are queued until the loop takes the first. The second one already ends a program at once.
const PENDING: usize = 16;

/// True once SIGINT was caught.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Catches SIGINT, SIGTERM, SIGHUP, SIGWINCH and the signals to forward. A signal that the process was started to
/// ignore, as by nohup(1), stays ignored unless it is to be forwarded.
///
/// # Errors
/// If the system refuses.
pub fn catch(forward: &[i32]) -> io::Result<Receiver<i32>> {
    let more: Vec<i32> = [SIGWINCH].iter().chain(forward).copied().collect();
    catch_end(&more)
}

/// Catches SIGINT, SIGTERM, SIGHUP and `more`. One of the first three that is ignored stays ignored unless it is among
/// `more`.
///
/// # Errors
/// If the system refuses.
pub fn catch_end(more: &[i32]) -> io::Result<Receiver<i32>> {
    let (sender, receiver) = bounded(PENDING);
    let ours = not_ignored([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = Signals::new(ours.chain(more.iter().copied()))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGINT {
                    INTERRUPTED.store(true, Ordering::SeqCst);
                }
                // Further signals tell nothing new when the channel is full.
                let _ = sender.try_send(signal);
            }
        })?;
    Ok(receiver)
}

/// Ends the process by SIGINT if it was caught. A shell stops its loop only if the command ends by the signal: one that
/// exits with 130 may have handled it (`bash(1)`, SIGNALS). Otherwise the function returns.
pub fn end_if_interrupted() {
    if INTERRUPTED.load(Ordering::SeqCst) {
        // On a failure the caller exits with the status of the signal.
        let _ = emulate_default_handler(SIGINT);
    }
}

/// Returns those of `signals` that this process was not started to ignore, as by nohup(1). Only these may be caught.
pub fn not_ignored(signals: impl IntoIterator<Item = i32>) -> impl Iterator<Item = i32> {
    let ignored = ignored();
    signals
        .into_iter()
        .filter(move |signal| ignored & (1 << (signal - 1)) == 0)
}

/// Returns the signals that this process ignores, one bit each; see proc_pid_status(5).
fn ignored() -> u64 {
    let mut status = String::with_capacity(STATUS);
    // What cannot be read ignores nothing.
    let _ = File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
