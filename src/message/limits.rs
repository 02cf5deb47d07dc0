//! Bounds of messages, each with its reason. Lengths are in bytes.

/// Length of one JSON line. The largest is a request: Linux allows 128 KiB for each argument, and command lines
/// of a mebibyte are neither typed nor generated with care.
pub const LINE: usize = 1 << 20;

/// Length of the text of one chat message: more than fits one screen.
pub const CHAT_TEXT: usize = 16 << 10;

/// Length of the name of a key or an agent.
pub const NAME: usize = 64;

/// Length of the name of a member of a chat in bytes: the name of its key in brackets behind one that it asks for, of 32
/// characters, and a number.
pub const MEMBER_NAME: usize = 4 * 32 + NAME + 8;

/// Length of the name of a room of a chat: words and a number, and short enough to stand before each message.
pub const ROOM_NAME: usize = 32;

/// Length of the text of a script: a quarter of a line, so that it fits one even where bytes take more in JSON
/// (base64 takes a third more, a control character six bytes, and a text has few of them).
pub const SCRIPT: usize = LINE / 4;

/// Length of the paths of a copy together: JSON takes six bytes for a control character, and an argument of a process has
/// 128 KiB at most.
pub const COPIED_PATHS: usize = 16 << 10;

/// Lines, and columns, of a terminal: more than screens have. An agent keeps two copies of each terminal's screen
/// at 32 bytes a character, together 16 MiB at most.
pub const WINDOW: u16 = 512;

/// Bytes of an explanation that are shown: the addresses of a host, or a sentence of its agent.
pub const NOTE: usize = 512;
