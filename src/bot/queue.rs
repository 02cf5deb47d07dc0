//! The queue of messages for the command of a bot, and the thread that runs it.
//!
//! Invariants: one message is with the thread at a time; nothing waits for it; a message is left out only if
//! [`limits::WAITING`] wait, and each that is left out is in a count that is reported.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::{Outcome, limits};

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

/// A bot: the messages that wait, and its thread.
#[derive(Debug)]
pub struct Bot {
    messages: Sender<Vec<u8>>,
    outcomes: Receiver<Outcome>,
    waiting: VecDeque<Vec<u8>>,
    /// True while a message is with the thread, or its outcome is not done with.
    is_busy: bool,
    is_gone: bool,
    /// Messages that were left out since the last report.
    dropped: u64,
    reported: Option<Instant>,
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
            waiting: VecDeque::new(),
            is_busy: false,
            is_gone: false,
            dropped: 0,
            reported: None,
        })
    }

    /// Adds a message: a line of JSON.
    pub fn push(&mut self, message: Vec<u8>) {
        if self.waiting.len() < limits::WAITING {
            self.waiting.push_back(message);
        } else {
            self.dropped += 1;
        }
        if !self.is_busy {
            self.start_next();
        }
    }

    /// Gives the next message to the thread, after the outcome of the one before.
    pub fn start_next(&mut self) {
        self.is_busy = match self.waiting.pop_front() {
            // An error is the end of the thread, which `poll` reports.
            Some(message) => self.messages.send(message).is_ok(),
            None => false,
        };
    }

    /// Returns the next event.
    pub fn poll(&mut self) -> Option<Event> {
        let is_idle = !self.is_busy && self.waiting.is_empty();
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
            bot.push(number.to_string().into_bytes());
        }
        assert_eq!(bot.poll(), Some(Event::Dropped(surplus as u64)));
        bot.push(b"surplus".to_vec());
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
        bot.push(b"x".to_vec());
        assert_eq!(next_event(&mut bot), Event::Gone);
        assert_eq!(bot.poll(), None);
    }
}
