//! The bot of the agent in the front: messages of members for it, and its answers for the chat.
//!
//! Not its process ([`agent::bot`](crate::agent::bot)). Invariants: only a verified message of a member that is no bot starts
//! the command: neither what is typed at the agent nor plain text nor a private message does; the answer goes to the room of
//! the message; the end of its process ends nothing else; it says no more than one key may, and the next command begins when
//! every line of the answer before is said.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use crate::agent::bot::connect;
use crate::agent::chat::{Chat, Line};
use crate::agent::outbox::Outbox;
use crate::bot::{Bot, Event, Message, Outcome};
use crate::time::Instant;

/// The bot of a front.
pub struct FrontBot {
    bot: Bot,
    /// Lines of an answer that are not sent yet.
    answer: VecDeque<String>,
    /// True until the answer to the present message is sent.
    is_answering: bool,
    /// Time at which the next line may be sent, if it comes too early.
    again: Option<Instant>,
}

impl FrontBot {
    /// Returns the bot whose processes come on a channel. `wake` is called when there is an event.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(channel: OwnedFd, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        Ok(Self::of(connect(channel, wake)?))
    }

    const fn of(bot: Bot) -> Self {
        Self {
            bot,
            answer: VecDeque::new(),
            is_answering: false,
            again: None,
        }
    }

    /// Gives the command a line of the chat, if it is a message to answer.
    pub fn hear(&mut self, line: &Line) {
        match line {
            Line::Said {
                from,
                bot: false,
                room,
                ..
            } => {
                let json = format!("{}\n", line.to_json()).into_bytes();
                let room = room.clone();
                self.bot.push(from, Message { room, json });
            }
            Line::Said { .. }
            | Line::Whispered { .. }
            | Line::Plain { .. }
            | Line::Came { .. }
            | Line::Left { .. }
            | Line::Suppressed { .. }
            | Line::NotShown { .. } => {}
        }
    }

    /// Says the answers in a chat, as fast as its rate allows. Failures are logged.
    pub fn answer(&mut self, now: Instant, chat: &mut Chat, outbox: &mut Outbox) {
        if self.again.is_some_and(|again| again > now) {
            return;
        }
        self.again = None;
        loop {
            while let Some(line) = self.answer.pop_front() {
                if let Err(again) = chat.pace_answer(now, line.len()) {
                    self.answer.push_front(line);
                    self.again = Some(again);
                    return;
                }
                chat.on_answer(now, self.bot.room(), line, outbox);
            }
            if std::mem::take(&mut self.is_answering) {
                self.bot.start_next();
            }
            match self.bot.poll() {
                Some(Event::Ended(outcome)) => {
                    self.is_answering = true;
                    self.answer.extend(lines(outcome));
                }
                Some(Event::Dropped(messages)) => tracing::warn!(
                    event = "bot_dropped",
                    "on-message: messages came too fast; not answered: {messages}"
                ),
                // The supervisor is gone, or has another front.
                Some(Event::Gone) => tracing::debug!("on-message: there are no more answers"),
                None => return,
            }
        }
    }

    /// Returns the time at which an answer goes on.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }
}

/// Returns the lines of an outcome. A failure is logged.
fn lines(outcome: Outcome) -> Vec<String> {
    match outcome {
        Outcome::Answered(answer) => {
            if answer.is_cut {
                tracing::warn!(event = "bot_cut", "on-message: the answer was cut");
            }
            answer.lines
        }
        Outcome::Failed(failure) => {
            tracing::warn!(event = "bot_failed", "on-message: {failure}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::limits::{CHAT_BURST, CHAT_MESSAGE_PRICE};
    use crate::bot::{Answer, limits};
    use crate::message::limits::{CHAT_TEXT, MEMBER_NAME};

    #[test]
    fn the_bot_of_an_agent_answers_at_the_rate_of_one_key_and_no_line_is_lost() {
        let (woken, wake) = crossbeam_channel::unbounded();
        let output = "x\n".repeat(limits::ANSWER_LINES);
        let run = move |_: &[u8]| {
            let answer = Answer::new(output.as_bytes(), false);
            Some(Outcome::Answered(answer))
        };
        let bot = Bot::start(run, move || woken.send(()).unwrap()).unwrap();
        let mut bot = FrontBot::of(bot);
        let (mut chat, mut outbox) = (Chat::default(), Outbox::default());
        let message = Line::Said {
            action: false,
            from: "ann".to_owned(),
            text: "hello".to_owned(),
            room: None,
            bot: false,
        };
        let start = Instant::from_micros(1_000_000);
        let mut now = start;
        let messages = 100;
        for _ in 0..messages {
            bot.hear(&message);
            wake.recv().unwrap();
            bot.answer(now, &mut chat, &mut outbox);
            while let Some(again) = bot.poll_timeout() {
                assert!(again > now);
                now = again;
                bot.answer(now, &mut chat, &mut outbox);
            }
        }
        let said = std::iter::from_fn(|| chat.poll_line()).count();
        assert_eq!(said, messages * limits::ANSWER_LINES);
        let worth = CHAT_MESSAGE_PRICE * u32::try_from(said).unwrap();
        let taken = now.since(start);
        assert!(
            taken + CHAT_BURST + Duration::from_millis(100) > worth,
            "{taken:?}"
        );
    }

    #[test]
    fn the_longest_message_of_a_member_fits_into_the_bound_of_its_bot() {
        for character in ['\u{1}', '"', '\u{202e}', '\u{e0001}'] {
            let long = |most: usize| character.to_string().repeat(most / character.len_utf8());
            let message = Line::Said {
                action: false,
                from: long(MEMBER_NAME),
                text: long(CHAT_TEXT),
                room: None,
                bot: false,
            };
            let length = message.to_json().len() as u64;
            assert!(length < limits::MESSAGE, "{character:?}: {length}");
        }
    }
}
