//! Bounds of the recorder, each with its reason.

use std::time::Duration;

/// Bytes of a log line. A line is one packet, so that lines of several producers are never mixed.
pub const LINE: usize = FRAGMENT;

/// Bytes of a packet after its header: small enough that a dozen fit into the send buffer of a socket by default.
pub const FRAGMENT: usize = 16 << 10;

/// Bytes of an audit record. A request is a line of at most a mebibyte, a byte of which takes at most six here.
pub const RECORD: usize = 8 << 20;

/// Lines that wait for room in the socket. A busy agent fills them in some ten seconds, longer than a disk or a
/// log collector usually pauses.
pub const QUEUE_LINES: usize = 10_000;

/// Bytes of lines that wait. One more line is accepted as long as fewer wait, so the memory is bounded by this and
/// one record.
pub const QUEUE_BYTES: usize = 4 << 20;

/// Time for the recorder to open its files when it is started. Later than that, the file system does not answer.
pub const START: Duration = Duration::from_secs(5);

/// Time for the acknowledgement of a record. A command without it is denied.
pub const ACKNOWLEDGEMENT: Duration = Duration::from_secs(2);

/// Time that a program which ends gives its last lines: as long as a person takes for a pause.
pub const LAST_LINES: Duration = Duration::from_millis(500);

/// Bytes of a log message before escaping, which may take six times as many.
pub const MESSAGE: usize = 1 << 10;

/// Bytes of a field of a log line before escaping.
pub const FIELD: usize = 256;
