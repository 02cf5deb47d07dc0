//! Messages that are not of members: lines typed at the agent, answers of its bot, and plain text.
//!
//! Invariant: plain text is marked as unverified and is not kept, and neither are answers.

use bytes::Bytes;

use super::history::Earlier;
use super::line::Line;
use super::{Author, Chat, Content};
use crate::agent::limits;
use crate::agent::outbox::Outbox;
use crate::message::{Reply, RoomName, marks};
use crate::net::PlainText;
use crate::session::Path;
use crate::time::Instant;

impl Chat {
    /// Processes a line typed at the agent.
    pub fn on_typed(&mut self, now: Instant, text: &str, outbox: &mut Outbox) {
        if !text.is_empty() {
            self.say_typed(now, text, false, outbox);
        }
    }

    /// Processes an action of the agent's user.
    pub fn on_typed_action(&mut self, now: Instant, text: &str, outbox: &mut Outbox) {
        self.say_typed(now, text, true, outbox);
    }

    fn say_typed(&mut self, now: Instant, text: &str, action: bool, outbox: &mut Outbox) {
        let said = Earlier::new(0, None, &self.name, text);
        let position = self.history.add(now, Earlier { action, ..said });
        let said = Reply::Said {
            from: self.name.clone(),
            text: text.to_owned(),
            unverified: false,
            cut: None,
            age_ms: None,
            room: None,
            bot: false,
            action,
            position,
        };
        self.broadcast(None, None, &said, outbox);
        let datagram = Bytes::from(if action {
            format!("{} {} {text}\n", marks::ACTION, self.name)
        } else {
            format!("{text}\n")
        });
        for path in self.plain.audience(now) {
            if self.datagrams.len() < limits::CHAT_DRAIN {
                self.datagrams.push_back((path, datagram.clone()));
            }
        }
    }

    /// Counts a line of `bytes` bytes of the agent's bot, whose rate is that of one key.
    ///
    /// # Errors
    /// Time at which it may be tried again, if it comes too early.
    pub fn pace_answer(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        self.pace.take_of_bot(now, bytes)
    }

    /// Processes a line that the agent's bot answers in a room.
    pub fn on_answer(
        &mut self,
        now: Instant,
        room: Option<&RoomName>,
        text: String,
        outbox: &mut Outbox,
    ) {
        let author = Author {
            name: self.name.clone(),
            room: room.cloned(),
            bot: true,
            id: None,
        };
        let content = Content {
            text,
            action: false,
        };
        // It has the length of a message at most.
        let _ = self.say(now, None, author, content, outbox);
    }

    /// Processes a datagram of plain text. `text` is the beginning of its `length` bytes.
    pub fn on_plain(
        &mut self,
        now: Instant,
        path: Path,
        text: Bytes,
        length: usize,
        outbox: &mut Outbox,
    ) {
        let words = PlainText {
            text: &text,
            length,
        };
        let cut = words.cut();
        let words = String::from_utf8_lossy(words.trimmed()).into_owned();
        if words.is_empty() {
            return;
        }
        if let Some(reply) = self.plain.on_text(now, path, &text, length)
            && self.datagrams.len() < limits::CHAT_DRAIN
        {
            self.datagrams.push_back((path, reply));
        }
        let said = Reply::Said {
            from: path.remote.to_string(),
            text: words,
            unverified: true,
            cut,
            age_ms: None,
            room: None,
            bot: false,
            action: false,
            position: None,
        };
        self.broadcast(None, None, &said, outbox);
        self.show(Line::Plain {
            remote: path.remote,
            text,
            length,
        });
    }
}
