//! The bot of the agent in the front: messages of members for it, and its answers for the chat.
//!
//! Not its process ([`agent::bot`](crate::agent::bot)). Invariants: only a verified message of a member that is no bot starts
//! the command: neither what is typed at the agent nor plain text nor a private message does; the answer goes to the room of
//! the message; the end of its process ends nothing else; it says no more than one key may, in rooms in turn, and the next command
//! of a room begins when every line of the answer before is said there.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use crate::agent::bot::connect;
use crate::agent::chat::{Chat, Line};
use crate::agent::outbox::Outbox;
use crate::bot::{Bot, Event, Message, Outcome, Slot};
use crate::message::RoomName;
use crate::time::Instant;

/// The bot of a front.
pub struct FrontBot {
    bot: Bot,
    /// Lines of answers that are not sent yet, in the order of their turns.
    answers: VecDeque<(Slot, VecDeque<String>)>,
    /// Time at which the next line may be sent, if it comes too early.
    again: Option<Instant>,
    /// Number of processes that the supervisor was asked for.
    processes: usize,
}

impl FrontBot {
    /// Returns the bot whose processes come on a channel. `wake` is called when there is an event.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(channel: OwnedFd, wake: impl Fn() + Clone + Send + 'static) -> io::Result<Self> {
        Ok(Self::of(connect(channel, wake)?))
    }

    const fn of(bot: Bot) -> Self {
        Self {
            bot,
            answers: VecDeque::new(),
            again: None,
            processes: 1,
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
        loop {
            while let Some(event) = self.bot.poll() {
                self.on_event(event);
            }
            if self.answers.is_empty() || self.again.is_some_and(|again| again > now) {
                return;
            }
            self.again = None;
            self.say(now, chat, outbox);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Ended(slot, outcome) => {
                let lines = lines(outcome, self.bot.room(slot));
                self.answers.push_back((slot, lines.into()));
            }
            Event::Dropped(messages) => tracing::warn!(
                event = "bot_dropped",
                "on-message: messages came too fast; not answered: {messages}"
            ),
            // The supervisor is gone, or has another front.
            Event::Gone => tracing::debug!("on-message: there are no more answers"),
        }
    }

    /// Says a line of each answer in turn, until all are said or the next one comes too early.
    fn say(&mut self, now: Instant, chat: &mut Chat, outbox: &mut Outbox) {
        while let Some((slot, mut lines)) = self.answers.pop_front() {
            if let Some(line) = lines.pop_front() {
                if let Err(again) = chat.pace_answer(now, line.len()) {
                    lines.push_front(line);
                    self.answers.push_front((slot, lines));
                    self.again = Some(again);
                    return;
                }
                chat.on_answer(now, self.bot.room(slot), line, outbox);
            }
            if lines.is_empty() {
                self.bot.finish_answer(slot);
            } else {
                self.answers.push_back((slot, lines));
            }
        }
    }

    /// Returns the number of processes that are needed, if it has grown.
    pub fn poll_processes(&mut self) -> Option<usize> {
        let used = self.bot.used();
        let has_grown = used > self.processes;
        self.processes = self.processes.max(used);
        has_grown.then_some(used)
    }

    /// Logs the messages that this front does not answer any more.
    pub fn note_unanswered(&self) {
        let messages = self.bot.unanswered();
        if messages > 0 {
            tracing::warn!(
                event = "bot_dropped",
                "on-message: not answered, as the agent is reloaded or ends: {messages}"
            );
        }
    }

    /// Returns the time at which an answer goes on.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }
}

/// Returns the lines of an outcome. A failure is logged.
fn lines(outcome: Outcome, room: Option<&RoomName>) -> Vec<String> {
    let room = room.map_or_else(String::new, |room| format!(" in room {room}"));
    match outcome {
        Outcome::Answered(answer) => {
            if answer.is_cut {
                tracing::warn!(event = "bot_cut", "on-message{room}: the answer was cut");
            }
            answer.lines
        }
        Outcome::Failed(failure) => {
            tracing::warn!(event = "bot_failed", "on-message{room}: {failure}");
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
        let bot = Bot::start([run], move || woken.send(()).unwrap()).unwrap();
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
    fn the_answers_of_a_bot_in_two_rooms_are_said_in_turn() {
        let (woken, wake) = crossbeam_channel::unbounded();
        let run = |_| |_: &[u8]| Some(Outcome::Answered(Answer::new(b"1\n2\n3\n", false)));
        let bot = Bot::start((0..2).map(run), move || woken.send(()).unwrap()).unwrap();
        let mut bot = FrontBot::of(bot);
        assert_eq!(bot.poll_processes(), None);
        let build: RoomName = "build".parse().unwrap();
        for room in [None, Some(build)] {
            bot.hear(&Line::Said {
                action: false,
                from: "ann".to_owned(),
                text: "hello".to_owned(),
                room,
                bot: false,
            });
            wake.recv().unwrap();
        }
        assert_eq!(bot.poll_processes(), Some(2));
        assert_eq!(bot.poll_processes(), None);
        let (mut chat, mut outbox) = (Chat::default(), Outbox::default());
        bot.answer(Instant::from_micros(1), &mut chat, &mut outbox);
        let said = std::iter::from_fn(|| chat.poll_line()).map(|line| match line {
            Line::Said { room, text, .. } => match room {
                Some(room) => format!("{room} {text}"),
                None => text,
            },
            other => panic!("{other:?}"),
        });
        let said: Vec<_> = said.collect();
        assert_eq!(said, ["1", "build 1", "2", "build 2", "3", "build 3"]);
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
