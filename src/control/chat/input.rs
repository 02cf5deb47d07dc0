//! Effects of what a person types, or a pipe brings.
//!
//! Not the parsing. Invariant: a line that is not sent is named or counted.

use std::time::Instant;

use crossbeam_channel::RecvError;
use signal_hook::consts::SIGINT;

use super::ChatLoop;
use super::input_position::Input;
use crate::control::chat_client::Kind;
use crate::control::signals;
use crate::message::limits::{CHAT_TEXT, MEMBER_NAME};
use crate::prompt::command::{Command, Typed};
use crate::prompt::paste::Decision;

impl ChatLoop<'_> {
    /// Handles what the channel of input has received.
    pub(super) fn on_received(&mut self, input: Result<Input, RecvError>) {
        let typed = self.screen.taken(input);
        self.on_input(typed);
    }

    fn on_input(&mut self, typed: Typed) {
        let typed = if self.screen.is_terminal() {
            typed
        } else {
            self.paste.or_end(typed, Typed::End)
        };
        let decision = self.paste.push(Instant::now(), typed);
        self.on_decision(decision);
    }

    /// Handles the end of lines that arrived at once.
    pub(super) fn on_paste_complete(&mut self) {
        let has_more = !self.leaving && self.screen.has_more();
        let decision = self.paste.on_deadline(Instant::now(), || has_more);
        self.on_decision(decision);
    }

    fn on_decision(&mut self, decision: Decision) {
        self.failed |= matches!(decision, Decision::TooMany(_));
        if let Some(words) = decision.words(self.paste.len()) {
            self.screen.note(&words);
        }
        if decision.is_question() {
            self.screen.park();
        }
    }

    /// Answers "no" to that question. Returns false if it is not open.
    pub(super) fn refuse_paste(&mut self) -> bool {
        let is_asked = self.paste.question().is_some();
        if is_asked {
            self.on_input(Typed::Refused);
        }
        is_asked
    }

    /// Sends a message, or says that it is too long.
    fn send(&mut self, kind: Kind, text: &str) {
        let name = match &kind {
            Kind::Private { to } => to.len(),
            Kind::Text | Kind::Answer | Kind::Action => 0,
        };
        let mut typed = kind.typed(text).into_owned();
        if kind == Kind::Text && text.starts_with('/') {
            typed.insert(0, '/');
        }
        if let Ok(number) = self.chat.say_as(kind, text.to_owned()) {
            self.delivery.on_sent(number, typed, Instant::now());
            return;
        }
        let reason = if name > MEMBER_NAME {
            format!("a name has at most {MEMBER_NAME} bytes")
        } else {
            format!("a message has at most {CHAT_TEXT} bytes")
        };
        self.undelivered(text, &reason);
    }

    /// Carries out input whose turn it is.
    pub(super) fn on_typed(&mut self, typed: Typed) {
        match typed {
            Typed::Line(line) => {
                self.send(Kind::Text, &line);
            }
            Typed::Command(Command::Me(text)) if text.is_empty() => self
                .screen
                .note("/me needs a text behind it, as in /me waves; nothing is sent"),
            Typed::Command(Command::Me(text)) => self.send(Kind::Action, &text),
            Typed::Command(Command::Msg { text, .. }) if text.is_empty() => self.screen.note(
                "/msg needs a name and a text behind it, as in /msg ann hello; nothing is sent",
            ),
            Typed::Command(Command::Msg { to, text }) => self.send(Kind::Private { to }, &text),
            Typed::Command(Command::Help) => self.screen.help(),
            Typed::Command(Command::Who) => self.who(),
            Typed::Command(Command::Exec(line)) => self.exec(&line),
            Typed::Command(Command::Cancel) => self.cancel(),
            Typed::Unknown(command) => self.screen.unknown(&command),
            Typed::Leave => self.leave(),
            Typed::End => {
                if let Some(bot) = &mut self.bot {
                    bot.input_ended = true;
                } else {
                    self.leaving = true;
                    self.chat.drain();
                }
            }
            Typed::Interrupted => {
                signals::set_interrupted();
                self.on_signal(SIGINT);
            }
            // It is decided before.
            Typed::Refused | Typed::Discarded => {}
            Typed::Failed(error) => {
                self.screen
                    .note(&format!("cannot read what is typed: {error}"));
                self.failed = true;
                self.leave();
            }
        }
    }
}
