//! Sizes of the wire format, each with its reason.

/// Bytes of an INIT, always, and of any datagram until the path is known to carry more: the smallest
/// MTU that an IPv6 path may have is 1280, and this leaves room for IP, UDP and a tunnel.
pub const MIN_DATAGRAM: usize = 1200;

/// The largest UDP payload over IPv4.
pub const MAX_DATAGRAM: usize = 65_507;

/// Tag, sender id.
pub const INIT_HEADER: usize = 12;

/// Tag, sender id, receiver id.
pub const RESP_HEADER: usize = 20;

/// Tag, receiver id, counter: the associated data of a DATA datagram.
pub const DATA_HEADER: usize = 20;

/// A RETRY token.
pub const TOKEN: usize = 32;

/// The keyed hash that ends INIT and RETRY.
pub const MAC: usize = 16;

/// A RETRY: tag, receiver id, token, mac.
pub const RETRY: usize = 12 + TOKEN + MAC;

/// The AEAD tag.
pub const AEAD_TAG: usize = 16;

/// Ranges reported in one ACK frame. More than this many gaps are old news by the time they arrive.
pub const ACK_RANGES: usize = 32;

/// Text of a CLOSE frame; an explanation, not a document.
pub const CLOSE_REASON: usize = 255;

/// An invite token in HELLO.
pub const INVITE: usize = 16;

/// The largest counter of a DATA datagram. An ACK frame names counters as variable-length integers, and a
/// counter that it cannot name could never be acknowledged; it is refused before it is opened.
pub const MAX_COUNTER: u64 = MAX_VARINT;

/// Offsets and limits fit a variable-length integer (RFC 9000 §16).
pub const MAX_VARINT: u64 = (1 << 62) - 1;
