//! Bounds and timing of the session layer, each with its reason or source.

use std::time::Duration;

use super::rate::Rate;
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// Maximum number of sessions of one endpoint: ten thousand hosts of one controller, and a margin.
pub const SESSIONS: usize = 16_384;

/// Maximum number of INITs waiting for their Diffie-Hellman: at 150 µs each, 40 ms of work.
pub const HANDSHAKE_QUEUE: usize = 256;

/// Pending INITs from which on an address must be validated by RETRY before work is done for it: at 150 µs each, 20 ms of
/// work. A RETRY costs a controller a second INIT, half of the handshake, so those that begin some hundred sessions with an
/// agent at once should not get there; [`UNVALIDATED_INITS`] bounds what strangers cost.
pub const HANDSHAKES_BEFORE_RETRY: usize = HANDSHAKE_QUEUE / 2;

/// Number of INITs processed before the driver receives and sends again: at 200 µs each, about a millisecond,
/// so that a flood of INITs slows established sessions little.
pub const HANDSHAKES_PER_TURN: u32 = 4;

/// Number of places in the table of networks (IPv4 /24, IPv6 /56): 96 KiB.
pub const NETWORKS: usize = 4096;

/// INITs of one network that are processed without leading to a session: 200 a second cost 4 % of a processor.
pub const NETWORK_INITS: Rate = Rate {
    interval: Duration::from_millis(5),
    burst: 200,
};

/// INITs from addresses that are not validated, of all networks together, that are processed without leading to a
/// session: 10 % of a processor. Beyond it, RETRY validates the address first.
pub const UNVALIDATED_INITS: Rate = Rate {
    interval: Duration::from_millis(2),
    burst: 200,
};

/// INITs of one key: 500 a second cost a tenth of a processor. A shell that starts one udpctl after the other needs some
/// 100 a second, and several of them beside each other a few times as many; one that starts 800 commands at once needs a
/// burst, of two for each where the answers come late.
pub const KEY_INITS: Rate = Rate {
    interval: Duration::from_millis(2),
    burst: 2000,
};

/// Maximum number of sessions of one key that are not confirmed: as many INITs as it may send in the time of a long
/// round trip. They are kept for [`UNCONFIRMED`].
pub const UNCONFIRMED_PER_KEY: usize = 1024;

/// Default maximum number of sessions of one key: two for each of 2 000 commands, which has two for a moment when it
/// is attached anew.
pub const SESSIONS_PER_KEY: usize = SESSIONS / 4;

/// Maximum number of keys whose use is remembered although they have no session: their INITs of the last seconds.
pub const ACCOUNTS: usize = 4096;

/// Bytes that may be sent to an address that is not validated, but from which a session of the same key was confirmed
/// within [`KNOWN_PATH_LIFETIME`]: RESP and a first window. Once for each of [`KNOWN_PATH_SESSIONS`] at a time, so that
/// INITs that are held back and sent from such an address cause no flood there.
pub const KNOWN_ADDRESS_BUDGET: u64 = 48 << 10;

/// Sessions that use at a time what is remembered of one path. Each begins with half of its window, so two fill it and
/// get equal shares; one that is a round trip ahead of another keeps most of the path for long.
pub const KNOWN_PATH_SESSIONS: usize = 2;

/// Number of keys of which paths are remembered.
pub const KNOWN_PATHS_KEYS: usize = 1024;

/// Number of addresses of one key whose paths are remembered: at 100 bytes each, 3 MiB for all keys.
pub const KNOWN_PATHS_PER_KEY: usize = 32;

/// Time for which a path is remembered: that of the work with a host at a stretch.
pub const KNOWN_PATH_LIFETIME: Duration = Duration::from_secs(3600);

/// Number of uses of a RETRY token: an INIT and its repeats.
pub const TOKEN_USES: u32 = PROBES as u32 * (1 + INIT_REPEATS);

/// Number of RETRY tokens whose uses are counted: at 100 bytes each, 400 KiB.
pub const TOKENS_COUNTED: usize = 4096;

/// Maximum number of bytes beyond gaps that the sessions of one key hold: the largest window, and half of another.
pub const GAP_BYTES_PER_KEY: u64 = 24 << 20;

/// Maximum number of bytes beyond gaps that all sessions hold. What does not fit is dropped and not acknowledged, so
/// that the peer sends it again.
pub const GAP_BYTES: u64 = 64 << 20;

/// Maximum number of bytes in order that the sessions of one key hold for an application that is busy: the windows of
/// eight sessions.
pub const READY_BYTES_PER_KEY: u64 = 8 * SESSION_WINDOW;

/// Maximum number of bytes in order that all sessions hold: those of four keys with their full share.
pub const READY_BYTES: u64 = 4 * READY_BYTES_PER_KEY;

