//! The bot of a chat (`--on-message`): the messages that its command gets, and the answers that are sent.
//!
//! Not the command itself ([`bot`](crate::bot)). Invariants: an earlier message, and one of another bot, of this session or of
//! an unverified peer starts nothing; the next command begins when every line of the answer before is on its way.

use std::collections::VecDeque;
use std::io::{self, PipeWriter, pipe};
use std::os::fd::AsFd as _;

use crossbeam_channel::{Receiver, bounded};

use super::ChatLoop;
use crate::bot::{self, Bot, Command, Event, Message, Outcome, Slot};
use crate::control::chat_client::Kind;
use crate::control::limits;
use crate::escape;
use crate::message::{Reply, to_line};

/// The bot of a chat.
pub(super) struct ChatBot {
    bot: Bot,
    /// Receives when there is an event.
    woken: Receiver<()>,
    /// Lines of an answer that are not sent yet.
    answer: VecDeque<String>,
    /// True if the input of the chat has ended, in which it stays.
    pub(super) input_ended: bool,
    /// Command whose answer is not sent yet.
    answering: Option<Slot>,
    /// Closed at the end; the command is killed then.
    held: PipeWriter,
}

impl ChatBot {
    /// Starts the thread of a bot.
    ///
    /// # Errors
    /// The system has no thread or descriptor left.
    pub(super) fn start(command: Command) -> io::Result<Self> {
        let (canceled, held) = pipe()?;
        let run = move |message: &[u8]| bot::run(&command, message, canceled.as_fd());
        let (wake, woken) = bounded(1);
        let wake = move || {
            // A full channel reports the same.
            let _ = wake.try_send(());
        };
        Ok(Self {
            // One thread: a chat has one room.
            bot: Bot::start([run], wake)?,
            woken,
            answer: VecDeque::new(),
            input_ended: false,
            answering: None,
            held,
        })
    }

    /// Channel that receives when [`ChatLoop::on_bot`] has something to do.
    pub(super) const fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    /// Gives the command what was heard, if it is a message to answer.
    pub(super) fn hear(&mut self, reply: &Reply) {
        let Reply::Said {
            from,
            unverified: false,
            bot: false,
            age_ms: None,
            ..
        } = reply
        else {
            return;
        };
        let line = to_line(reply);
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        let message = format!("{}\n", escape::json(&line));
        // The answer goes to the room of the chat.
        let (room, json) = (None, message.into_bytes());
        self.bot.push(from, Message { room, json });
    }

    /// Kills the command that runs. One that cannot be killed is left behind.
    pub(super) fn end(self) {
        drop(self.held);
        self.bot.finish(limits::BOT_END);
    }
}

impl ChatLoop<'_> {
    /// Processes the events of the bot, and sends its answer as far as there is room.
    pub(super) fn on_bot(&mut self) {
        let Some(bot) = &mut self.bot else { return };
        while !self.leaving {
            while self.chat.has_room()
                && let Some(line) = bot.answer.pop_front()
            {
                // A line of an answer is not longer than a message.
                let _ = self.chat.say_as(Kind::Answer, line);
            }
            if !bot.answer.is_empty() {
                return;
            }
            if let Some(slot) = bot.answering.take() {
                bot.bot.finish_answer(slot);
            }
            match bot.bot.poll() {
                Some(Event::Ended(slot, Outcome::Answered(answer))) => {
                    bot.answering = Some(slot);
                    if answer.is_cut {
                        self.screen.note("--on-message: the answer was cut");
                    }
                    bot.answer.extend(answer.lines);
                }
                Some(Event::Ended(slot, Outcome::Failed(failure))) => {
                    bot.answering = Some(slot);
                    self.screen.note(&format!("--on-message: {failure}"));
                }
                Some(Event::Dropped(messages)) => {
                    let words = "messages came too fast; not answered";
                    self.screen
                        .note(&format!("--on-message: {words}: {messages}"));
                }
                // Its thread ends only after this loop.
                Some(Event::Gone) | None => return,
            }
        }
    }
}
