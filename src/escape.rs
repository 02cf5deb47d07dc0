//! The one sanitiser: what a peer wrote, made safe for a terminal, a log line or an error message.
//!
//! Not a decoder: nothing reads it back. Invariant: the result is one line of valid UTF-8 without C0,
//! C1, DEL, line or paragraph separators, bidirectional controls, zero-width or other invisible
//! characters, of a bounded length; text without any of these is returned as it came.

use std::borrow::Cow;

/// Escapes lossy UTF-8 for one line: `\n`, `\t`, `\r`, `\\` stays a backslash, others as `\u{202e}`,
/// bytes that are not UTF-8 as `\xff`. At most `max` bytes of input are shown, then ` [+N bytes]`.
#[must_use]
pub fn line(bytes: &[u8], max: usize) -> Cow<'_, str> {
    todo!()
}
