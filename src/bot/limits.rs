//! Bounds and times of bots, each with its reason.

use std::time::Duration;

use crate::message::limits::CHAT_TEXT;

/// Time for an answer, unless configured otherwise: a request to a slow service, and short for those who wait behind it.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Lines of an answer, each a message: a screen of a small terminal. A program that writes more floods the chat.
pub const ANSWER_LINES: usize = 20;

/// Octets of an answer: four of the longest messages, half of what an agent queues for a member that reads slowly.
pub const ANSWER: usize = 4 * CHAT_TEXT;

/// Octets of a message in JSON: every octet of its text escaped as six, and its other members.
pub const MESSAGE: u64 = 6 * CHAT_TEXT as u64 + (8 << 10);

/// Commands of an agent that run at once, over all rooms: enough that a few rooms with slow answers hold up no other, and few
/// enough that so many large interpreters fit into a small machine.
pub const CONCURRENT: usize = 8;

/// Commands of one key that run at once: half, so that one key that writes in many rooms leaves room for the others.
pub const CONCURRENT_PER_KEY: usize = CONCURRENT / 2;

/// Messages of a room that wait for the command: more than people write while it runs once. A key gives way to those that have
/// fewer. Each has a few hundred octets, and 96 KiB at most (every octet escaped in JSON).
pub const WAITING: usize = 64;

/// Messages of all rooms that wait: four rooms that are full, and one for each room of an agent at least. A room gives way to
/// those that have fewer.
pub const WAITING_IN_ALL: usize = 4 * WAITING;

/// Interval of the reports of messages that were left out.
pub const DROPS_INTERVAL: Duration = Duration::from_secs(10);

/// Octets of the last line on standard error that are logged.
pub const LAST_LINE: usize = 256;

/// Octets of standard error that are kept for it.
pub const STDERR: usize = 4 << 10;

/// Octets of one read: the default capacity of a pipe.
pub const READ: usize = 64 << 10;

/// Octets that are read of one pipe before the time is looked at again: more than a pipe holds
/// (`/proc/sys/fs/pipe-max-size`).
pub const BURST: usize = 2 << 20;
