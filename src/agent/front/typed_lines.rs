//! Lines of the agent's user where there is no prompt: those of a pipe, and those of a person.
//!
//! Not their reading, and not their effects. Invariant: of more than [`PASTE_UNASKED`](crate::prompt::limits::PASTE_UNASKED)
//! lines of a person at once, none is ready before the user has agreed.

use std::io::{IsTerminal as _, stdout};
use std::time::Instant as Moment;

use super::terminal::{Input, Printer};
use super::typed_line::Typed;
use crate::agent::config::LogFormat;
use crate::prompt::behind;
use crate::prompt::command;
use crate::prompt::paste::Paste;
use crate::prompt::unsent::Unsent;

/// Typed lines.
pub struct TypedLines {
    pub input: Input,
    pub held: Held,
}

/// Lines that wait for the rest of them or for an answer.
pub struct Held {
    pub paste: Paste,
    /// True if the user reads notes on standard output.
    is_noted: bool,
}

impl TypedLines {
    /// Holds the lines of a person. `format` is that of standard output.
    pub fn new(input: Input, format: LogFormat) -> Self {
        let held = Held {
            paste: Paste::new(input.person().cloned()),
            is_noted: format == LogFormat::Text && stdout().is_terminal(),
        };
        Self { input, held }
    }

    /// Returns true if a person types them.
    pub fn has_person(&self) -> bool {
        self.input.person().is_some()
    }

    /// Returns the time of the next decision.
    pub fn deadline(&self) -> Option<Moment> {
        self.held.paste.deadline()
    }

    /// Takes over the lines of the front before.
    pub fn take_over(&mut self, unsent: &Unsent, printer: Option<&Printer>) {
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
            Typed::Line(line) => command::Typed::Line(line),
            Typed::Quit => command::Typed::Leave,
            Typed::Refused => command::Typed::Refused,
        };
        let decision = self.paste.push(Moment::now(), typed);
        self.tell(decision.words(self.paste.len()), printer);
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
