//! Input of a prompt that was not processed, at its end.
//!
//! Not where it goes. Invariant: what was typed as an answer to a question is no part of a line of the chat.

use super::{Input, Prompt};
use crate::prompt::command::Typed;
use crate::prompt::limits::ASKED_ABOUT;
use crate::prompt::unsent::{Answer, Unsent};
use crate::saved_mode;

impl Prompt {
    /// Ends the reading. Returns the line that is not complete and the keys behind it, or the answer if they were typed as one,
    /// and the input of the last complete line, if it was not taken.
    pub fn take_unsent(&mut self) -> (Unsent, Option<Input>) {
        let is_drawn = self.is_reading && self.activity.is_editing();
        let is_awaited = self.is_reading && !saved_mode::is_in_background();
        let last = self.end_reading();
        let is_stalled = is_awaited && last.is_none();
        if is_drawn && matches!(&last, Some(input) if input.typed == [Typed::Interrupted]) {
            self.activity.erase();
        }
        let (line, parked) = (self.activity.take_line(), self.activity.take_parked());
        let (mut keys, aside) = (self.keys.take_keys(), self.keys.take_aside());
        if is_stalled {
            // It may have handled a part of what it has read: what follows is not the rest of the draft.
            tracing::warn!("the terminal is stopped: keys typed last at the prompt are lost");
            keys.clear();
        }
        let is_open = self.is_asked();
        let is_parked = !aside.is_empty() || parked != Default::default();
        // A line in front of which no question was shown was begun before it.
        let is_answer = match &last {
            Some(input) => input.shown.is_some(),
            None => is_open,
        };
        // What is typed at a question is a part of an answer; what was typed before it is not.
        let mut answer = Answer {
            is_open,
            about: self
                .asked
                .iter()
                .map(|job| job.0)
                .take(ASKED_ABOUT)
                .collect(),
            ..Answer::default()
        };
        let (draft, keys) = if is_answer {
            (answer.line, answer.keys) = (line, keys);
            (parked, aside)
        } else if is_parked || self.activity.is_paste_asked() {
            (parked, aside)
        } else {
            (line, keys)
        };
        let answer = Some(answer).filter(|answer| is_open || !answer.is_empty());
        let unsent = Unsent {
            lines: Vec::new(),
            draft,
            keys,
            answer,
        };
        (unsent, last)
    }
}