/// Memory that a chunk beyond a gap costs besides its bytes, for the bounds above.
pub const GAP_OVERHEAD: u64 = 128;

/// Maximum number of open calls in all sessions of one key: two for each of its sessions.
pub const CALLS_PER_KEY: u64 = 2 * SESSIONS_PER_KEY as u64;

/// Maximum number of open calls in all sessions: at 1 KiB each, 32 MiB.
pub const CALLS_IN_ALL: u64 = 2 * SESSIONS as u64;

/// Number of INITs remembered, so that a captured one is not answered again: at some 50 bytes each, 6 MiB.
pub const INIT_REGISTER: usize = 131_072;

/// Maximum number of INITs remembered of one key that may not be forgotten yet: a quarter, and not more than are left
/// free, so that every key has some. A key does not reach it at the rate of [`KEY_INITS`].
pub const INIT_REGISTER_PER_KEY: usize = INIT_REGISTER / 4;

/// Minimum time for which an INIT that this run has answered is remembered: twice [`EARLY_SKEW`]. When the
/// register is full of younger ones, no INIT is answered and none is forgotten.
pub const INIT_REGISTER_AGE: Duration = Duration::from_secs(60);

/// Maximum difference between the agent's time and a controller's estimate of it with which early data is
/// accepted.
pub const EARLY_SKEW: Duration = Duration::from_secs(30);

/// Maximum number of calls that a controller has open in one session.
pub const CALLS: usize = 64;

/// Maximum number of open calls that an agent tolerates: the controller may see the end of a call first.
pub const CALLS_TOLERATED: usize = 2 * CALLS;

/// Credit of each half of a stream before any MAX_STREAM_DATA.
pub const INITIAL_STREAM_CREDIT: u64 = 64 << 10;

/// Credit of each direction of a session before any MAX_DATA.
pub const INITIAL_SESSION_CREDIT: u64 = 256 << 10;

/// Default credit of a stream beyond its consumed bytes, until it has shown that its path needs more.
pub const STREAM_WINDOW: u64 = 1 << 20;

/// Default upper bound of the credit of a stream beyond its consumed bytes: what 400 Mbit/s over 100 ms need,
/// three times over.
pub const MAX_STREAM_WINDOW: u64 = 16 << 20;

/// Consumed bytes of a stream from which on its rate is measured: the pipe of a program that reads nothing takes as many at once.
pub const UNREAD: u64 = 256 << 10;

/// Window of a stream in multiples of what its application consumes in a round trip. A sender in start-up has twice the
/// bandwidth-delay product in flight, and sends 2.77 times as much a round trip later (the gains of BBR); a loss delays
/// what is consumed by another round trip, in which the rate doubles.
pub const WINDOW_ROUNDS: u64 = 12;

/// Default credit of a session beyond its consumed bytes: eight streams at their first window, or many at less. What the
/// windows of its streams grow is added.
pub const SESSION_WINDOW: u64 = 8 << 20;

/// Maximum number of bytes by which all windows of an endpoint exceed the assured ones: the largest windows of four
/// streams. At a controller, this and [`INITIAL_STREAM_CREDIT`] for each output of the hosts in progress bound what it
/// holds of outputs that nobody reads.
pub const WINDOW_GROWTH: u64 = 4 * MAX_STREAM_WINDOW;

/// Part of what is left of the growth of all windows by which a stream opens its window to the first size: the streams
/// of four hosts have all of it, those of two hundred a few dozen KiB at least.
pub const OPENING_SHARE: u64 = 64;

/// Maximum number of those of one key of an agent: half, so that one key leaves room for the others.
pub const WINDOW_GROWTH_PER_KEY: u64 = WINDOW_GROWTH / 2;

/// Unreported consumed bytes of a stream at which a receiver sends a report at the latest, whatever its
/// window. An application that waits for its peer to consume may therefore wait only while at least this
/// many bytes are outstanding; with fewer, no report need ever come. A quarter of the initial credit is
/// some twelve datagrams, so that a report leaves with about every acknowledgement.
pub const CONSUMED_REPORT: u64 = INITIAL_STREAM_CREDIT / 4;

/// Maximum number of chunks beyond gaps that a stream's receiver keeps with its first window. Without a bound, one-byte
/// chunks far apart would cost memory out of proportion.
pub const STREAM_GAPS: usize = 1024;

/// Bytes of a larger window for each further chunk beyond gaps: fewer than two datagrams, so that any pattern of loss
/// is within the bound.
pub const BYTES_PER_GAP: u64 = 2048;

/// Size at which a chunk beyond a gap grows no more, and the next bytes begin another: what it takes to copy it when it
/// grows stays small.
pub const GAP_CHUNK: usize = 64 << 10;

