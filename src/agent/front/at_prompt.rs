//! Effects of what the agent's user types at the prompt.
//!
//! Not the prompt itself. Invariants: no command ends with the agent before its user was asked about it; what peers wrote is escaped
//! before it is shown.

use std::collections::BTreeSet;
use std::time::Instant as Moment;

use super::interruption::Effect;
use super::limits;
use super::paced::Rate;
use super::prompt::{Input, Prompt};
use super::thread::Thread;
use crate::agent::ipc::ToSupervisor;
use crate::agent::jobs::JobId;
use crate::agent::switch::Switch;
use crate::escape;
use crate::message::OsText;
use crate::message::limits::{CHAT_TEXT, MEMBER_NAME, NAME};
use crate::prompt::activity::Question;
use crate::prompt::command::{self, Command, Typed};
use crate::prompt::paste::Decision;
use crate::time::Instant;

/// Question about running commands, in the place of the prompt.
pub(super) const QUESTION: &str = "end / leave / stay? ";

/// Words about an answer to a question that is not open any more.
pub(super) const LATE: &str = "not sent: it was typed as an answer";

/// Answer to the question about running commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// End the agent, and the commands with it.
    End,
    /// Close the prompt.
    Leave,
    /// Go on.
    Stay,
}

impl Answer {
    /// Returns the answer of a line. `None` if it is none.
    fn of(typed: &[Typed]) -> Option<Self> {
        let line = match typed {
            [] => return Some(Self::Stay),
            [Typed::Line(line)] => line,
            _ => return None,
        };
        match &line.trim().to_lowercase()[..] {
            "end" => Some(Self::End),
            "leave" => Some(Self::Leave),
            "stay" => Some(Self::Stay),
            _ => None,
        }
    }
}

/// Meaning of a line at the prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// Messages and commands of the chat.
    Chat,
    /// Answer to the open question; `None` if it is not one of those that the question names.
    Answer(Option<Answer>),
    /// Answer to a question that is not open any more.
    Late,
    /// A blank or interrupted line at a question.
    Nothing,
    /// The end of all reading: nobody can answer.
    Failed,
}

impl Meaning {
    /// Returns the meaning of a line in front of which `shown` was, while `open` is open. Only a line in front of which the
    /// open question was can end anything.
    fn of(typed: &[Typed], shown: Option<Question>, open: Option<Question>) -> Self {
        let answer = Answer::of(typed);
        let is_interrupted = matches!(typed, [Typed::Interrupted]);
        match (shown, open) {
            _ if matches!(typed, [Typed::Failed(_)]) => Self::Failed,
            (None, None) => Self::Chat,
            (Some(_), Some(_)) if shown == open && !is_interrupted => Self::Answer(answer),
            _ if is_interrupted || typed.is_empty() => Self::Nothing,
            (Some(_), _) => Self::Late,
            // The question was opened while the line was typed.
            (None, Some(_)) if answer.is_some() || typed == [Typed::Leave] => Self::Answer(None),
            (None, Some(_)) => Self::Chat,
        }
    }
}

impl Thread {
    /// Processes what was typed at the prompt.
    pub(super) fn take_lines_of_prompt(&mut self, now: Instant) {
        if self.is_ending {
            return;
        }
        let Some(mut prompt) = self.prompt.take_if(|prompt| !prompt.has_left) else {
            return;
        };
        if prompt.is_overwritten()
            && let Some(printer) = &self.printer
        {
            printer.redraw();
            if let Some(words) = prompt.paste.question() {
                printer.note(words);
            }
        }
        // Before a line is taken that may answer it.
        self.withdraw_question(&mut prompt);
        if let Some(Input { typed, shown }) = prompt.take() {
            for line in prompt.kept() {
                self.service.processes().send(&ToSupervisor::Typed(line));
            }
            let withdrawn = prompt.is_just_withdrawn();
            match Meaning::of(&typed, shown, prompt.question()) {
                // An answer for which the question was withdrawn too early to be seen.
                Meaning::Chat if withdrawn && !typed.is_empty() && Answer::of(&typed).is_some() => {
                    self.note(LATE.into());
                }
                Meaning::Failed => return self.leave_prompt(prompt),
                Meaning::Answer(answer) => {
                    let stays = self.on_answer(&mut prompt, answer);
                    if !stays {
                        // Dropping the prompt restores the terminal.
                        return;
                    }
                }
                Meaning::Late => self.note(LATE.into()),
                Meaning::Nothing => {}
                Meaning::Chat => self.take_input(now, &mut prompt, typed),
            }
            if !prompt.is_leaving() {
                self.on_ready(now, &mut prompt, Rate::Kept);
            }
            if !prompt.has_left {
                prompt.proceed();
            }
        }
        let is_due = prompt.deadline().is_some_and(|at| at <= Moment::now());
        // Lines that were handed over may be ready from the beginning.
        if !prompt.has_left && (is_due || !prompt.paste.has_room()) {
            let effect = prompt.interruption.on_deadline(Moment::now());
            self.on_interruption(&mut prompt, effect);
            if !prompt.is_leaving() {
                let has_more = prompt.has_more();
                let decision = prompt.paste.on_deadline(Moment::now(), || has_more);
                self.on_decision(&prompt, decision);
                self.on_ready(now, &mut prompt, Rate::Kept);
            }
        }
        prompt.show_question();
        self.prompt = Some(prompt);
        self.execute_commands();
    }

