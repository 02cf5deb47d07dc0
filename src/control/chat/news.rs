//! Messages and news of a chat as they are shown, and the list of its members.
//!
//! Not the screen. Invariant: what a peer wrote is escaped before it is shown.

use super::{ChatLoop, Format, age};
use crate::escape;
use crate::message::limits::{CHAT_TEXT, MEMBER_NAME};
use crate::message::{Reply, marks, to_line};

/// Form of a message on a terminal.
#[derive(Clone, Copy)]
enum Form {
    /// Sender with a mark behind it, a colon, and the text.
    Message(&'static str),
    /// Action of the sender.
    Action,
}

impl ChatLoop<'_> {
    /// Shows what was heard.
    pub(super) fn show(&mut self, reply: Reply) {
        self.update_members(&reply);
        if self.options.format == Format::Json {
            let line = to_line(&reply);
            let line = String::from_utf8_lossy(line.trim_ascii_end());
            return self.show_line(&escape::json(&line));
        }
        match reply {
            // A script gets the messages, not the news about members.
            Reply::Joined {
                name: me, members, ..
            } if self.screen.is_terminal() => {
                let others = self.list(&members);
                let (me, room, label) = (self.name(&me), self.in_room(), &self.label);
                self.screen.note(&format!(
                    "you are {me}{room} at {label}; also here: {others}"
                ));
            }
            Reply::Said {
                from,
                text,
                unverified,
                cut,
                age_ms,
                bot,
                action,
                ..
            } => {
                let form = match (unverified, bot, action) {
                    (true, _, _) => Form::Message(" (unverified)"),
                    (false, true, _) => Form::Message(" (bot)"),
                    (false, false, true) => Form::Action,
                    (false, false, false) => Form::Message(""),
                };
                let cut = cut.map(|cut| format!(" [+{cut} bytes]"));
                let text = text + &cut.unwrap_or_default();
                self.show_message(&from, &text, age_ms, form);
            }
            Reply::Whispered { from, text, .. } => {
                self.show_message(&from, &text, None, Form::Message(marks::PRIVATE));
            }
            Reply::Came { name: who, .. } if self.screen.is_terminal() => {
                let who = self.name(&who);
                self.screen.note(&format!("{who} came"));
            }
            Reply::Left { name: who, .. } if self.screen.is_terminal() => {
                let who = self.name(&who);
                self.screen.note(&format!("{who} left"));
            }
            Reply::Missed { messages } => {
                self.screen.note(&format!(
                    "{messages} messages missed: they came too fast, or are no longer kept"
                ));
            }
            Reply::Joined { .. }
            | Reply::Came { .. }
            | Reply::Left { .. }
            | Reply::Accepted { .. }
            | Reply::Started { .. }
            | Reply::Exit { .. }
            | Reply::Jobs { .. }
            | Reply::Pong { .. }
            | Reply::Registered { .. }
            | Reply::Delivered { .. }
            | Reply::Denied {}
            | Reply::Done {}
            | Reply::NoJob {}
            | Reply::Unsupported { .. } => {}
        }
    }

    /// Shows a message on one line.
    fn show_message(&mut self, from: &str, text: &str, age_ms: Option<u64>, form: Form) {
        let text = escape::message(text.as_bytes(), CHAT_TEXT);
        let age = age_ms.map(age::words).unwrap_or_default();
        let (time, from) = (self.style.time(age_ms), self.name(from));
        self.show_line(&match form {
            Form::Message(mark) => format!("{time}{from}{mark}{age}: {text}"),
            // The age stands before the name, where the text cannot imitate it.
            Form::Action => format!("{time}{}{age} {from} {text}", marks::ACTION),
        });
    }

    /// Shows a line. A closed output ends the chat.
    fn show_line(&mut self, line: &str) {
        if self.screen.show(line).is_err() {
            self.leave();
        }
    }

    /// Tracks the members.
    fn update_members(&mut self, reply: &Reply) {
        match reply {
            Reply::Joined { name, members, .. } => {
                self.own_name = Some(name.clone());
                self.members.set(members);
            }
            Reply::Came { name, .. } => self.members.add(name),
            Reply::Left { name, .. } => self.members.remove(name),
            Reply::Said { .. }
            | Reply::Whispered { .. }
            | Reply::Missed { .. }
            | Reply::Accepted { .. }
            | Reply::Started { .. }
            | Reply::Exit { .. }
            | Reply::Jobs { .. }
            | Reply::Pong { .. }
            | Reply::Registered { .. }
            | Reply::Delivered { .. }
            | Reply::Denied {}
            | Reply::Done {}
            | Reply::NoJob {}
            | Reply::Unsupported { .. } => {}
        }
    }

    /// Lists the members.
    pub(super) fn who(&mut self) {
        let others = self.list(&self.members.list());
        let words = match &self.own_name {
            Some(me) => format!(
                "you are {}{}; also here: {others}",
                self.name(me),
                self.in_room()
            ),
            None => format!("not in the chat of {} yet", self.label),
        };
        self.screen.note(&words);
    }

    /// Returns the room as it stands behind the own name.
    fn in_room(&self) -> String {
        let room = self.options.room.as_ref();
        room.map(|room| format!(" in #{room}")).unwrap_or_default()
    }

    /// Returns a name, escaped and in its colour.
    fn name(&self, name: &str) -> String {
        let shown = escape::message(name.as_bytes(), MEMBER_NAME);
        self.style.name(name, &shown)
    }

    /// Returns a list of names, escaped and in their colours.
    fn list(&self, names: &[String]) -> String {
        if names.is_empty() {
            return "nobody else".to_owned();
        }
        let names: Vec<_> = names.iter().map(|member| self.name(member)).collect();
        names.join(", ")
    }
}
