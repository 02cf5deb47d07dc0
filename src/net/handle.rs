//! The network thread as others see it: how it is started, and the two channels.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;

use super::driver::Driver;
use super::udp::Socket;
use super::{Command, Event, limits};
use crate::rng::Rng;
use crate::session::{self, Path};
use crate::time::Instant;

/// Decides, on the network thread, which plain-text datagrams are worth an event. Called before
/// anything is allocated; must not block.
pub trait PlainSink: Send {
    /// Whether to let this one through. `text` is cut to [`limits::PLAIN`].
    fn admit(&mut self, now: Instant, path: &Path, text: &[u8]) -> bool;
}

/// A running network thread. It ends after [`Command::Shutdown`], when the last [`Handle`] is dropped, or by a
/// panic when the system fails it: no socket is left, or it cannot be waited for. Then [`Events::channel`] is disconnected, so that one can wait for it.
pub struct Net {
    /// To talk to it.
    pub handle: Handle,
    /// What it tells.
    pub events: Events,
    /// The addresses that were bound, with their real ports, by socket number.
    pub addresses: Vec<SocketAddr>,
    /// Addresses that could not be bound although others could (e.g. no IPv6 here).
    pub unbound: Vec<(SocketAddr, io::Error)>,
}

/// The sending end; clones are cheap.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<HandleInner>,
}

struct HandleInner {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

/// The receiving end.
pub struct Events {
    channel: Receiver<Event>,
    shared: Arc<Shared>,
}

/// What both sides of the channels see.
pub(super) struct Shared {
    waker: Waker,
    /// The thread sleeps, or is about to: a command must wake it.
    asleep: AtomicBool,
    /// The thread has events for which there is no room: whoever makes room must wake it.
    wants_room: AtomicBool,
    /// Nobody can send a command any more.
    abandoned: AtomicBool,
    /// Datagrams that the system refused to send.
    unsent: AtomicU64,
}

impl Handle {
    /// Hands a command over, waiting while the channel is full.
    ///
    /// # Errors
    /// The command, when the thread has ended.
    #[allow(clippy::result_large_err, reason = "the command is the error")]
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.inner
            .commands
            .send(command)
            .map_err(crossbeam_channel::SendError::into_inner)?;
        self.inner.shared.command_sent();
        Ok(())
    }

    /// Datagrams that the system refused to send, since the start: no route, larger than the
    /// device's MTU, forbidden by a firewall. The machine sees them as lost.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.inner.shared.unsent.load(Ordering::Relaxed)
    }
}

impl Drop for HandleInner {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::SeqCst);
        self.shared.wake();
    }
}

impl Events {
    pub(super) const fn new(channel: Receiver<Event>, shared: Arc<Shared>) -> Self {
        Self { channel, shared }
    }

    /// The channel, for `select!`. After each value taken from it call [`Events::taken`].
    #[must_use]
    pub const fn channel(&self) -> &Receiver<Event> {
        &self.channel
    }

    /// Tells the network thread that there is room again, if it waits for that.
    pub fn taken(&self) {
        // Pairs with the fence in `wait_for_room`: either this sees the wish, or the thread the room.
        fence(Ordering::SeqCst);
        if self.shared.wants_room.load(Ordering::Relaxed)
            && self.shared.wants_room.swap(false, Ordering::SeqCst)
        {
            self.shared.wake();
        }
    }
}

impl Shared {
    pub(super) fn new(registry: &mio::Registry) -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new(registry, super::driver::WAKER)?,
            asleep: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            unsent: AtomicU64::new(0),
        })
    }

    /// The thread is about to sleep. After this it must look at its channel once more.
    pub(super) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The thread is up; commands need not wake it.
    pub(super) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// The thread wants room for events. After this it must try once more.
    pub(super) fn wait_for_room(&self) {
        self.wants_room.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Nobody can send a command any more.
    pub(super) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// So many datagrams could not be sent.
    pub(super) fn count_unsent(&self, datagrams: u64) {
        self.unsent.fetch_add(datagrams, Ordering::Relaxed);
    }

    fn command_sent(&self) {
        // Pairs with the fence in `fall_asleep`: either this sees it asleep, or it sees the command.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        // It can only fail when the eventfd's counter is full, and then the thread is being woken.
        let _ = self.waker.wake();
    }
}

/// Binds every address of `binds` and starts the thread. `wake`, if given, is called after events were
/// put on an empty channel, so that an application that sleeps in its own poll notices. It then takes
/// events until there are none.
///
/// # Errors
/// When none of the addresses could be bound.
pub fn start(
    binds: &[SocketAddr],
    mut config: session::Config,
    rng: Rng,
    plain: Option<Box<dyn PlainSink>>,
    wake: Option<Box<dyn Fn() + Send>>,
) -> io::Result<Net> {
    let (sockets, unbound) = bind(binds)?;
    let addresses = sockets.iter().map(|socket| socket.address).collect();
    config.segments = sockets
        .iter()
        .map(Socket::segments)
        .min()
        .unwrap_or(1)
        .clamp(1, session::limits::SEGMENTS);

    let poll = mio::Poll::new()?;
    let shared = Arc::new(Shared::new(poll.registry())?);
    let (command_sender, commands) = bounded(limits::COMMANDS);
    let (event_sender, events) = bounded(limits::EVENTS);
    let event_queue = super::event_queue::EventQueue::new(event_sender, wake);
    let driver = Driver::new(
        poll,
        sockets,
        (config, rng),
        commands,
        event_queue,
        plain,
        Arc::clone(&shared),
    )?;
    std::thread::Builder::new()
        .name("network".into())
        .spawn(move || driver.run())?;
    Ok(Net {
        handle: Handle {
            inner: Arc::new(HandleInner {
                commands: command_sender,
                shared: Arc::clone(&shared),
            }),
        },
        events: Events::new(events, shared),
        addresses,
        unbound,
    })
}

/// Addresses that could not be bound.
type Unbound = Vec<(SocketAddr, io::Error)>;

fn bind(binds: &[SocketAddr]) -> io::Result<(Vec<Socket>, Unbound)> {
    let mut sockets = Vec::new();
    let mut unbound = Vec::new();
    for &address in binds {
        match Socket::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) => unbound.push((address, error)),
        }
    }
    if sockets.is_empty() {
        return Err(match unbound.pop() {
            Some((_, error)) => error,
            None => io::Error::new(io::ErrorKind::InvalidInput, "no address to bind"),
        });
    }
    Ok((sockets, unbound))
}
