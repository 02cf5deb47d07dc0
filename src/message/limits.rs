//! Bounds of the message floor.

/// One JSON line. The largest is a request: Linux allows 128 KiB an argument, and a command line of
/// a megabyte is beyond what anybody types or generates with care.
pub const LINE: usize = 1 << 20;

/// Text of one chat message: what fits one screen, with room.
pub const CHAT_TEXT: usize = 16 << 10;

/// A name, of a member or an agent.
pub const NAME: usize = 64;

/// The text of a script: a quarter of a line, so that it fits one even where each byte takes more in JSON
/// (base64 takes a third more, a control character six bytes, and a text has few).
pub const SCRIPT: usize = LINE / 4;

/// Lines, and columns, of a terminal: more than screens have. An agent keeps a picture of each terminal, at 32
/// bytes a character and twice, so that this makes 16 MiB at most.
pub const WINDOW: u16 = 512;
