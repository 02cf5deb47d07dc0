//! The last messages of the chat, for members that join later.
//!
//! Not the file that they are in, which is the supervisor's. Plain text is not kept, because anybody could push out with
//! it what members have said. Invariant: there are at most as many messages as configured, and at most
//! [`limits::CHAT_HISTORY_BYTES`] bytes of them; each is one that was said, or its beginning with the number of missing bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::agent::limits;
use crate::message::limits::MEMBER_NAME;

/// Bytes that a message takes beside its name and text.
const OVERHEAD: usize = 64;

/// A message that was said before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Earlier {
    /// Time in milliseconds at which it was said, by a clock that its owner knows.
    pub at: u64,
    /// Name of the member.
    pub from: String,
    /// The message, not escaped.
    pub text: String,
}

impl Earlier {
    /// Returns a message whose name and text are cut to their bounds.
    #[must_use]
    pub fn new(at: u64, from: &str, text: &str) -> Self {
        Self {
            at,
            from: beginning(from, MEMBER_NAME).to_owned(),
            text: cut(text),
        }
    }

    fn size(&self) -> usize {
        self.from.len() + self.text.len() + OVERHEAD
    }
}

/// Cuts a long text and appends the number of missing bytes.
fn cut(text: &str) -> String {
    if text.len() <= limits::CHAT_HISTORY_TEXT {
        return text.to_owned();
    }
    // The number has at most twenty digits.
    let kept = beginning(text, limits::CHAT_HISTORY_TEXT - " [+ bytes]".len() - 20);
    format!("{kept} [+{} bytes]", text.len() - kept.len())
}

/// Returns the beginning of a text, whole characters of at most `most` bytes.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A history on its way to another process.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SavedHistory {
    /// Largest number of messages.
    pub most: usize,
    /// The messages, oldest first. Their times are their ages.
    pub earlier: Vec<Earlier>,
}

/// The last messages, oldest first.
#[derive(Clone, Default, Debug)]
pub struct History {
    most: usize,
    entries: VecDeque<Earlier>,
    bytes: usize,
}

impl History {
    /// Returns an empty history of at most `most` messages.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.min(limits::MAX_CHAT_HISTORY),
            ..Self::default()
        }
    }

    /// Returns the largest number of messages.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Adds a message. The oldest ones give way.
    pub fn push(&mut self, at: u64, from: &str, text: &str) {
        if self.most == 0 {
            return;
        }
        let entry = Earlier::new(at, from, text);
        self.bytes += entry.size();
        self.entries.push_back(entry);
        while self.entries.len() > self.most || self.bytes > limits::CHAT_HISTORY_BYTES {
            self.pop();
        }
    }

    /// Removes the oldest message.
    pub fn pop(&mut self) -> Option<Earlier> {
        let oldest = self.entries.pop_front()?;
        self.bytes -= oldest.size();
        Some(oldest)
    }

    /// Returns the last `count` messages, oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &Earlier> {
        self.entries
            .iter()
            .skip(self.entries.len().saturating_sub(count))
    }

    /// Returns all messages, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Earlier> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_keeps_the_last_messages_within_its_bounds() {
        let mut history = History::new(3);
        for number in 0..10 {
            history.push(number, "ann", &number.to_string());
        }
        let texts = |history: &History, count| -> Vec<String> {
            let last = history.last(count);
            last.map(|entry| entry.text.clone()).collect()
        };
        assert_eq!(texts(&history, 9), ["7", "8", "9"]);
        assert_eq!(texts(&history, 2), ["8", "9"]);
        assert_eq!(texts(&history, 0), [""; 0]);

        let mut history = History::new(limits::MAX_CHAT_HISTORY);
        for number in 0..200 {
            history.push(number, &"n".repeat(1000), &"\u{e9}".repeat(8000));
            assert!(history.bytes <= limits::CHAT_HISTORY_BYTES);
        }
        let last = history.last(1).next().unwrap();
        assert!(last.from.len() <= MEMBER_NAME);
        assert!(last.text.len() <= limits::CHAT_HISTORY_TEXT, "{last:?}");
        let (said, missing) = last.text.rsplit_once(" [+").unwrap();
        assert_eq!(missing, format!("{} bytes]", 16_000 - said.len()));
        assert!(history.iter().count() > 10);
    }

    #[test]
    fn a_history_of_no_messages_keeps_none() {
        let mut history = History::new(0);
        history.push(0, "ann", "hello");
        assert_eq!(history.iter().count(), 0);
    }
}
