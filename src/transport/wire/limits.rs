//! Sizes of the wire format, each with its reason.

/// Size of every INIT, and of any datagram until the path is known to carry more. The smallest MTU
/// of an IPv6 path is 1280 (RFC 8200 §5); this leaves space for IP, UDP and a tunnel (as in RFC
/// 9000 §14.1).
pub const MIN_DATAGRAM: usize = 1200;

/// Largest UDP payload over IPv4: 65535 bytes minus the IP and UDP headers.
pub const MAX_DATAGRAM: usize = 65_507;

/// Header of an INIT: tag, sender id.
pub const INIT_HEADER: usize = 12;

/// Header of a RESP: tag, sender id, receiver id.
pub const RESP_HEADER: usize = 20;

/// Header of a DATA datagram, its associated data: tag, receiver id, counter.
pub const DATA_HEADER: usize = 20;

/// Token of a RETRY.
pub const TOKEN: usize = 32;

/// MAC at the end of INIT and RETRY.
pub const MAC: usize = 16;

/// Size of a RETRY: tag, receiver id, token, MAC.
pub const RETRY: usize = 12 + TOKEN + MAC;

/// Token by which a controller recognizes a stateless reset: 128 bits cannot be guessed (RFC 9000 §10.3).
pub const RESET_TOKEN: usize = 16;

/// Size of a STATELESS_RESET: tag, receiver id, token. Less than the smallest DATA, so that two endpoints
/// cannot answer each other's resets for ever (RFC 9000 §10.3.3).
pub const STATELESS_RESET: usize = 12 + RESET_TOKEN;

/// Tag of the AEAD.
pub const AEAD_TAG: usize = 16;

/// Ranges reported in one ACK frame. With more gaps, the oldest are out of date when the frame
/// arrives (see RFC 9000 §13.2.3).
pub const ACK_RANGES: usize = 32;

/// Text of a CLOSE frame: an explanation, not a document.
pub const CLOSE_REASON: usize = 255;

/// Token of an invitation in HELLO.
pub const INVITE: usize = 16;

/// The largest counter of a DATA datagram. An ACK frame names counters as variable-length integers, and a
/// counter that it cannot name could never be acknowledged; it is refused before it is opened.
pub const MAX_COUNTER: u64 = MAX_VARINT;

/// Upper bound of offsets and limits: the largest varint (RFC 9000 §16).
pub const MAX_VARINT: u64 = (1 << 62) - 1;
