//! The prompt of a chat on a terminal: the line editor, its history and completion, commands, lines that arrive at once, and
//! the style of what is shown above.
//!
//! Not the chat, and not the threads that read lines and show messages. Invariant: all of it is the same
//! for `udpctl` and the agent.

pub mod activity;
pub mod behind;
pub mod command;
pub mod completion;
pub mod editing_mode;
pub mod editor;
pub mod exec;
pub mod input_relay;
pub mod limits;
pub mod line_history;
pub mod output_lines;
pub mod paste;
pub mod rows;
pub mod style;
pub mod typed_ahead;
pub mod unsent;
