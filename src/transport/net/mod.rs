//! Carriers of datagrams, and the thread that drives `session` over them with mio.
//!
//! The thread owns the carriers and the [`Endpoint`](crate::session::Endpoint). It takes [`Command`]s from a
//! bounded channel and puts [`Event`]s on another, and blocks on neither. Session events are bounded by
//! credit, so that a slow application costs a list of bounded size here. Not here: the meaning of messages,
//! files, processes, terminals. Addresses as users type them are parsed and resolved here, but never on the
//! network thread.
//!
//! # Examples
//! A controller's network thread over UDP; `examples/in_memory.rs` runs a whole session over another carrier:
//!
//! ```
//! use udpagent_transport::crypto::SecretKey;
//! use udpagent_transport::net::{self, Command};
//! use udpagent_transport::session::Config;
//!
//! # fn main() -> std::io::Result<()> {
//! let identity = SecretKey::generate(&mut net::rng()?);
//! let carriers = net::bind_udp(&[([127, 0, 0, 1], 0).into()])?.carriers;
//! let net = net::start(carriers, Config::new(identity, None), net::rng()?, None, None)?;
//!
//! // Session commands go in by the handle, and events come out of the channel.
//! net.handle.send(Command::Shutdown).expect("the thread runs");
//! assert!(net.events.channel().recv().is_err(), "the thread has ended");
//! # Ok(())
//! # }
//! ```

mod address;
mod bound_carrier;
mod carrier;
mod clock;
mod command;
mod counts;
mod demux;
mod driver;
mod drops;
mod event;
mod event_queue;
mod handle;
mod invite;
pub mod limits;
mod memory;
mod moderation;
mod plain;
mod refusal;
mod seed;
mod shared;
mod timer;
mod udp;

pub use address::{
    Bind, DEFAULT_PORT, Host, ParseAddressError, ResolveError, Target, families_in_turn,
};
pub use carrier::{Carrier, Inbox, Outgoing, ReceiveMeta, Sent};
pub use clock::Clock;
pub use command::Command;
pub use counts::{Counts, PlainCounts};
pub use event::Event;
pub use event_queue::Events;
pub use handle::{Handle, Net, start};
pub use invite::{Invite, ParseInviteTextError};
pub use memory::MemoryCarrier;
pub use plain::{PlainSink, PlainText};
pub use refusal::{Refusal, RefusalReason};
pub use seed::rng;
#[doc(hidden)]
pub use timer::Timer;
pub use udp::{UdpCarrier, UdpCarriers, UdpSockets, bind_sockets, bind_udp, rebind_sockets};

#[cfg(test)]
mod tests;