    /// Takes input of the chat, and Ctrl-C.
    fn take_input(&mut self, at: Instant, prompt: &mut Prompt, typed: Vec<Typed>) {
        let now = Moment::now();
        for typed in typed {
            let edited = match typed {
                Typed::Interrupted => {
                    if prompt.interruption.left_until(now).is_none() {
                        // As at the end of input. What is typed from now on is behind it.
                        let decision = prompt.paste.push(now, typed);
                        self.on_decision(prompt, decision);
                        self.on_ready(at, prompt, Rate::Waived);
                    }
                    Effect::Leave
                }
                Typed::Discarded => Effect::Discarded,
                typed => {
                    let decision = prompt.paste.push(now, typed);
                    self.on_decision(prompt, decision);
                    continue;
                }
            };
            let effect = prompt.interruption.on_edited(now, edited);
            self.on_interruption(prompt, effect);
        }
    }

    /// Carries out the effect of Ctrl-C, once it is known.
    fn on_interruption(&mut self, prompt: &mut Prompt, effect: Option<Effect>) {
        match effect {
            None => {}
            // The question is open: the supervisor counts.
            Some(_) if prompt.is_asked() => {}
            Some(Effect::Leave) => prompt.has_left = self.quit(prompt),
            Some(Effect::Discarded) => self.service.processes().send(&ToSupervisor::Discarded),
        }
    }

    pub(super) fn on_decision(&self, prompt: &Prompt, decision: Decision) {
        if let Some(words) = decision.words(prompt.paste.len()) {
            self.note(words);
        }
        if decision.is_question() {
            prompt.park();
        }
    }

    /// Carries out what is ready.
    fn on_ready(&mut self, now: Instant, prompt: &mut Prompt, rate: Rate) {
        while !prompt.has_left
            && prompt
                .paste
                .peek()
                .is_some_and(|next| self.may_say(now, next, rate))
            && let Some(typed) = prompt.paste.next()
        {
            match typed {
                Typed::Line(line) => self.say(now, &line),
                Typed::Command(Command::Me(text)) if text.is_empty() => {
                    self.note(
                        "/me needs a text behind it, as in /me waves; nothing is sent".into(),
                    );
                }
                Typed::Command(Command::Me(text)) => self.act(now, &text),
                Typed::Command(Command::Msg { to, text }) => self.whisper(&to, &text),
                Typed::Command(Command::Help) => self.help(),
                Typed::Command(Command::Who) => self.who(),
                Typed::Command(Command::Exec(line)) => self.exec(now, &line),
                Typed::Command(Command::Cancel) => self.cancel(now),
                Typed::Unknown(command) => {
                    let command = escape::line(command.as_bytes(), NAME);
                    let hint = command::hint(&command);
                    self.note(format!("{command} is no command; {hint}"));
                }
                Typed::Leave | Typed::End => prompt.has_left = self.quit(prompt),
                Typed::Interrupted | Typed::Discarded | Typed::Refused | Typed::Failed(_) => {}
            }
        }
    }

    pub(super) fn say(&mut self, now: Instant, line: &str) {
        if line.len() > CHAT_TEXT {
            return self.note(format!("not sent: a message has at most {CHAT_TEXT} bytes"));
        }
        let (chat, outbox) = self.service.chat();
        chat.on_typed(now, line, outbox);
    }

    pub(super) fn act(&mut self, now: Instant, text: &str) {
        if text.len() > CHAT_TEXT {
            return self.note(format!("not sent: a message has at most {CHAT_TEXT} bytes"));
        }
        let (chat, outbox) = self.service.chat();
        chat.on_typed_action(now, text, outbox);
    }

    pub(super) fn whisper(&mut self, to: &str, text: &str) {
        // As `/who` shows the members of rooms.
        let (room, to, text) = match to.strip_prefix('#') {
            Some(room) => {
                let (to, text) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
                (Some(room), to, text.trim_start())
            }
            None => (None, to, text),
        };
        if text.is_empty() {
            return self.note(
                "/msg needs a name and a text behind it, as in /msg ann hello; nothing is sent"
                    .into(),
            );
        }
        let (chat, outbox) = self.service.chat();
        if let Err(reason) = chat.on_typed_private((room, to), text, outbox) {
            let reason = escape::line(reason.as_bytes(), CHAT_TEXT);
            self.note(format!("not sent: {reason}"));
        }
    }

    fn help(&self) {
        for line in command::help() {
            self.note(line);
        }
    }

