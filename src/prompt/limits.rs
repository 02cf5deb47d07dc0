//! Bounds of a prompt, each with its reason.

use std::time::Duration;

/// Lines typed at the prompts of chats that are kept for the next one.
pub const HISTORY_LINES: usize = 1000;

/// Bytes of these lines. The file grows to twice as many before it is written anew.
pub const HISTORY_BYTES: usize = 256 << 10;

/// Bytes of a note of the line editor: a path of the greatest length and an error.
pub const NOTE: usize = 4096 + 256;

/// Lines at once that a prompt sends without a question.
pub const PASTE_UNASKED: usize = 20;

/// Time without a key after which lines that arrived at once are complete: longer than a terminal needs between the parts of
/// a paste, and too short to be noticed.
pub const PASTE_PAUSE: Duration = Duration::from_millis(50);

/// Time after a line of a paste for which another line belongs to it and is no answer to the question about it.
pub const PASTE_LATE: Duration = Duration::from_millis(500);

/// Lines at once that are held until the user agrees, each at most a message. More are refused as a whole.
pub const PASTE_LINES: usize = 4096;

/// Lines of the output of a command of `/exec` that are shown: what a person may scroll through.
pub const OUTPUT_LINES: usize = 1000;

/// Bytes of this output that are shown, the last line beyond.
pub const OUTPUT: usize = 64 << 10;

/// Bytes of a line of this output. A longer one is shown as several.
pub const OUTPUT_LINE: usize = 4 << 10;
