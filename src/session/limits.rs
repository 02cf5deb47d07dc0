//! Bounds and timing of the session floor, each with its reason or source.

use std::time::Duration;

/// Sessions of one endpoint. Ten thousand hosts from one controller, with room.
pub const SESSIONS: usize = 16_384;

/// INITs waiting for their Diffie-Hellman: at 150 µs each, 40 ms of work.
pub const HANDSHAKE_QUEUE: usize = 256;

/// Above an eighth of the queue an address must prove itself by RETRY before work is done for it.
pub const HANDSHAKES_BEFORE_RETRY: usize = HANDSHAKE_QUEUE / 8;

/// INITs remembered, so that a captured one is not answered again. At some 50 bytes each 3 MiB.
pub const INIT_REGISTER: usize = 65_536;

/// An INIT that this run has answered is remembered at least this long, twice [`EARLY_SKEW`]. When the
/// register is full of younger ones, no INIT is answered, and nothing is forgotten.
pub const INIT_REGISTER_AGE: Duration = Duration::from_secs(60);

/// How far a controller's idea of the agent's time may be off for its early data to be taken.
pub const EARLY_SKEW: Duration = Duration::from_secs(30);

/// Calls that a controller may have open in one session.
pub const CALLS: usize = 64;

/// Calls that an agent tolerates: the controller may see a call's end first.
pub const CALLS_TOLERATED: usize = 2 * CALLS;

/// Credit that each half of a stream has before any MAX_STREAM_DATA.
pub const INITIAL_STREAM_CREDIT: u64 = 64 << 10;

/// Credit that each direction of a session has before any MAX_DATA.
pub const INITIAL_SESSION_CREDIT: u64 = 256 << 10;

/// What a receiver lets a stream run ahead of what was consumed, unless configured.
pub const STREAM_WINDOW: u64 = 1 << 20;

/// The same for a whole session: eight streams at full window, or many at less.
pub const SESSION_WINDOW: u64 = 8 << 20;

/// A receiver reports consumption at the latest when this much more has been consumed than it last
/// reported, whatever its window. An application that waits for its peer to consume may therefore wait
/// only while at least this much is outstanding; with less, no report need ever come. A quarter of the
/// initial credit: some twelve datagrams, so that a report leaves with about every acknowledgement.
pub const CONSUMED_REPORT: u64 = INITIAL_STREAM_CREDIT / 4;

/// Gaps kept by a stream's receiver; one-byte segments far apart would cost memory out of proportion.
pub const STREAM_GAPS: usize = 1024;

/// Before an address is validated, bytes sent there per byte received from it (RFC 9000 §8.1).
pub const AMPLIFICATION: u64 = 3;

/// Datagrams that opened under no key, per session; RFC 9001 §6.6 gives 2^52 for AES-GCM, the
/// project's own promise is stricter.
pub const FORGERIES: u64 = 1 << 36;

/// Datagrams sealed under one key. RFC 9001 §6.6: 2^23 for AES-GCM with datagrams up to 64 KiB.
pub const DATAGRAMS_PER_KEY: u64 = 1 << 23;

/// Initial RTT where none is remembered. RFC 9002 §6.2.2 proposes 333 ms; an INIT alone is no burst.
pub const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Timer granularity (RFC 9002 §6.1.2).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// The longest a receiver delays an acknowledgement (RFC 9000 §18.2 has 25 ms).
pub const MAX_ACK_DELAY: Duration = Duration::from_millis(10);

/// Packet reordering threshold (RFC 9002 §6.1.1).
pub const PACKET_THRESHOLD: u64 = 3;

/// A probe timer never backs off beyond this, so that a path that returns is noticed soon.
pub const MAX_PTO: Duration = Duration::from_secs(3);

/// INIT is repeated at least this often: ten seconds then hold a dozen tries, and a controller gives up on
/// an agent that stands behind 30 % loss each way once in three thousand times, not once in two hundred.
pub const MAX_INIT_TIMEOUT: Duration = Duration::from_secs(1);

/// A handshake that the controller has not confirmed is forgotten by the agent after this.
pub const UNCONFIRMED: Duration = Duration::from_secs(15);

/// After this many unanswered repeats an INIT is made anew: the agent may have restarted and hold
/// the old one for a replay.
pub const INIT_REPEATS: u32 = 4;

/// INITs of one session under way: a first one, and one for each RETRY that may have been forged.
pub const INITS: usize = 1 + RETRIES as usize;

/// A session in which nothing was heard for this long is over.
pub const IDLE: Duration = Duration::from_secs(180);

/// With calls open, a controller that heard nothing for this long asks: under the 30 s that the
/// tightest NATs keep a UDP binding (RFC 4787 §4.3 demands 120 s, practice differs).
pub const KEEPALIVE: Duration = Duration::from_secs(20);

/// Datagrams that arrive before the RESP that explains them, kept per pending handshake.
pub const UNDECRYPTABLE: usize = 4;

/// Datagrams in one GSO batch: 64 KiB at the smallest datagram size, the kernel's limit.
pub const SEGMENTS: usize = 32;

/// Datagrams sent when a probe timer expires (RFC 9002 §6.2.4).
pub const PROBES: u8 = 2;

/// Ranges of received counters kept for ACK frames: twice what one frame reports.
pub const RECEIVED_RANGES: usize = 2 * crate::wire::limits::ACK_RANGES;

/// Ack-eliciting datagrams after which an ACK does not wait (RFC 9000 §13.2.2 suggests two; fewer
/// acknowledgements cost the sender of bulk less, and its pacing does not depend on them).
pub const ACK_EVERY: u32 = 10;

/// Counters below the largest that the peer knows we reported, which are reported again all the same:
/// late arrivals among them must not look like gaps.
pub const ACK_HISTORY: u64 = 512;

/// Datagrams remembered that asked for no acknowledgement: as many counters as a late one may lag behind.
pub const SENT_NON_ELICITING: usize = 512;

/// Datagrams remembered behind one that the peer has not acknowledged. A window of the fastest path holds
/// fewer; a peer that acknowledges nothing is sent no acknowledgements beyond it either, only probes.
pub const SENT: usize = 1 << 16;

/// Sealed answers to what arrives after a CLOSE was sent.
pub const CLOSE_REPEATS: u32 = 3;

/// RETRYs that one session attempt follows. More would be a game.
pub const RETRIES: u32 = 2;
