//! Lines that were typed behind the one that leaves a prompt.
//!
//! Not the reading of a prompt. Invariant: they are counted, and nobody sends or runs them.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::stdio::stdin;

use super::limits::{BEHIND, PASTE_PAUSE};
use crate::saved_mode;

/// Returns the number of lines among keys; the last one may be unfinished.
pub fn count(keys: &[u8]) -> usize {
    let lines = keys.split(|key| matches!(key, b'\r' | b'\n'));
    lines.filter(|line| !line.trim_ascii().is_empty()).count()
}

/// Reads the lines that were typed behind the one that leaves a program without a prompt, which the shell would run, and returns
/// the words about them.
pub fn read() -> Option<String> {
    let pause = PASTE_PAUSE.try_into().ok();
    let mut keys = Vec::new();
    let mut buffer = [0; 4096];
    while keys.len() < BEHIND && !saved_mode::is_in_background() {
        let mut ready = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        if !retry_on_intr(|| poll(&mut ready, pause.as_ref())).is_ok_and(|count| count > 0) {
            break;
        }
        match retry_on_intr(|| rustix::io::read(stdin(), &mut buffer)) {
            Ok(0) | Err(_) => break,
            Ok(length) => keys.extend_from_slice(&buffer[..length]),
        }
    }
    words(count(&keys))
}

/// Returns the words about a number of lines, unless there are none.
pub fn words(lines: usize) -> Option<String> {
    match lines {
        0 => None,
        1 => Some("1 line behind the one that leaves is not sent".into()),
        lines => Some(format!(
            "{lines} lines behind the one that leaves are not sent"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_not_blank_are_counted_also_an_unfinished_one() {
        for (keys, lines) in [("", 0), ("\r \r\n", 0), ("a\rb\r", 2), ("a\n\nb", 2)] {
            assert_eq!(count(keys.as_bytes()), lines, "{keys:?}");
        }
        assert_eq!(words(0), None);
        assert!(words(1).is_some() && words(2).is_some());
    }
}
