//! The part of the front's loop that serves the chat: typed lines and answers of the bot in, lines and the history out.
//!
//! Not the chat itself. Invariants: what was typed before the agent is told to end is said before it ends; a line that a front
//! has read is said by it, and kept by the supervisor, before another front takes its place, or handed over.

use std::io;
use std::time::Instant as Moment;

use super::bot::FrontBot;
use super::paced::Rate;
use super::prompt::Prepared;
use super::styled_line::styled;
use super::terminal::{self, Input, Printer};
use super::thread::Thread;
use super::typed_line::Typed;
use super::typed_lines::TypedLines;
use crate::agent::chat::Line;
use crate::agent::config::LogFormat;
use crate::agent::ipc::ToSupervisor;
use crate::agent::switch::Switch;
use crate::net::Command;
use crate::prompt::command;
use crate::prompt::paste::Paste;
use crate::prompt::unsent::Unsent;
use crate::saved_mode;
use crate::time::Instant;

impl Thread {
    /// Shows the chat on stdout and reads typed lines from stdin, with a prompt if there is to be one. `reads` is
    /// off if the user has left the prompt.
    pub(super) fn open_terminal(
        &mut self,
        (format, reads): (LogFormat, Switch),
        prompt: Option<Prepared>,
        wake: impl Fn() + Send + Clone + 'static,
    ) -> io::Result<()> {
        if let Some(prepared) = prompt {
            let asked = self.asked_before(&prepared);
            let (prompt, above, style) = prepared.open(asked, wake)?;
            self.style = style.clone();
            self.printer = Some(Printer::to(above, move |line| styled(line, &style))?);
            self.prompt = Some(prompt);
            self.service
                .processes()
                .send(&ToSupervisor::Prompt(Switch::On));
            self.user_came();
            return Ok(());
        }
        let write: fn(&Line) -> String = match format {
            LogFormat::Text => Line::to_string,
            LogFormat::Json => Line::to_json,
        };
        self.printer = Some(Printer::start(write)?);
        if reads == Switch::On {
            self.typed = terminal::read_input(wake)?.map(|input| TypedLines::new(input, format));
        }
        if self.typed.as_ref().is_some_and(TypedLines::has_person) {
            self.user_came();
        }
        Ok(())
    }

    /// Passes on what the chat has for plain-text peers, the bot and the terminal.
    pub(super) fn show_chat(&mut self) {
        let (chat, _) = self.service.chat();
        while let Some((path, text)) = chat.poll_plain() {
            let _ = self.net.handle.send(Command::Plain { path, text });
        }
        while let Some(line) = chat.poll_line() {
            if let Some(bot) = &mut self.bot {
                bot.hear(&line);
            }
            if let Some(prompt) = &self.prompt
                && matches!(line, Line::Came { .. } | Line::Left { .. })
            {
                let names = chat.members().map(|(_, name)| name.to_owned());
                prompt.members.set(&names.collect::<Vec<_>>());
            }
            if let Some(printer) = &self.printer {
                printer.show(line);
            }
        }
        // It may answer in more rooms at once than before.
        if let Some(count) = self.bot.as_mut().and_then(FrontBot::poll_processes) {
            let message = ToSupervisor::BotProcesses(count);
            self.service.processes().send(&message);
        }
    }

    /// Processes what was typed.
    pub(super) fn take_typed(&mut self, now: Instant) {
        // Each turn tries again.
        self.says_again = None;
        let Some(mut typed) = self.typed.take() else {
            return;
        };
        let TypedLines { input, held, .. } = &mut typed;
        // The rest stays in a pipe until what was read is said.
        if input.person().is_some() || held.paste.has_room() {
            for typed in input.take() {
                held.push(typed, self.printer.as_ref());
            }
        }
        let decision = held.paste.on_deadline(Moment::now(), || has_more(input));
        held.tell(decision.words(held.paste.len()), self.printer.as_ref());
        self.say_ready(now, &mut held.paste, Rate::Kept);
        if let Some(asked) = typed.poll_asked() {
            self.service
                .processes()
                .send(&ToSupervisor::LinesAsked(asked));
        }
        self.typed = Some(typed);
        self.execute_commands();
    }

