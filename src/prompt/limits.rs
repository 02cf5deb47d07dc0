//! Bounds of a prompt, each with its reason.

use std::time::Duration;

/// Lines typed at the prompts of chats that are kept for the next one.
pub const HISTORY_LINES: usize = 1000;

/// Bytes of these lines. The file grows to twice as many before it is written anew.
pub const HISTORY_BYTES: usize = 256 << 10;

/// Bytes of what was typed and not processed that another prompt takes over: as many as of the history, and less than a frame
/// between the processes of the agent.
pub const UNSENT: usize = HISTORY_BYTES;

/// Commands that a question which another prompt takes over is about: more than run at once. The user is asked about others
/// again.
pub const ASKED_ABOUT: usize = 4096;

/// Bytes of a note of the line editor: a path of the greatest length and an error.
pub const NOTE: usize = 4096 + 256;

/// Bytes of what is typed that are read at once. With as many again in the line editor, what is not in the terminal is less
/// than a row or two of text.
pub const PIECE: usize = 256;

/// Shortest time after which is looked whether the line editor has read a piece: less than it needs to draw it.
pub const DRAIN_MIN: Duration = Duration::from_millis(1);

/// Longest such time, while the editor is blocked: less than [`PASTE_PAUSE`], so that a paste is not divided.
pub const DRAIN_MAX: Duration = Duration::from_millis(8);

/// Time for a read of the terminal that has input to end: less than is noticed, and more than it takes.
pub const READ: Duration = Duration::from_millis(100);

/// Interval of the check for the foreground, while a program with a prompt is in the background.
pub const BACKGROUND: Duration = Duration::from_millis(250);

/// Lines at once that a prompt sends without a question.
pub const PASTE_UNASKED: usize = 20;

/// Time without a key after which lines that arrived at once are complete: longer than a terminal needs between the parts of
/// a paste, and too short to be noticed.
pub const PASTE_PAUSE: Duration = Duration::from_millis(50);

/// Time after a line of a paste for which another line belongs to it and is no answer to the question about it.
pub const PASTE_LATE: Duration = Duration::from_millis(500);

/// Milliseconds after Esc in which another key makes a sequence with it, as those of the arrow keys.
pub const KEY_SEQUENCE: u16 = 200;

/// Lines at once that are held until the user agrees, each at most a message. More are refused as a whole.
pub const PASTE_LINES: usize = 4096;

/// Lines of the output of a command of `/exec` that are shown: what a person may scroll through.
pub const OUTPUT_LINES: usize = 1000;

/// Bytes of this output that are shown, the last line beyond.
pub const OUTPUT: usize = 64 << 10;

/// Bytes of a line of this output. A longer one is shown as several.
pub const OUTPUT_LINE: usize = 4 << 10;

/// Bytes that are read behind the line that leaves a program without a prompt: more than anybody pastes, and an end for input
/// that has none.
pub const BEHIND: usize = 1 << 20;
