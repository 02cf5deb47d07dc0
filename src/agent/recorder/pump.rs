//! Thread that sends what waits in a queue before a socket, for a program whose loop does not watch the socket.
//!
//! Invariant: it sleeps while nothing waits.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, poll};

/// Wakes the thread.
#[derive(Clone, Debug)]
pub(super) struct Pump(SyncSender<()>);

impl Pump {
    /// Starts the thread. `drain` sends as much as `socket` takes, and returns true if nothing waits any more.
    pub(super) fn start(
        socket: OwnedFd,
        drain: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || {
                while woken.recv().is_ok() {
                    while !drain() {
                        // Interrupted or not: the loop tries again. A socket without recorder is writable.
                        let _ = poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None);
                    }
                }
            })?;
        Ok(Self(wake))
    }

    /// Makes the thread look at the queue.
    pub(super) fn wake(&self) {
        // If it is woken already, it will look after this.
        let _ = self.0.try_send(());
    }
}
