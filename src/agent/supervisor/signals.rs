//! Signals to the supervisor, and the orders of an embedder, as readable descriptors.
//!
//! No thread waits for them: a handler writes a byte to a socket.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Interest, Registry};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGINT};
use signal_hook::low_level;

use super::tokens;

/// Flags and the sockets that wake the loop.
pub struct Signals {
    stop: Arc<AtomicBool>,
    /// SIGINT, which the user of a prompt is asked about.
    interrupt: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
    wakes: mio::net::UnixStream,
    children: mio::net::UnixStream,
    registrations: Vec<SigId>,
}

/// Handle that stops an agent: its jobs are ended, their results delivered, its sessions closed.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    wake: Arc<UnixStream>,
}

impl Stopper {
    /// Starts the shutdown and returns at once. The agent ends within nine seconds.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // If the socket is full, the loop is awake.
        let _ = io::Write::write(&mut &*self.wake, &[0]);
    }
}

impl Signals {
    /// Returns the signals of a supervisor: those of `stops` end it, those of `reloads` let it load its files again. An
    /// embedder has none, and keeps SIGCONT for itself.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(registry: &Registry, stops: &[i32], reloads: &[i32]) -> io::Result<(Self, Stopper)> {
        let (read, wake) = UnixStream::pair()?;
        let (children, child) = UnixStream::pair()?;
        for socket in [&read, &wake, &children, &child] {
            socket.set_nonblocking(true)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let interrupt = Arc::new(AtomicBool::new(false));
        let reload = Arc::new(AtomicBool::new(false));
        let continued = Arc::new(AtomicBool::new(false));
        let continues: &[i32] = if stops.is_empty() { &[] } else { &[SIGCONT] };
        let mut registrations = vec![low_level::pipe::register(SIGCHLD, child)?];
        for (signals, flag) in [(stops, &stop), (reloads, &reload), (continues, &continued)] {
            for &signal in signals {
                let flag = if signal == SIGINT { &interrupt } else { flag };
                registrations.push(signal_hook::flag::register(signal, Arc::clone(flag))?);
                registrations.push(low_level::pipe::register(signal, wake.try_clone()?)?);
            }
        }
        let mut wakes = mio::net::UnixStream::from_std(read);
        let mut children = mio::net::UnixStream::from_std(children);
        registry.register(&mut wakes, tokens::SIGNAL, Interest::READABLE)?;
        registry.register(&mut children, tokens::CHILD, Interest::READABLE)?;
        let stopper = Stopper {
            stop: Arc::clone(&stop),
            wake: Arc::new(wake),
        };
        let signals = Self {
            stop,
            interrupt,
            reload,
            continued,
            wakes,
            children,
            registrations,
        };
        Ok((signals, stopper))
    }

    /// Returns true if the agent is to end.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Lets the agent end.
    pub fn set_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Returns true if SIGINT has arrived since it was taken.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst)
    }

    /// Takes SIGINT. Returns false if it has not arrived since.
    pub fn take_interrupt(&self) -> bool {
        self.interrupt.swap(false, Ordering::SeqCst)
    }

    /// Returns true, once for each order, if the files are to be loaded again.
    pub fn reload(&self) -> bool {
        self.reload.swap(false, Ordering::SeqCst)
    }

    /// Returns true if SIGCONT has arrived since it was taken.
    pub fn take_continued(&self) -> bool {
        self.continued.swap(false, Ordering::SeqCst)
    }

    /// Takes the bytes that have woken the loop.
    pub fn drain(&mut self) {
        drain(&mut self.wakes);
    }

    /// Takes the notes of ended children.
    pub fn drain_children(&mut self) {
        drain(&mut self.children);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for registration in self.registrations.drain(..) {
            low_level::unregister(registration);
        }
    }
}

fn drain(socket: &mut mio::net::UnixStream) {
    let mut bytes = [0; 64];
    while socket.read(&mut bytes).is_ok_and(|count| count > 0) {}
}