    /// Says what was typed before the end and not read yet: of a person, a few lines.
    fn say_last_typed(&mut self, now: Instant) {
        let Some(TypedLines {
            input, mut held, ..
        }) = self.typed.take()
        else {
            return;
        };
        // An order to end has no effect on an agent that ends already.
        for typed in input.end().chain([Typed::Quit]) {
            held.push(typed, self.printer.as_ref());
            self.say_ready(now, &mut held.paste, Rate::Waived);
        }
        held.tell_behind(self.printer.as_ref());
    }

    /// Says what was read before another front reads on, and hands over lines of a person that the user may have to agree to, with
    /// those that are not read yet. Returns words for these.
    fn hand_over_lines(&mut self, now: Instant) -> Option<String> {
        let TypedLines {
            input, mut held, ..
        } = self.typed.take()?;
        let is_person = input.person().is_some();
        for typed in input.leave() {
            held.push(typed, self.printer.as_ref());
        }
        if !is_person {
            self.say_ready(now, &mut held.paste, Rate::Waived);
        }
        let (lines, decision) = held.paste.take_lines();
        held.tell(decision.words(lines.len()), self.printer.as_ref());
        if lines.is_empty() {
            return None;
        }
        let unsent = Unsent {
            lines,
            ..Unsent::default()
        };
        let words = unsent.words();
        if !unsent.is_bounded() {
            let words = format!("too much to hand over, not sent: {words}");
            held.tell(Some(words), self.printer.as_ref());
            return None;
        }
        let message = ToSupervisor::Unsent(Box::new(unsent));
        self.service.processes().send(&message);
        Some(words)
    }

    fn say_ready(&mut self, now: Instant, paste: &mut Paste, rate: Rate) {
        while paste
            .peek()
            .is_some_and(|next| self.may_say(now, next, rate))
            && let Some(typed) = paste.next()
        {
            match typed {
                command::Typed::Line(line) => {
                    let (chat, outbox) = self.service.chat();
                    chat.on_typed(now, &line, outbox);
                }
                command::Typed::Leave => self.service.processes().send(&ToSupervisor::ShutDown),
                // Of a prompt before.
                command::Typed::Command(_) | command::Typed::Unknown(_) => {
                    tracing::warn!("a command is not run, as there is no prompt any more");
                }
                command::Typed::End
                | command::Typed::Interrupted
                | command::Typed::Discarded
                | command::Typed::Refused
                | command::Typed::Failed(_) => {}
            }
        }
    }

    /// Processes answers of the bot.
    pub(super) fn take_answers(&mut self, now: Instant) {
        let Some(bot) = &mut self.bot else { return };
        let (chat, outbox) = self.service.chat();
        bot.answer(now, chat, outbox);
        self.execute_commands();
    }

    /// Processes what was typed before the end and not read yet.
    pub(super) fn take_last_typed(&mut self, now: Instant) {
        self.take_last_lines_of_prompt(now);
        self.say_last_typed(now);
        self.user_left();
    }

    fn user_came(&mut self) {
        let (chat, outbox) = self.service.chat();
        chat.on_user_came(outbox);
    }

    pub(super) fn user_left(&mut self) {
        let (chat, outbox) = self.service.chat();
        chat.on_user_left(outbox);
    }

    /// Says what was read of the input before another front takes the place of this one, and lets all of the chat be kept.
    pub(super) fn leave(&mut self, now: Instant) {
        let unsent = self.hand_over_typed();
        let unsent = self.hand_over_lines(now).or(unsent);
        self.leave_own(now);
        self.bot.iter().for_each(FrontBot::note_unanswered);
        self.execute_commands();
        self.queue_history();
        if self.service.processes().flush_all().is_err()
            && let Some(words) = unsent
        {
            self.note(format!("the agent has failed; not sent: {words}"));
        }
    }

    /// Passes new messages of the chat on to the supervisor, which keeps them.
    pub(super) fn send_history(&mut self) {
        self.queue_history();
        if self.service.processes().flush().is_err() {
            self.lost = true;
        }
    }

    /// Queues them without sending them at once.
    pub(super) fn queue_history(&mut self) {
        while let Some(earlier) = self.service.chat().0.poll_history() {
            let message = ToSupervisor::Said(earlier);
            self.service.processes().send(&message);
        }
    }
}

/// Returns true if a person has typed something that was not taken.
fn has_more(input: &Input) -> bool {
    !input.typed.is_empty() || input.person().is_some() && saved_mode::has_input()
}
