//! Bounds of a copy, each with its reason. Lengths are in bytes.
//!
//! A program with many copies holds of all of them together: the chunks of its library, whose number is fixed; for each
//! copy in progress [`DESCRIPTORS`], a chunk with the small frames before it, the reports and replies; and what has arrived
//! and is not worked off, which the credit of its streams bounds.

/// Length of a name in a directory: that of Linux, `NAME_MAX`.
pub const NAME: usize = 255;

/// Length of the target of a symbolic link: that of Linux, `PATH_MAX` without its NUL.
pub const LINK: usize = 4095;

/// Length of a path in a report. It is shown to a person, and a longer one is cut.
pub const PATH: usize = 4096;

/// Directories inside each other: far more than people make, and few enough to go back out of them one by one.
pub const DEPTH: usize = 250;

/// Length of the payload of a frame other than data: a symbolic link with its name and attributes.
pub const FRAME: usize = 8 << 10;

/// Bytes of a frame with data, and of small frames sent together: as much as the hash takes at full speed, and a quarter of
/// the buffer of a large pipe.
pub const CHUNK: usize = 256 << 10;

/// Length up to which a file is read at once between other frames.
pub const SMALL: u64 = 128 << 10;

/// Length from which an interrupted file is resumed: below it, sending the file costs no more than asking for it.
pub const RESUMED: u64 = 1 << 20;

/// Chunks of large files that are held so that several receivers take them from one reading, and so that their memory is
/// used again: 8 MiB, of all files together.
pub const CHUNKS: usize = 32;

/// The same for a receiver behind a pipe, which has taken a chunk when the next one is read: its memory stays in the cache of
/// the processor.
pub const CHUNKS_PIPED: usize = 1;

/// The same for several receivers, which are not in step: 32 MiB.
pub const CHUNKS_SHARED: usize = 128;

/// Failed items that are named of a copy. The rest are counted.
pub const REPORTS: u64 = 1000;

/// Bytes of their paths: enough for a thousand of usual length, and little for each of the hosts that `udpctl` copies to or
/// from at a time, as a report waits until a terminal or the peer takes it.
pub const REPORTED_PATHS: usize = 128 << 10;

/// Bytes of replies that wait for the sender, beyond which it is not told what could be left out.
pub const REPLIES: usize = 64 << 10;

/// Descriptors that one copy holds at most: three directories, the file, one that is taken over, and those that are open for
/// the time of a call. A program with several copies bounds their number by its limit.
pub const DESCRIPTORS: usize = 8;

/// Bytes that one call hashes or takes, so that a thread that serves several peers gives each its turn: some milliseconds,
/// whatever lengths a peer names.
pub const WORK: u64 = 8 << 20;

/// Bytes as which a frame other than data counts in that, as it may make a file or a directory, and an item that a sender
/// opens.
pub const FRAME_WORK: u64 = 32 << 10;

/// Bytes that the driver reads at a time.
pub const READ: usize = 1 << 20;
