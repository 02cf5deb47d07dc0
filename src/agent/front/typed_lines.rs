//! Lines of the agent's user where there is no prompt: those of a pipe, and those of a person.
//!
//! Not their reading, and not their effects. Invariant: of more than [`PASTE_UNASKED`](crate::prompt::limits::PASTE_UNASKED)
//! lines of a person at once, none is ready before the user has agreed.

use std::io::{IsTerminal as _, stdout};
use std::time::Instant as Moment;

use super::terminal::{Input, Printer};
use super::typed_line::Typed;
use crate::agent::config::LogFormat;
use crate::agent::ipc::TypedBefore;
use crate::agent::switch::Switch;
use crate::prompt::behind;
use crate::prompt::command;
use crate::prompt::paste::Paste;

/// Typed lines.
pub struct TypedLines {
    pub input: Input,
    pub held: Held,
    /// True if the supervisor was told that the user is asked about lines.
    is_asked: bool,
}

/// Lines that wait for the rest of them or for an answer.
pub struct Held {
    pub paste: Paste,
    /// True if the user reads notes on standard output.
    is_noted: bool,
    /// True once the user has ended the agent: nothing more is sent.
    has_left: bool,
    /// Number of lines that were typed since.
    behind: usize,
}

impl TypedLines {
    /// Holds the lines of a person. `format` is that of standard output.
    pub fn new(input: Input, format: LogFormat) -> Self {
        let held = Held {
            paste: Paste::new(input.person().cloned()),
            is_noted: format == LogFormat::Text && stdout().is_terminal(),
            has_left: false,
            behind: 0,
        };
        Self {
            input,
            held,
            is_asked: false,
        }
    }

    /// Returns true if a person types them.
    pub fn has_person(&self) -> bool {
        self.input.person().is_some()
    }

    /// Returns the time of the next decision.
    pub fn deadline(&self) -> Option<Moment> {
        self.held.paste.deadline()
    }

    /// Returns on if the user is asked about lines, and off if not any more. `None` if that has not changed.
    pub fn poll_asked(&mut self) -> Option<Switch> {
        let is_asked = self.held.paste.question().is_some();
        let was_asked = std::mem::replace(&mut self.is_asked, is_asked);
        (is_asked != was_asked).then(|| Switch::from(is_asked))
    }

    /// Takes over the lines of the front before.
    pub fn take_over(&mut self, before: &TypedBefore, printer: Option<&Printer>) {
        let unsent = &before.unsent;
        if before.is_draft_lost {
            let words = "the lines that waited for an answer are lost, and none of them was sent";
            self.held.tell(Some(words.into()), printer);
        }
        for typed in unsent.typed() {
            let decision = self.held.paste.push(Moment::now(), typed);
            self.held
                .tell(decision.words(self.held.paste.len()), printer);
        }
        self.held.tell(behind::words(unsent.behind()), printer);
        self.held.paste.ask_about_many();
        self.held.tell(self.held.paste.question(), printer);
        if unsent.has_draft() {
            tracing::warn!("not sent: what was typed at the prompt behind the last line");
        }
    }
}

impl Held {
    /// Adds a line, and tells what becomes of those that are held.
    pub fn push(&mut self, typed: Typed, printer: Option<&Printer>) {
        let typed = match typed {
            Typed::Line(line) if line.is_empty() => return,
            Typed::Line(_) if self.has_left => return self.behind += 1,
            Typed::Quit | Typed::Refused if self.has_left => return,
            Typed::Line(line) => command::Typed::Line(line),
            Typed::Quit => command::Typed::Leave,
            Typed::Refused => command::Typed::Refused,
        };
        let typed = self.paste.or_end(typed, command::Typed::Leave);
        self.has_left = typed == command::Typed::Leave;
        let decision = self.paste.push(Moment::now(), typed);
        self.tell(decision.words(self.paste.len()), printer);
    }

    /// Tells of lines behind the one that leaves.
    pub fn tell_behind(&self, printer: Option<&Printer>) {
        self.tell(behind::words(self.behind), printer);
    }

    /// Shows words to the user.
    pub fn tell(&self, words: Option<String>, printer: Option<&Printer>) {
        match (words, printer) {
            (Some(words), Some(printer)) if self.is_noted => printer.note(words),
            (Some(words), _) => tracing::warn!("{words}"),
            (None, _) => {}
        }
    }
}
