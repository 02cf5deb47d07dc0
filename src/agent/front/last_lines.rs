//! Lines at the prompt when the agent ends.
//!
//! Not those of a reload, which are handed over. Invariant: a line that the user has completed before the one that leaves is
//! said, and the lines behind that one are counted.

use std::time::Instant as Moment;

use super::prompt::Prompt;
use super::thread::Thread;
use crate::prompt::behind;
use crate::prompt::command::{Command, Typed};
use crate::prompt::paste::Decision;
use crate::prompt::unsent::Unsent;
use crate::time::Instant;

impl Thread {
    /// Processes lines that were typed before the end and not processed yet.
    pub(super) fn take_last_lines_of_prompt(&mut self, now: Instant) {
        let Some(mut prompt) = self.prompt.take() else {
            return;
        };
        if prompt.is_leaving() {
            if let Some(words) = behind::words(count_behind(&mut prompt)) {
                self.note(words);
            }
            self.prompt = Some(prompt);
            return;
        }
        // An answer to the question is no message.
        let is_asked = prompt.is_asked();
        let input = prompt
            .take()
            .filter(|input| input.shown.is_none() && !is_asked);
        for typed in input.into_iter().flat_map(|input| input.typed) {
            prompt.paste.push(Moment::now(), typed);
        }
        // As at the end of input: a few lines are sent, and many that nobody agreed to are not.
        let decision = prompt.paste.push(Moment::now(), Typed::Leave);
        self.on_decision(&prompt, decision);
        while let Some(typed) = prompt.paste.next() {
            match typed {
                Typed::Line(line) => self.say(now, &line),
                Typed::Command(Command::Me(text)) if !text.is_empty() => self.act(now, &text),
                Typed::Command(Command::Msg { to, text }) => self.whisper(&to, &text),
                Typed::Command(Command::Exec(_)) => {
                    self.note("/exec: not run, as the agent ends".into());
                }
                Typed::Command(_)
                | Typed::Unknown(_)
                | Typed::Leave
                | Typed::End
                | Typed::Interrupted
                | Typed::Discarded
                | Typed::Refused
                | Typed::Failed(_) => {}
            }
        }
        // The terminal is restored when the last lines are shown.
        self.prompt = Some(prompt);
    }
}

/// Ends the reading. Returns the number of lines behind the one that has ended the agent.
fn count_behind(prompt: &mut Prompt) -> usize {
    let (Unsent { draft, keys, .. }, last) = prompt.take_unsent();
    let (before, behind) = (draft.0.into_bytes(), draft.1.into_bytes());
    let keys = [before, behind, keys, prompt.take_behind()].concat();
    let typed = last.into_iter().flat_map(|input| input.typed);
    let last = typed.filter(Typed::is_line).count();
    let (lines, decision) = prompt.paste.take_lines();
    let held = match decision {
        Decision::Dropped(lines) | Decision::TooMany(lines) | Decision::AskAgain(lines) => lines,
        Decision::None | Decision::Ask => 0,
    };
    last + lines.len() + held + prompt.take_dropped() + behind::count(&keys)
}