/// Maximum number of bytes sent to an address that is not validated, per byte received from it
/// (RFC 9000 §8.1).
pub const AMPLIFICATION: u64 = 3;

/// Number of PATH_CHALLENGEs in a validation of a path: one each probe timeout (RFC 9000 §8.2.1).
pub const CHALLENGES: usize = 3;

/// Number of forged datagrams at which a session ends. RFC 9001 §6.6 allows 2^52 for AES-GCM; this limit is
/// stricter.
pub const FORGERIES: u64 = 1 << 36;

/// Maximum number of bytes sealed under one key. AES-GCM allows 2^35 blocks of 16 bytes (RFC 9001 §B.1.1: `q <= 2^35 / l`,
/// which is 2^28 datagrams of 2^11 bytes, or 2^23 of 2^16).
pub const BYTES_PER_KEY: u64 = BLOCK << 35;

/// Size of a block of AES.
pub const BLOCK: u64 = 16;

/// Initial RTT if no ticket has one. RFC 9002 §6.2.2 recommends 333 ms; here less is safe, because the
/// first flight is a single INIT.
pub const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Timer granularity (RFC 9002 §6.1.2).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// Maximum delay of an acknowledgement (25 ms by default in RFC 9000 §18.2).
pub const MAX_ACK_DELAY: Duration = Duration::from_millis(10);

/// Packet reordering threshold at first (RFC 9002 §6.1.1).
pub const PACKET_THRESHOLD: u64 = 3;

/// Upper bound of the packet reordering threshold, which rises after spurious losses. A loss is then declared by the
/// time threshold at the latest.
pub const MAX_PACKET_THRESHOLD: u64 = 256;

/// Time reordering threshold at first, in eighths of a round trip (RFC 9002 §6.1.2).
pub const TIME_THRESHOLD: u32 = 9;

/// Upper bound of the time reordering threshold, which rises after spurious losses: two round trips.
pub const MAX_TIME_THRESHOLD: u32 = 16;

/// Number of datagrams declared lost that are remembered, to recognize a spurious loss: four times the largest
/// packet threshold.
pub const LOST_REMEMBERED: usize = 1024;

/// Least interval between two counters that are skipped: they are not adjacent, and not among the first.
pub const SKIP_INTERVAL_LEAST: u64 = 16;

/// Mean interval between two skipped counters with a large window. A gap costs the peer an ACK of its own, and some
/// octets in each of the next ones.
pub const SKIP_INTERVAL_MIN: u64 = 128;

/// Mean interval between two skipped counters with a small window.
pub const SKIP_INTERVAL_MAX: u64 = 1024;

/// Product of the mean interval between two skipped counters and the window in datagrams, between these bounds: from
/// a window of 512 datagrams on, which is 12 MB/s at a round trip of 50 ms, the interval is the smallest.
pub const SKIP_PRODUCT: u64 = 1 << 16;

/// Number of skipped counters that are remembered: at the smallest mean, those among twice [`SENT`] counters.
pub const SKIPPED_REMEMBERED: usize = 1024;

/// Upper bound of the probe timeout with backoff, so that a path that works again is noticed soon.
pub const MAX_PTO: Duration = Duration::from_secs(3);

/// Upper bound of the time between two INITs. Ten seconds then hold a dozen INITs, and a controller gives
/// up on an agent behind 30 % loss in each direction once in three thousand times, not once in two hundred.
pub const MAX_INIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time after which an agent discards a session that the controller has not confirmed.
pub const UNCONFIRMED: Duration = Duration::from_secs(15);

/// Lower bound of the time between two INITs after a RETRY: the agent has more INITs than it can answer at once, and
/// works a full queue off in less.
pub const BUSY: Duration = Duration::from_millis(100);

/// Time that an answer to an INIT may take longer for each session that waits for one already: their handshakes are
/// processed one after the other, at both ends, and so are the first requests in them. At most [`BUSY`] for all.
pub const LATER_ANSWER: Duration = Duration::from_millis(1);

/// Number of unanswered repeats after which a controller makes a new INIT: an agent that has restarted may
/// take the old one for a replay.
pub const INIT_REPEATS: u32 = 4;

/// Round-trip time from which on a repeat of an INIT is two datagrams (RFC 9002 §6.2.4 has it so for probes): the second
/// loss in a row costs twice the time of the first. On a shorter path an answer is more likely late than lost.
pub const COPIED_RTT: Duration = Duration::from_millis(10);

/// Maximum number of outstanding INITs of one session and path: a first one, and one for each RETRY that may have
/// been forged.
pub const INITS: usize = 1 + RETRIES as usize;

