//! Input of a prompt that was not processed, for the prompt that takes its place.
//!
//! Not where it is kept meanwhile. Invariant: what is kept is bounded, and its text has no control characters, which would
//! reach a terminal later.

use serde::{Deserialize, Serialize};

use super::command::Typed;
use super::limits;

/// Input of a prompt that was not processed.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Unsent {
    /// Complete lines, in the order in which they were typed, as they were understood: another front may read a text otherwise.
    #[serde(default, rename = "typed")]
    pub lines: Vec<Typed>,
    /// Line that is not complete, before and behind the cursor.
    pub draft: (String, String),
    /// Keys behind it that the line editor has not handled.
    pub keys: Vec<u8>,
    /// Answer that is not complete, to a question in the place of the prompt.
    #[serde(default)]
    pub answer: Option<Answer>,
}

/// Answer that is not complete.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// True unless the question is withdrawn.
    pub is_open: bool,
    /// Numbers of what the user was asked about.
    #[serde(default)]
    pub about: Vec<u64>,
    /// Text before and behind the cursor.
    pub line: (String, String),
    /// Keys behind it that the line editor has not handled.
    pub keys: Vec<u8>,
}

impl Unsent {
    /// Returns true if nothing was typed, apart from an answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// Returns true if it is small enough to be kept.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let answer = self.answer.as_ref().map_or(0, Answer::size);
        let about = self.answer.as_ref().map_or(0, |answer| answer.about.len());
        about <= limits::ASKED_ABOUT
            && self.lines.len() <= limits::PASTE_LINES
            && self.size() + answer <= limits::UNSENT
    }

    /// Returns the question alone, if there is one.
    #[must_use]
    pub fn into_question(self) -> Self {
        let answer = self.answer.map(|answer| Answer {
            is_open: answer.is_open,
            about: answer.about,
            ..Answer::default()
        });
        Self {
            answer,
            ..Self::default()
        }
    }

    fn size(&self) -> usize {
        let lines: usize = self.lines.iter().map(|line| line.size() + 1).sum();
        lines + self.draft.0.len() + self.draft.1.len() + self.keys.len()
    }

    /// Replaces control characters of the text. Keys are no text: the line editor handles them.
    #[must_use]
    pub fn without_controls(self) -> Self {
        let (before, behind) = self.draft;
        Self {
            lines: self
                .lines
                .into_iter()
                .map(|line| line.map_text(clean))
                .collect(),
            draft: (clean(&before), clean(&behind)),
            keys: self.keys,
            answer: self.answer.map(|answer| Answer {
                line: (clean(&answer.line.0), clean(&answer.line.1)),
                ..answer
            }),
        }
    }

    /// Returns the complete lines up to the one that leaves, if there is one: nothing behind it is processed.
    pub fn typed(&self) -> impl Iterator<Item = Typed> {
        let lines = self.lines.iter().take(self.lines.len() - self.behind());
        lines.filter(|line| line.is_line()).cloned()
    }

    /// Returns the number of lines behind the one that leaves.
    #[must_use]
    pub fn behind(&self) -> usize {
        let leaves = self.lines.iter().position(|line| *line == Typed::Leave);
        leaves.map_or(0, |at| self.lines.len() - at - 1)
    }

    /// Returns true if something was typed behind the complete lines.
    #[must_use]
    pub fn has_draft(&self) -> bool {
        !(self.draft.0.is_empty() && self.draft.1.is_empty() && self.keys.is_empty())
    }

    /// Returns words for what is not sent.
    #[must_use]
    pub fn words(&self) -> String {
        let lines = match self.lines.len() {
            1 => "1 line".to_owned(),
            lines => format!("{lines} lines"),
        };
        if self.has_draft() {
            format!("{lines}, and what was typed behind")
        } else {
            lines
        }
    }
}

impl Answer {
    /// Returns true if nothing was typed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size() == 0
    }

    const fn size(&self) -> usize {
        self.line.0.len() + self.line.1.len() + self.keys.len()
    }
}

/// Replaces control characters.
fn clean(text: &str) -> String {
    let is_shown = |c: char| matches!(c, '\t' | '\n') || !c.is_control();
    let shown = |c| {
        if is_shown(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prompt::command;

    /// Lines with blanks and the words that have a meaning.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[ \t]{1,3}",
            "/{1,2}",
            "quit|who|me|msg|exec|help|cancel",
            "[a-zé]{1,5}"
        ];
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    /// Lines of a prompt, and those without one, where each text is a line.
    fn typed() -> impl Strategy<Value = Typed> {
        prop_oneof![
            text().prop_map(Typed::Line),
            text().prop_filter_map("blank", |text| command::parse(&text)),
        ]
    }

    proptest! {
        #[test]
        fn a_line_that_is_handed_over_comes_back_equal_and_nothing_behind_the_one_that_leaves(
            lines in prop::collection::vec(typed(), 0..30)
        ) {
            let unsent = Unsent { lines: lines.clone(), ..Unsent::default() };
            let message = postcard::to_allocvec(&unsent).unwrap();
            let message: Unsent = postcard::from_bytes(&message).unwrap();
            let state = serde_json::to_vec(&message.without_controls()).unwrap();
            let unsent: Unsent = serde_json::from_slice(&state).unwrap();
            let leaves = lines.iter().position(|line| *line == Typed::Leave);
            let most = leaves.map_or(lines.len(), |at| at + 1);
            prop_assert_eq!(unsent.behind(), lines.len() - most);
            prop_assert_eq!(unsent.typed().collect::<Vec<_>>(), &lines[..most]);
        }
    }

    #[test]
    fn text_that_is_kept_has_no_control_characters_and_a_bound() {
        let unsent = Unsent {
            lines: vec![Typed::Line("a\tb\u{1b}[2J".into())],
            draft: ("日本\n".into(), "\u{7f}語".into()),
            keys: b"\x1b[D\r".to_vec(),
            answer: Some(Answer {
                is_open: true,
                about: vec![7],
                line: ("st\u{1b}".into(), "a".into()),
                keys: vec![b'y'],
            }),
        };
        assert!(unsent.is_bounded() && !unsent.is_empty());
        assert_eq!(unsent.words(), "1 line, and what was typed behind");
        let clean = unsent.without_controls();
        assert_eq!(clean.lines, [Typed::Line("a\tb\u{fffd}[2J".into())]);
        assert_eq!(clean.draft, ("日本\n".into(), "\u{fffd}語".into()));
        assert_eq!(clean.keys, b"\x1b[D\r");
        let answer = clean.answer.clone().unwrap();
        assert_eq!(answer.line, ("st\u{fffd}".into(), "a".into()));
        let question = clean.into_question();
        assert!(question.is_empty());
        let only = Answer {
            is_open: true,
            about: vec![7],
            ..Answer::default()
        };
        assert_eq!(question.answer, Some(only));
        let long = Answer {
            keys: vec![b'x'; limits::UNSENT + 1],
            ..Answer::default()
        };
        let long = Unsent {
            answer: Some(long),
            ..Unsent::default()
        };
        assert!(!long.is_bounded());
        let many = Answer {
            about: vec![0; limits::ASKED_ABOUT + 1],
            ..Answer::default()
        };
        let many = Unsent {
            answer: Some(many),
            ..Unsent::default()
        };
        assert!(!many.is_bounded());
        let large = Unsent {
            draft: ("x".repeat(limits::UNSENT), "y".into()),
            ..Unsent::default()
        };
        assert!(!large.is_bounded());
        assert!(Unsent::default().is_empty());
    }
}
