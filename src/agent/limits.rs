//! Bounds and timing of the agent, each with its reason.

use std::time::Duration;

/// Commands that run at once. Each takes four descriptors (three pipes and a pidfd).
pub const JOBS_RUNNING: usize = 1024;

/// Commands that are over and wait to be collected; the oldest is forgotten for a new one.
pub const JOBS_ENDED: usize = 4096;

/// A command that is over waits this long to be collected.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// Output of one lane that is held for its reader: beyond it the process waits in its write.
pub const LANE: u64 = 1 << 20;

/// What a piece of output counts for at least: a process that writes single bytes must not cost
/// many times what it wrote.
pub const PIECE: u64 = 128;

/// Output held for all commands that are over; beyond it the oldest are forgotten.
pub const HELD: u64 = 64 << 20;

/// Request ids remembered after their job was forgotten, so that a late repeat starts nothing. At
/// about 60 bytes each 8 MiB; what fell out is known by its age.
pub const REGISTER: usize = 1 << 17;

/// A controller silent for this long is taken for gone, unless its request says otherwise.
pub const LEASE: Duration = Duration::from_secs(60);

/// The shortest lease: below it one lost datagram and its repeat would end a command.
pub const MIN_LEASE: Duration = Duration::from_secs(1);

/// The longest lease, and the longest deadline: a year is as good as never, and sums stay small.
pub const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// After the leader's exit, output is read until nothing came for this long: what was written
/// before the exit is in the pipe already.
pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

/// And for this long altogether: a background child may write for ever.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Calls that wait for the end of one job.
pub const WAITERS: usize = 16;

/// Bytes of lines whose end has not come, over all calls of a session.
pub const PARTIAL_LINES: usize = 4 << 20;

/// Bytes of argv shown for one job in a list.
pub const SHOWN_ARGV: usize = 512;

/// Signals are numbered from 1 to this on Linux.
pub const MAX_SIGNAL: i32 = 64;
