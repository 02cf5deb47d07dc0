//! The queue of messages for the command of a bot, and the thread that runs it.
//!
//! Invariants: one message is with the thread at a time; nothing waits for it; a message is left out only if
//! [`limits::WAITING`] wait and no key has more of them than its own, and each that is left out is in a count that is reported;
//! keys take turns.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::{Outcome, limits};
use crate::message::{RoomName, key_of_member};

/// Event of a bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A command has ended. The next one begins with [`Bot::start_next`].
    Ended(Outcome),
    /// Messages were left out, because too many waited.
    Dropped(u64),
    /// The thread has ended: there are no more answers.
    Gone,
}

/// Message for the command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Room that it was said in, and that the answer goes to; `None` is the default room.
    pub room: Option<RoomName>,
    /// Line of JSON.
    pub json: Vec<u8>,
}

/// A bot: the messages that wait, and its thread.
#[derive(Debug)]
pub struct Bot {
    messages: Sender<Vec<u8>>,
    outcomes: Receiver<Outcome>,
    waiting: Waiting,
    /// Room of the message that is with the thread.
    room: Option<RoomName>,
    /// True while a message is with the thread, or its outcome is not done with.
    is_busy: bool,
    is_gone: bool,
    /// Messages that were left out since the last report.
    dropped: u64,
    reported: Option<Instant>,
}

/// Messages that wait, by the names of their keys in the order of their turns. None is empty.
#[derive(Default, Debug)]
struct Waiting {
    keys: VecDeque<(String, VecDeque<Message>)>,
    count: usize,
}

impl Waiting {
    /// Adds a message. Returns false if one is left out: this one, or the newest of the key that has most.
    fn push(&mut self, key: &str, message: Message) -> bool {
        let own = self.keys.iter().position(|(name, _)| name == key);
        let of_own = own.map_or(0, |own| self.keys[own].1.len());
        let is_full = self.count >= limits::WAITING;
        if is_full {
            let most = self.keys.iter_mut().max_by_key(|(_, queue)| queue.len());
            match most {
                // It keeps at least one: it has more than the other.
                Some((_, queue)) if queue.len() > of_own + 1 => queue.pop_back(),
                _ => return false,
            };
            self.count -= 1;
        }
        self.count += 1;
        match own {
            Some(own) => self.keys[own].1.push_back(message),
            None => self.keys.push_back((key.to_owned(), [message].into())),
        }
        !is_full
    }

    fn pop(&mut self) -> Option<Message> {
        let (key, mut queue) = self.keys.pop_front()?;
        let message = queue.pop_front()?;
        self.count -= 1;
        if !queue.is_empty() {
            self.keys.push_back((key, queue));
        }
        Some(message)
    }
}

