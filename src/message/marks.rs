//! Marks of messages of a chat, as both programs show them to people.
//!
//! Not the notes of the programs, which begin with `* `. Invariant: no name of a member has a space or an asterisk, so that
//! neither a name nor the text of a plain message looks like a mark.

/// Mark before the name of a member whose action follows, as in `-*- ann waves`.
pub const ACTION: &str = "-*-";

/// Mark behind the name of the sender of a private message, as in `ann (private): hello`.
pub const PRIVATE: &str = " (private)";
