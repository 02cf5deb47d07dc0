//! The network thread as seen by its application: its start, and the sending end of its commands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};

use super::carrier::Carrier;
use super::command::Command;
use super::driver::Driver;
use super::drops;
use super::event_queue::{self, EventQueue, Events};
use super::limits;
use super::plain::PlainSink;
use super::shared::Shared;
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::{self, Path};
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// A running network thread. It ends after [`Command::Shutdown`], when the last [`Handle`] is dropped, or by a
/// panic when it cannot work any more: no carrier is left, or the poll fails. Then [`Events::channel`] is
/// disconnected, so that an application can wait for it.
pub struct Net {
    /// Sending end of the commands.
    pub handle: Handle,
    /// Receiving end of the events.
    pub events: Events,
    /// Local addresses of the carriers, by [`Path::socket`].
    pub addresses: Vec<PeerAddr>,
    /// Smallest receive buffer of the carriers in octets, as [`Carrier::receive_buffer`] counts them.
    pub receive_buffer: u64,
}

/// The sending end of the commands; clones are cheap.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<HandleInner>,
}

struct HandleInner {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

impl Net {
    /// Path to a socket address, over the first carrier of its address family.
    #[must_use]
    pub fn path_to(&self, remote: SocketAddr) -> Option<Path> {
        let is_v4 = |local: &PeerAddr| local.socket_addr().map(|local| local.is_ipv4());
        let socket = self
            .addresses
            .iter()
            .position(|local| is_v4(local) == Some(remote.is_ipv4()))?;
        Some(Path {
            socket: u16::try_from(socket).ok()?,
            local: None,
            remote: remote.into(),
        })
    }

    /// Number of datagrams that the kernel has dropped because a receive buffer was full; `None` if it is not known.
    /// Reads files.
    #[must_use]
    pub fn dropped(&self) -> Option<u64> {
        drops::dropped(&self.addresses)
    }
}

impl Handle {
    /// Sends a command, and blocks while the channel is full.
    ///
    /// # Errors
    /// The command, if the thread has ended.
    #[allow(clippy::result_large_err, reason = "the command is the error")]
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.inner
            .commands
            .send(command)
            .map_err(crossbeam_channel::SendError::into_inner)?;
        self.inner.shared.command_sent();
        Ok(())
    }

    /// Number of datagrams that the carriers refused to send, since the start: no route, larger than the
    /// device's MTU, forbidden by a firewall. The session machine sees them as lost.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.inner.shared.unsent()
    }
}

impl Drop for HandleInner {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// Starts the thread over `carriers`, which datagrams name by their index ([`Path::socket`]). Plain text goes
/// to `plain`; without one it is dropped. `wake` is called after events were put on an empty channel, for an
/// application that sleeps in a poll of its own. The application then takes events until there are none.
///
/// # Errors
/// If there is no carrier or one carries less than the smallest datagram of a session, or if the system has no
/// descriptors or threads left.
pub fn start(
    carriers: Vec<Box<dyn Carrier>>,
    mut config: session::Config,
    rng: Rng,
    plain: Option<Box<dyn PlainSink>>,
    wake: Option<Box<dyn Fn() + Send>>,
) -> io::Result<Net> {
    check(&carriers)?;
    let addresses = carriers
        .iter()
        .map(|carrier| carrier.local_addr())
        .collect();
    config.segments = carriers
        .iter()
        .map(|carrier| carrier.segments())
        .min()
        .unwrap_or(1)
        .clamp(1, session::limits::SEGMENTS);
    config.max_datagram = carriers
        .iter()
        .map(|carrier| carrier.max_datagram())
        .min()
        .unwrap_or(MIN_DATAGRAM)
        .min(MAX_DATAGRAM);

    let poll = mio::Poll::new()?;
    let shared = Arc::new(Shared::new(poll.registry())?);
    let (command_sender, commands) = bounded(limits::COMMANDS);
    let (event_sender, events) = event_queue::channel();
    let driver = Driver::new(
        poll,
        carriers,
        (config, rng),
        commands,
        EventQueue::new(event_sender, wake),
        plain,
        Arc::clone(&shared),
    )?;
    let receive_buffer = driver.moderation.buffer();
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
        receive_buffer,
    })
}

fn check(carriers: &[Box<dyn Carrier>]) -> io::Result<()> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if carriers.is_empty() {
        return refuse("a network thread needs a carrier".into());
    }
    if u16::try_from(carriers.len()).is_err() {
        return refuse(format!(
            "at most {} carriers, not {}",
            u16::MAX,
            carriers.len()
        ));
    }
    for carrier in carriers {
        let most = carrier.max_datagram();
        if most < MIN_DATAGRAM {
            let address = carrier.local_addr();
            return refuse(format!(
                "{address} carries {most} octets, a session needs {MIN_DATAGRAM}"
            ));
        }
    }
    Ok(())
}