impl Bot {
    /// Starts the thread. `run` returns the outcome for a message, or `None` if there is none and will be none; `wake` is
    /// called after each. The thread ends when the bot is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        mut run: impl FnMut(&[u8]) -> Option<Outcome> + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (messages, queue) = bounded::<Vec<u8>>(1);
        let (sender, outcomes) = bounded(1);
        std::thread::Builder::new()
            .name("bot".into())
            .spawn(move || {
                for message in queue {
                    let outcome = run(&message);
                    let is_last = outcome.is_none_or(|outcome| sender.send(outcome).is_err());
                    if is_last {
                        break;
                    }
                    wake();
                }
                drop(sender);
                wake();
            })?;
        Ok(Self {
            messages,
            outcomes,
            waiting: Waiting::default(),
            room: None,
            is_busy: false,
            is_gone: false,
            dropped: 0,
            reported: None,
        })
    }

    /// Adds a message of a member.
    pub fn push(&mut self, member: &str, message: Message) {
        self.dropped += u64::from(!self.waiting.push(key_of_member(member), message));
        if !self.is_busy {
            self.start_next();
        }
    }

    /// Gives the next message to the thread, after the outcome of the one before.
    pub fn start_next(&mut self) {
        self.is_busy = match self.waiting.pop() {
            // An error is the end of the thread, which `poll` reports.
            Some(Message { room, json }) => {
                self.room = room;
                self.messages.send(json).is_ok()
            }
            None => false,
        };
    }

    /// Returns the room of the message that has an outcome.
    #[must_use]
    pub const fn room(&self) -> Option<&RoomName> {
        self.room.as_ref()
    }

    /// Returns the next event.
    pub fn poll(&mut self) -> Option<Event> {
        let is_idle = !self.is_busy && self.waiting.count == 0;
        let is_due = |at: Instant| at.elapsed() >= limits::DROPS_INTERVAL;
        if self.dropped > 0 && (is_idle || self.reported.is_none_or(is_due)) {
            self.reported = Some(Instant::now());
            return Some(Event::Dropped(std::mem::take(&mut self.dropped)));
        }
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(Event::Ended(outcome)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) if self.is_gone => None,
            Err(TryRecvError::Disconnected) => {
                self.is_gone = true;
                Some(Event::Gone)
            }
        }
    }

    /// Waits until the thread has ended, for at most `time`. Its command must have been canceled.
    pub fn finish(self, time: Duration) {
        drop(self.messages);
        let until = Instant::now() + time;
        while self.outcomes.recv_deadline(until).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::Answer;

    fn message(json: String) -> Message {
        let (room, json) = (None, json.into_bytes());
        Message { room, json }
    }

    fn next_event(bot: &mut Bot) -> Event {
        loop {
            if let Some(event) = bot.poll() {
                return event;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_bot_is_given_one_message_at_a_time_and_the_surplus_is_counted() {
        let (go, wait) = bounded::<()>(0);
        let echo = move |message: &[u8]| {
            wait.recv().ok()?;
            Some(Outcome::Answered(Answer::new(message, false)))
        };
        let mut bot = Bot::start(echo, || {}).unwrap();
        let surplus = 5;
        let all = 1 + limits::WAITING + surplus;
        for number in 0..all {
            bot.push("ann", message(number.to_string()));
        }
        assert_eq!(bot.poll(), Some(Event::Dropped(surplus as u64)));
        bot.push("ann", message("surplus".to_owned()));
        assert_eq!(bot.poll(), None, "reported later");
        for number in 0..all - surplus {
            go.send(()).unwrap();
            let answer = Answer::new(number.to_string().as_bytes(), false);
            let ended = Event::Ended(Outcome::Answered(answer));
            assert_eq!(next_event(&mut bot), ended);
            assert_eq!(bot.poll(), None);
            bot.start_next();
        }
        assert_eq!(bot.poll(), Some(Event::Dropped(1)));
        drop(go);
        bot.push("ann", message("x".to_owned()));
        assert_eq!(next_event(&mut bot), Event::Gone);
        assert_eq!(bot.poll(), None);
    }

    #[test]
    fn keys_take_turns_at_a_bot_and_none_keeps_the_messages_of_another_from_it() {
        let mut waiting = Waiting::default();
        let mut left_out = 0;
        let mut push = |member: &str, json: String| {
            left_out += usize::from(!waiting.push(key_of_member(member), message(json)));
        };
        for number in 0..100 {
            let member = ["ann", "ann#2", "bob(ann)", "(ann)"][number % 4];
            push(member, format!("ann{number}"));
        }
        for number in 0..100 {
            push("cy", format!("cy{number}"));
        }
        push("dan", "dan0".to_owned());
        assert_eq!(left_out, 201 - limits::WAITING);
        let all = std::iter::from_fn(|| waiting.pop());
        let all: Vec<_> = all
            .map(|one| String::from_utf8(one.json).unwrap())
            .collect();
        assert_eq!(all.len(), limits::WAITING);
        assert_eq!(all[..5], ["ann0", "cy0", "dan0", "ann1", "cy1"]);
        let of = |key: &str| all.iter().filter(|one| one.starts_with(key)).count();
        assert_eq!(of("ann").abs_diff(of("cy")), 1, "{all:?}");
    }
}
