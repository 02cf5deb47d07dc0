//! Bounds of the message floor.

/// One JSON line. The largest is a request: Linux allows 128 KiB an argument, and a command line of
/// a megabyte is beyond what anybody types or generates with care.
pub const LINE: usize = 1 << 20;

/// Text of one chat message: what fits one screen, with room.
pub const CHAT_TEXT: usize = 16 << 10;

/// A name, of a member or an agent.
pub const NAME: usize = 64;
