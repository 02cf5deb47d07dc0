//! Input of the prompt that is not processed when another front takes the place of this one.
//!
//! Not the effects of what is typed. Invariants: a line is processed by one front only; what nobody has completed is neither
//! sent nor run; what is not handed over is named.

use std::collections::BTreeSet;
use std::time::Instant as Moment;

use super::at_prompt::{LATE, QUESTION, question_about};
use super::prompt::{Input, Prepared};
use super::thread::Thread;
use crate::agent::ipc::{Setup, ToSupervisor};
use crate::agent::jobs::JobId;
use crate::prompt::behind;
use crate::prompt::command::Typed;

impl Thread {
    /// Ends the prompt and passes what was typed on, for the prompt of the next front. Returns words for it, if there is
    /// something.
    pub(super) fn hand_over_typed(&mut self) -> Option<String> {
        let mut prompt = self.prompt.take()?;
        let is_asked = prompt.is_asked();
        let (mut unsent, last) = prompt.take_unsent();
        if let Some(Input { typed, shown }) = last {
            if shown.is_none() && !is_asked {
                // Also as an answer to the question about a paste.
                let lines = typed.into_iter().filter(Typed::is_line);
                for line in lines {
                    let decision = prompt.paste.push(Moment::now(), line);
                    self.on_decision(&prompt, decision);
                }
            } else if !typed.is_empty() && typed != [Typed::Interrupted] {
                self.note(LATE.into());
            }
        }
        let (lines, decision) = prompt.paste.take_lines();
        self.on_decision(&prompt, decision);
        unsent.lines = lines;
        for line in prompt.kept() {
            self.service.processes().send(&ToSupervisor::Typed(line));
        }
        let words = (!unsent.is_empty()).then(|| unsent.words());
        if !unsent.is_bounded() {
            if let Some(words) = &words {
                self.note(format!("too much to hand over, not sent: {words}"));
            }
            unsent = unsent.into_question();
        }
        let message = ToSupervisor::Unsent(Box::new(unsent));
        self.service.processes().send(&message);
        // The terminal is restored when the last lines are shown.
        self.prompt = Some(prompt);
        words
    }

    /// Returns the question of an earlier front and the jobs that it is about now, none that its user was not asked about: none at
    /// all if it was withdrawn, or all of them have ended. It is withdrawn again, in words, in the first turn.
    pub(super) fn asked_before(
        &self,
        prompt: &Prepared,
    ) -> Option<(&'static str, BTreeSet<JobId>)> {
        let asked = prompt.asked()?;
        let about = self.running().intersection(&asked).copied().collect();
        Some((QUESTION, about))
    }

    /// Says what has become of what was typed at the prompt of the front before, unless the prompt shows it.
    pub(super) fn note_unsent(&mut self, setup: &Setup) {
        if let Some(typed) = &mut self.typed
            && typed.has_person()
        {
            return typed.take_over(&setup.typed, self.printer.as_ref());
        }
        if setup.typed.is_draft_lost {
            self.note(
                "the process of this prompt was started anew: a line that was not finished is lost, and nothing of it was sent"
                    .into(),
            );
        }
        if let Some(prompt) = &self.prompt {
            for decision in &prompt.handed_over {
                self.on_decision(prompt, *decision);
            }
            if let Some(words) = behind::words(setup.typed.unsent.behind()) {
                self.note(words);
            }
            if let Some(words) = prompt.paste.question() {
                self.note(words);
            }
            let mut commands = self.service.commands_ending_with_agent();
            commands.retain(|(id, _)| prompt.asked().contains(id));
            if let Some(words) = question_about(&commands) {
                self.note(words);
            }
        }
        if self.prompt.is_none() && !setup.typed.unsent.is_empty() {
            let words = setup.typed.unsent.words();
            tracing::warn!(
                "not sent, as nothing is read from the terminal any more: what was typed there: {words}"
            );
        }
    }
}