/// Time without an authentic datagram after which a session ends.
pub const IDLE: Duration = Duration::from_secs(180);

/// Time without an authentic datagram after which a controller with open calls sends a PING: less than the
/// 30 s for which the strictest NATs keep a UDP binding (RFC 4787 §4.3 requires 120 s, practice differs).
pub const KEEPALIVE: Duration = Duration::from_secs(20);

/// Minimum time between two stateless resets of one session: less than a controller waits before it
/// attaches anew, more than a burst of its datagrams lasts.
pub const RESET_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum number of stateless resets that cause a new INIT while a controller waits for a RESP: whoever sees
/// the INIT can forge them, because the controller has no token yet.
pub const RESETS_FOLLOWED: u32 = 2;

/// Maximum number of DATA datagrams kept per handshake until the RESP gives the keys (RFC 9001 §5.7).
pub const UNDECRYPTABLE: usize = 4;

/// Maximum number of datagrams in one GSO batch: as many of the smallest full ones as the kernel's limit of 64 KiB allows.
pub const SEGMENTS: usize = MAX_DATAGRAM / MIN_DATAGRAM;

/// Number of datagrams sent when the probe timer expires (RFC 9002 §6.2.4).
pub const PROBES: u8 = 2;

/// Maximum number of ranges of received counters kept for ACK frames: twice as many as one frame reports.
pub const RECEIVED_RANGES: usize = 2 * crate::wire::limits::ACK_RANGES;

/// Number of ack-eliciting datagrams after which an ACK is sent at once. RFC 9000 §13.2.2 suggests two; fewer
/// acknowledgements cost a bulk sender less, and its pacing does not depend on them.
pub const ACK_EVERY: u32 = 10;

/// Bytes in ack-eliciting datagrams after which an ACK is sent at once: two of the largest datagrams.
pub const ACK_BYTES: usize = 64 << 10;

/// Bytes that a session sends before it probes for larger datagrams: a command with little output needs none.
pub const SIZE_PROBING_BYTES: u64 = 64 << 10;

/// Number of lost probes that rule out a size (`MAX_PROBES` of RFC 8899 §5.1.2).
pub const SIZE_PROBES: u32 = 3;

/// Time after which a size that did not pass is probed again (`PMTU_RAISE_TIMER` of RFC 8899 §5.1.1).
pub const SIZE_LIFETIME: Duration = Duration::from_secs(600);

/// Number of large datagrams that are lost in a row, while small ones arrive, on a path that does not carry them any
/// more.
pub const BLACK_HOLE: u32 = 6;

/// Maximum time that the path takes for a datagram beyond the size of Ethernet, because all others wait for so long (as
/// Linux sizes segments of TCP, `tcp_tso_autosize`).
pub const DATAGRAM_TIME: Duration = Duration::from_millis(1);

/// Number of acknowledged datagrams whose memory a session keeps for its next ACK.
pub const ACK_MEMORY: usize = 256;

/// Largest block of memory for received bytes in order, which are handed out piece by piece: a quarter of what a window
/// of a stream that is read grows by at least.
pub const READY_BLOCK: u64 = 256 << 10;

/// Number of marked datagrams that test whether a path carries ECN marks (RFC 9000 §A.4).
pub const ECN_TESTED: u64 = 10;

/// Number of counters below the largest reported one known to have arrived that ACK frames report again, so
/// that late arrivals among them do not look like gaps.
pub const ACK_HISTORY: u64 = 512;

/// Number of sent datagrams that are kept even if none of them is ack-eliciting: as many counters as a late
/// ACK may lag behind.
pub const SENT_NON_ELICITING: usize = 512;

/// Maximum number of datagrams kept from the oldest unacknowledged one on. A congestion window of the fastest
/// path holds fewer. Beyond it, a peer that acknowledges nothing is sent only probes, no bare ACKs.
pub const SENT: usize = 1 << 16;

/// Maximum number of times that a CLOSE is sent, again for datagrams that arrive after it.
pub const CLOSE_REPEATS: u32 = 3;

/// Maximum number of RETRYs that one handshake follows on a path: whoever knows the agent's public key and sees an INIT
/// can forge any number.
pub const RETRIES: u32 = 2;

/// Maximum number of paths on which one handshake is tried: a host with both families, twice over, and as many again.
/// At [`ATTEMPT_DELAY`], all of them have begun after two seconds.
pub const PATHS: usize = 8;

/// Time after which a handshake begins on the next path, the Connection Attempt Delay of RFC 8305 §5.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Lower bound of that time, for a contact timeout in which the paths would not all get their turn (RFC 8305 §5).
pub const ATTEMPT_DELAY_MIN: Duration = Duration::from_millis(10);
