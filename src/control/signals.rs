//! Signals as values on a channel, and the end of the process by one of them.
//!
//! Not their meaning, which the receiver decides. Invariants: the process ends itself by a signal only if it has caught that
//! one; a child that was started before any channel ends with the process.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGBUS, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM,
    SIGTRAP, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::message::status::interrupted;

/// Room for the state of a process in most cases: a file of the kernel's does not tell its length.
const STATUS: usize = 4096;

/// Signals that are queued until the loop takes the first. The second one already ends a program at once.
const PENDING: usize = 16;

/// Signals that end a program, and that a program may catch to end in order.
pub const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Signals that end a program which has not caught them, apart from those that [`catch_end`] catches. SIGILL, SIGFPE and
/// SIGSEGV are left out: after a fault of the program, nothing may be relied on.
const FATAL: [i32; 13] = [
    SIGABRT, SIGALRM, SIGBUS, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTRAP, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGXCPU, SIGXFSZ,
];

/// Signals that were caught, one bit each.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Signals that end the process once it has caught them, one bit each; none that is passed on to a command.
static FINAL: AtomicU64 = AtomicU64::new(0);

/// True once there is a channel.
static HAS_CHANNEL: AtomicBool = AtomicBool::new(false);

/// Longest time until a thread ends the process by a signal that was caught.
const ENDING_TIME: Duration = Duration::from_secs(1);

/// True once a signal was caught that ends the process while a child runs.
static ENDING_BY_SIGNAL: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Child that ends with this process.
static CHILD: Mutex<Option<OwnedFd>> = Mutex::new(None);

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Catches SIGINT, SIGTERM, SIGHUP, SIGWINCH and the signals to forward. A signal that the process was started to
/// ignore, as by nohup(1), stays ignored unless it is to be forwarded.
///
/// # Errors
/// If the system refuses.
pub fn catch(forward: &[i32]) -> io::Result<Receiver<i32>> {
    let more: Vec<i32> = [SIGWINCH].iter().chain(forward).copied().collect();
    catch_end(&more)
}

/// Catches, for a program that has changed the modes of its terminal, also SIGTSTP, SIGCONT and the signals that would end
/// it, so that it can restore them before.
///
/// # Errors
/// If the system refuses.
pub fn catch_with_terminal(forward: &[i32]) -> io::Result<Receiver<i32>> {
    let is_ours = |signal: &i32| !forward.contains(signal);
    let fatal: Vec<i32> = not_ignored(FATAL).filter(is_ours).collect();
    for &signal in &fatal {
        FINAL.fetch_or(bit(signal), Ordering::SeqCst);
    }
    let more = not_ignored([SIGTSTP, SIGCONT]).chain(fatal);
    let more: Vec<i32> = more.chain(forward.iter().copied()).collect();
    catch(&more)
}

/// Catches SIGINT, SIGTERM, SIGHUP and `more`. One of the first three that is ignored stays ignored unless it is among
/// `more`.
///
/// # Errors
/// If the system refuses.
pub fn catch_end(more: &[i32]) -> io::Result<Receiver<i32>> {
    FINAL.fetch_or(bit(SIGINT), Ordering::SeqCst);
    HAS_CHANNEL.store(true, Ordering::SeqCst);
    let (sender, receiver) = bounded(PENDING);
    let ours = not_ignored(ENDING);
    let mut signals = Signals::new(ours.chain(more.iter().copied()))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                CAUGHT.fetch_or(bit(signal), Ordering::SeqCst);
                // Further signals tell nothing new when the channel is full.
                let _ = sender.try_send(signal);
            }
        })?;
    Ok(receiver)
}

/// Starts a child and calls a function that waits for it. If a signal ends this process meanwhile, the child gets SIGTERM: a
/// terminal signals both, but kill(1) does not. After [`catch_end`], a signal ends neither.
///
/// # Errors
/// If the child is not started.
pub fn with_child<T>(command: &mut Command, wait: impl FnOnce(&mut Child) -> T) -> io::Result<T> {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        if !HAS_CHANNEL.load(Ordering::SeqCst) {
            // Without it, the child goes on.
            let _ = end_by_signals();
        }
    });
    let mut child = {
        // A signal during the start waits for it.
        let mut ours = CHILD.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        *ours = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
        child
    };
    let result = wait(&mut child);
    let signaled = ENDING_BY_SIGNAL.get();
    if !HAS_CHANNEL.load(Ordering::SeqCst)
        && signaled.is_some_and(|caught| caught.load(Ordering::SeqCst))
    {
        // A terminal has signaled both, and the child was first.
        std::thread::sleep(ENDING_TIME);
    }
    *CHILD.lock().unwrap_or_else(PoisonError::into_inner) = None;
    Ok(result)
}

/// Starts the thread that ends the child, and then the process, by a signal for which there is no channel.
fn end_by_signals() -> io::Result<()> {
    let signaled = ENDING_BY_SIGNAL.get_or_init(Arc::default);
    let ours: Vec<i32> = not_ignored(ENDING).collect();
    for &signal in &ours {
        flag::register(signal, Arc::clone(signaled))?;
    }
    let mut signals = Signals::new(ours)?;
    let thread = std::thread::Builder::new().name("child".into());
    let thread = thread.spawn(move || {
        for signal in signals.forever() {
            if HAS_CHANNEL.load(Ordering::SeqCst) {
                continue;
            }
            let child = CHILD.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(child) = &*child {
                let _ = pidfd_send_signal(child, Signal::TERM);
            }
            let _ = emulate_default_handler(signal);
        }
    });
    thread.map(drop)
}

/// Records a SIGINT that was caught elsewhere, as by a line editor.
pub fn set_interrupted() {
    FINAL.fetch_or(bit(SIGINT), Ordering::SeqCst);
    CAUGHT.fetch_or(bit(SIGINT), Ordering::SeqCst);
}

/// Ends the process by the signal of an exit status, 128+n, if that was caught and is SIGINT, or is not passed on and would
/// have ended a program that has not caught it. A shell stops its loop only if the command ends by SIGINT: one that exits
/// with 130 may have handled it (`bash(1)`, SIGNALS). Otherwise the function returns.
pub fn end_by_signal(status: u8) {
    let caught = CAUGHT.load(Ordering::SeqCst) & FINAL.load(Ordering::SeqCst);
    let is_caught = |signal: &i32| caught & bit(*signal) != 0 && interrupted(*signal) == status;
    if let Some(signal) = [SIGINT].into_iter().chain(FATAL).find(is_caught) {
        // On a failure the caller exits with the status of the signal.
        let _ = emulate_default_handler(signal);
    }
}

/// Returns those of `signals` that this process was not started to ignore, as by nohup(1). Only these may be caught.
pub fn not_ignored(signals: impl IntoIterator<Item = i32>) -> impl Iterator<Item = i32> {
    let ignored = ignored();
    signals
        .into_iter()
        .filter(move |&signal| ignored & bit(signal) == 0)
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
