//! Signals as values on a channel.

use std::io;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

/// Signals that are told apart before the loop takes the first: the second one already means "at once".
const PENDING: usize = 4;

/// Catches SIGINT, SIGTERM and SIGWINCH from now on.
///
/// # Errors
/// When the system refuses.
pub fn catch() -> io::Result<Receiver<i32>> {
    let (sender, receiver) = bounded(PENDING);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGWINCH])?;
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
