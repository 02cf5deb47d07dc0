//! Input of a prompt that was not processed, for the prompt that takes its place.
//!
//! Not where it is kept meanwhile. Invariant: what is kept is bounded, and its text has no control characters, which would
//! reach a terminal later.

use serde::{Deserialize, Serialize};

use super::command::{self, Typed};
use super::limits;

/// Input of a prompt that was not processed.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Unsent {
    /// Complete lines, in the order in which they were typed.
    pub lines: Vec<String>,
    /// Line that is not complete, before and behind the cursor.
    pub draft: (String, String),
    /// Keys behind it that the line editor has not handled.
    pub keys: Vec<u8>,
}

impl Unsent {
    /// Returns true if nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// Returns true if it is small enough to be kept.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.lines.len() <= limits::PASTE_LINES && self.size() <= limits::UNSENT
    }

    fn size(&self) -> usize {
        let lines: usize = self.lines.iter().map(String::len).sum();
        lines + self.draft.0.len() + self.draft.1.len() + self.keys.len()
    }

    /// Replaces control characters of the text. Keys are no text: the line editor handles them.
    #[must_use]
    pub fn without_controls(self) -> Self {
        let clean = |text: String| -> String {
            let is_shown = |c: char| matches!(c, '\t' | '\n') || !c.is_control();
            let shown = |c| {
                if is_shown(c) {
                    c
                } else {
                    char::REPLACEMENT_CHARACTER
                }
            };
            text.chars().map(shown).collect()
        };
        let (before, behind) = self.draft;
        Self {
            lines: self.lines.into_iter().map(clean).collect(),
            draft: (clean(before), clean(behind)),
            keys: self.keys,
        }
    }

    /// Returns the input of the complete lines.
    pub fn typed(&self) -> impl Iterator<Item = Typed> {
        self.lines.iter().filter_map(|line| command::parse(line))
    }

    /// Returns words for what is not sent.
    #[must_use]
    pub fn words(&self) -> String {
        let lines = match self.lines.len() {
            1 => "1 line".to_owned(),
            lines => format!("{lines} lines"),
        };
        let has_draft = !(self.draft.0.is_empty() && self.draft.1.is_empty());
        if has_draft || !self.keys.is_empty() {
            format!("{lines}, and what was typed behind")
        } else {
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_kept_has_no_control_characters_and_a_bound() {
        let unsent = Unsent {
            lines: vec!["a\tb\u{1b}[2J".into()],
            draft: ("日本\n".into(), "\u{7f}語".into()),
            keys: b"\x1b[D\r".to_vec(),
        };
        assert!(unsent.is_bounded() && !unsent.is_empty());
        assert_eq!(unsent.words(), "1 line, and what was typed behind");
        let clean = unsent.without_controls();
        assert_eq!(clean.lines, ["a\tb\u{fffd}[2J"]);
        assert_eq!(clean.draft, ("日本\n".into(), "\u{fffd}語".into()));
        assert_eq!(clean.keys, b"\x1b[D\r");
        let large = Unsent {
            draft: ("x".repeat(limits::UNSENT), "y".into()),
            ..Unsent::default()
        };
        assert!(!large.is_bounded());
        assert!(Unsent::default().is_empty());
    }
}