    /// Lists the members of all rooms.
    fn who(&mut self) {
        let style = self.style.clone();
        let shown = |name: &str| style.name(name, &escape::message(name.as_bytes(), MEMBER_NAME));
        let (chat, _) = self.service.chat();
        let mut members: Vec<_> = chat.members().collect();
        members.sort_unstable();
        let members = members.into_iter().map(|(room, name)| match room {
            Some(room) => format!("#{room} {}", shown(name)),
            None => shown(name),
        });
        let members: Vec<_> = members.collect();
        let me = shown(chat.name());
        let others = if members.is_empty() {
            "nobody else".to_owned()
        } else {
            members.join(", ")
        };
        self.note(format!("you are {me}; also here: {others}"));
    }

    /// Handles Ctrl-C of which the supervisor tells.
    pub(super) fn on_interrupted(&mut self, now: Instant) {
        if let Some(mut prompt) = self.prompt.take() {
            if !prompt.is_asked() && !prompt.has_left {
                if !prompt.is_leaving() {
                    prompt.paste.release_few();
                    self.on_ready(now, &mut prompt, Rate::Waived);
                }
                let effect = prompt.interruption.on_told(Moment::now());
                self.on_interruption(&mut prompt, effect);
            }
            self.prompt = Some(prompt);
        }
    }

    /// Ends the agent, or asks first if commands would end with it. Returns true if the agent ends.
    fn quit(&mut self, prompt: &mut Prompt) -> bool {
        let running = self.running();
        let Some(question) = self.question(prompt.asked()) else {
            self.service.processes().send(&ToSupervisor::ShutDown);
            return true;
        };
        self.note(question);
        prompt.ask(QUESTION, running);
        false
    }

    /// Returns the commands that would end with the agent.
    pub(super) fn running(&self) -> BTreeSet<JobId> {
        let commands = self.service.commands_ending_with_agent();
        commands.into_iter().map(|(id, _)| id).collect()
    }

    /// Withdraws the question, once nothing runs that it is about.
    fn withdraw_question(&mut self, prompt: &mut Prompt) {
        if !prompt.is_asked() {
            return;
        }
        let running = self.running();
        if !running.is_disjoint(prompt.asked()) {
            return;
        }
        let ended = if running.is_empty() {
            "no command is running any more"
        } else {
            "the commands of the question have ended"
        };
        self.note(format!("{ended}; the agent goes on"));
        prompt.withdraw_question();
        self.service.processes().send(&ToSupervisor::Stays);
    }

    /// Returns the words before the question about running commands, if there are any that end with the agent. The user was
    /// asked about those in `asked` before: they are named behind the others.
    pub(super) fn question(&self, asked: &BTreeSet<JobId>) -> Option<String> {
        let mut commands = self.service.commands_ending_with_agent();
        commands.sort_by_key(|(id, _)| asked.contains(id));
        question_about(&commands)
    }

    /// Handles an answer to the open question. Returns false if the user leaves the prompt.
    fn on_answer(&mut self, prompt: &mut Prompt, answer: Option<Answer>) -> bool {
        match answer {
            // Others have begun since.
            Some(Answer::End) if !self.running().is_subset(prompt.asked()) => {
                prompt.has_left = self.quit(prompt);
            }
            Some(Answer::End) => {
                prompt.close_question();
                prompt.has_left = true;
                self.service.processes().send(&ToSupervisor::ShutDown);
            }
            Some(Answer::Leave) => {
                self.note("the agent goes on without a prompt; Ctrl-C ends it, and udpagent reload opens a prompt again".into());
                self.service
                    .processes()
                    .send(&ToSupervisor::Prompt(Switch::Off));
                self.user_left();
                return false;
            }
            Some(Answer::Stay) => {
                prompt.close_question();
                self.service.processes().send(&ToSupervisor::Stays);
                self.note("the agent goes on".into());
            }
            None => self.note(
                "type \"end\" to end them and the agent, \"leave\" to close this prompt, or \"stay\"".into(),
            ),
        }
        true
    }

    fn leave_prompt(&mut self, mut prompt: Prompt) {
        if prompt.is_asked() {
            prompt.close_question();
            self.service.processes().send(&ToSupervisor::Stays);
        }
        drop(prompt);
        self.service
            .processes()
            .send(&ToSupervisor::Prompt(Switch::Off));
        self.user_left();
        self.execute_commands();
    }

    pub(super) fn note(&self, words: String) {
        if let Some(printer) = &self.printer {
            printer.note(words);
        }
    }
}

/// Returns the words before the question about these commands, unless there are none.
pub(super) fn question_about(commands: &[(JobId, &[OsText])]) -> Option<String> {
    let count = commands.len();
    let named = commands
        .iter()
        .take(limits::NAMED_COMMANDS)
        .map(|(_, words)| {
            let words: Vec<_> = words
                .iter()
                .map(|word| word.as_os_str().to_string_lossy())
                .map(|word| escape::shell_word(&word).into_owned())
                .collect();
            escape::line(words.join(" ").as_bytes(), limits::NAMED_COMMAND).into_owned()
        });
    let named: Vec<_> = named.collect();
    let more = match count - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let are = match count {
        0 => return None,
        1 => "1 command is running and ends with the agent".to_owned(),
        count => format!("{count} commands are running and end with the agent"),
    };
    Some(format!("{are}: {}{more}", named.join("; ")))
}

#[cfg(test)]
mod tests;
