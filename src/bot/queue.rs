//! A bot: which message its command gets next, and the threads that run it.
//!
//! Invariants: one message of a room is with a thread at a time, and of a key no more than [`limits::CONCURRENT_PER_KEY`];
//! rooms do not wait for each other while a thread is free and the key has fewer than these; nothing waits for a thread; each
//! message that is left out is in a count that is reported.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::waiting::{Message, Next, Waiting};
use super::{Outcome, limits};
use crate::message::{RoomName, key_of_member};

/// Event of a bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A command has ended. The next one of its room begins with [`Bot::finish_answer`].
    Ended(Slot, Outcome),
    /// Messages were left out, because too many waited.
    Dropped(u64),
    /// A thread has ended: there are no more answers.
    Gone,
}

/// Number of one of the commands that run at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(usize);

/// A bot: the messages that wait, and its threads.
#[derive(Debug)]
pub struct Bot {
    workers: Vec<Worker>,
    waiting: Waiting,
    is_gone: bool,
    /// Messages that were left out since the last report.
    dropped: u64,
    reported: Option<Instant>,
}

/// A thread that runs the command.
#[derive(Debug)]
struct Worker {
    messages: Sender<Vec<u8>>,
    outcomes: Receiver<Outcome>,
    /// Room and key of the message that is with the thread, or whose outcome is not done with.
    busy: Option<(Option<RoomName>, String)>,
    /// True once it has had a message.
    was_used: bool,
}

impl Worker {
    fn start(
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
            busy: None,
            was_used: false,
        })
    }
}

impl Bot {
    /// Starts a thread for each of `runs`, which returns the outcome for a message, or `None` if there is none and will be
    /// none. `wake` is called after each. The threads end when the bot is dropped.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start<R>(
        runs: impl IntoIterator<Item = R>,
        wake: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self>
    where
        R: FnMut(&[u8]) -> Option<Outcome> + Send + 'static,
    {
        let runs = runs.into_iter();
        let workers = runs.map(|run| Worker::start(run, wake.clone()));
        Ok(Self {
            workers: workers.collect::<io::Result<_>>()?,
            waiting: Waiting::default(),
            is_gone: false,
            dropped: 0,
            reported: None,
        })
    }

    /// Adds a message of a member.
    pub fn push(&mut self, member: &str, message: Message) {
        if self.is_gone {
            return;
        }
        self.dropped += u64::from(!self.waiting.push(key_of_member(member), message));
        self.start_next();
    }

    /// Notes that the answer of a command is sent. The next message of its room may be given to a thread.
    pub fn finish_answer(&mut self, slot: Slot) {
        self.workers[slot.0].busy = None;
        self.start_next();
    }

    /// Gives messages to free threads.
    fn start_next(&mut self) {
        while let Some(free) = self.workers.iter().position(|one| one.busy.is_none()) {
            let busy = || self.workers.iter().filter_map(|one| one.busy.as_ref());
            let may_run = |room: Option<&RoomName>, key: &str| {
                let of_key = busy().filter(|(_, other)| other == key).count();
                of_key < limits::CONCURRENT_PER_KEY
                    && busy().all(|(other, _)| other.as_ref() != room)
            };
            let Some(Next { room, key, json }) = self.waiting.pop(may_run) else {
                return;
            };
            let worker = &mut self.workers[free];
            worker.was_used = true;
            worker.busy = Some((room, key));
            // An error is the end of the thread, which `poll` reports.
            let _ = worker.messages.send(json);
        }
    }

    /// Returns the room of a command.
    #[must_use]
    pub fn room(&self, slot: Slot) -> Option<&RoomName> {
        self.workers[slot.0].busy.as_ref()?.0.as_ref()
    }

    /// Number of threads that have had a message.
    #[must_use]
    pub fn used(&self) -> usize {
        self.workers.iter().filter(|one| one.was_used).count()
    }

    /// Number of messages that have no answer and were not reported: those that wait, are with a thread or were left out.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        let busy = self.workers.iter().filter(|one| one.busy.is_some()).count();
        self.dropped + (self.waiting.len() + busy) as u64
    }

    /// Returns the next event.
    pub fn poll(&mut self) -> Option<Event> {
        let is_busy = self.workers.iter().any(|one| one.busy.is_some());
        let is_idle = !is_busy && self.waiting.is_empty();
        let is_due = |at: Instant| at.elapsed() >= limits::DROPS_INTERVAL;
        if self.dropped > 0 && (is_idle || self.reported.is_none_or(is_due)) {
            self.reported = Some(Instant::now());
            return Some(Event::Dropped(std::mem::take(&mut self.dropped)));
        }
        let mut has_ended = false;
        for (slot, worker) in self.workers.iter().enumerate() {
            match worker.outcomes.try_recv() {
                Ok(outcome) => return Some(Event::Ended(Slot(slot), outcome)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => has_ended = true,
            }
        }
        let is_new = has_ended && !self.is_gone;
        self.is_gone |= has_ended;
        is_new.then_some(Event::Gone)
    }

    /// Waits until the threads have ended, for at most `time`. Their commands must have been canceled.
    pub fn finish(self, time: Duration) {
        let until = Instant::now() + time;
        let ends = self.workers.into_iter().map(|worker| worker.outcomes);
        // Every sender of messages is dropped before the first wait.
        for outcomes in ends.collect::<Vec<_>>() {
            while outcomes.recv_deadline(until).is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::bot::Answer;

    fn message(room: Option<&str>, json: &str) -> Message {
        let room = room.map(|room| room.parse().unwrap());
        let json = json.as_bytes().to_vec();
        Message { room, json }
    }

    fn answer(message: &[u8]) -> Outcome {
        Outcome::Answered(Answer::new(message, false))
    }

    const LONG: Duration = Duration::from_secs(60);

    fn next_event(bot: &mut Bot) -> Event {
        let until = Instant::now() + LONG;
        loop {
            if let Some(event) = bot.poll() {
                return event;
            }
            assert!(Instant::now() < until, "there is no event");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_bot_is_given_one_message_of_a_room_at_a_time_and_the_surplus_is_counted() {
        let (go, wait) = bounded::<()>(0);
        let run = |_| {
            let wait = wait.clone();
            move |message: &[u8]| {
                wait.recv().ok()?;
                Some(answer(message))
            }
        };
        let mut bot = Bot::start((0..2).map(run), || {}).unwrap();
        drop(wait);
        let surplus = 5;
        let all = 1 + limits::WAITING + surplus;
        for number in 0..all {
            bot.push("ann", message(None, &number.to_string()));
        }
        assert_eq!(bot.poll(), Some(Event::Dropped(surplus as u64)));
        bot.push("ann", message(None, "surplus"));
        assert_eq!(bot.poll(), None, "reported later");
        assert_eq!(bot.used(), 1);
        for number in 0..all - surplus {
            go.send(()).unwrap();
            let expected = answer(number.to_string().as_bytes());
            assert_eq!(next_event(&mut bot), Event::Ended(Slot(0), expected));
            assert_eq!(bot.poll(), None);
            bot.finish_answer(Slot(0));
        }
        assert_eq!(bot.poll(), Some(Event::Dropped(1)));
        drop(go);
        bot.push("ann", message(None, "x"));
        assert_eq!(next_event(&mut bot), Event::Gone);
        assert_eq!(bot.poll(), None);
        bot.push("ann", message(None, "y"));
        assert_eq!(bot.poll(), None);
    }

    /// A bot whose commands report their message when they begin and end when their sender does.
    fn held(slots: usize) -> (Bot, mpsc::Receiver<(String, mpsc::Sender<()>)>) {
        let (begun, begins) = mpsc::channel();
        let run = move |_| {
            let begun = begun.clone();
            move |message: &[u8]| {
                let (end, ended) = mpsc::channel();
                let text = String::from_utf8(message.to_vec()).unwrap();
                begun.send((text, end)).ok()?;
                let _ = ended.recv();
                Some(answer(message))
            }
        };
        (Bot::start((0..slots).map(run), || {}).unwrap(), begins)
    }

    /// Keys whose messages are with threads, or whose outcomes are not done with.
    fn busy(bot: &Bot) -> impl Iterator<Item = &str> {
        let busy = bot.workers.iter().filter_map(|one| one.busy.as_ref());
        busy.map(|(_, key)| &key[..])
    }

    #[test]
    fn a_command_that_hangs_in_one_room_delays_no_other_room() {
        let (mut bot, begins) = held(2);
        bot.push("ann", message(Some("slow"), "slow0"));
        bot.push("bob", message(Some("slow"), "slow1"));
        let (text, slow) = begins.recv_timeout(LONG).unwrap();
        assert_eq!(text, "slow0");
        for number in 0..100 {
            let text = format!("fast{number}");
            bot.push("cy", message(None, &text));
            let (begun, end) = begins.recv_timeout(LONG).unwrap();
            assert_eq!(begun, text);
            drop(end);
            let Event::Ended(slot, outcome) = next_event(&mut bot) else {
                panic!("{text}")
            };
            assert_eq!((outcome, bot.room(slot)), (answer(text.as_bytes()), None));
            bot.finish_answer(slot);
        }
        drop(slow);
        let Event::Ended(slot, _) = next_event(&mut bot) else {
            panic!("it has ended")
        };
        assert_eq!(bot.room(slot).unwrap().as_str(), "slow");
        // The answer before is not sent yet.
        assert_eq!(busy(&bot).collect::<Vec<_>>(), ["ann"]);
        assert!(!bot.waiting.is_empty());
        bot.finish_answer(slot);
        assert_eq!(begins.recv_timeout(LONG).unwrap().0, "slow1");
    }

    #[test]
    fn one_key_in_many_rooms_leaves_threads_of_a_bot_for_the_others() {
        let (mut bot, begins) = held(limits::CONCURRENT);
        for number in 0..2 * limits::CONCURRENT {
            bot.push("ann", message(Some(&format!("room{number}")), "ann"));
        }
        bot.push("bob", message(None, "bob"));
        let mut running: Vec<_> = (0..=limits::CONCURRENT_PER_KEY)
            .map(|_| begins.recv_timeout(LONG).unwrap())
            .collect();
        let of_ann = running.iter().filter(|(text, _)| text == "ann").count();
        assert_eq!(of_ann, limits::CONCURRENT_PER_KEY);
        assert_eq!(bot.used(), limits::CONCURRENT_PER_KEY + 1);
        // In a room where ann waits, too, another key is first.
        bot.push("cy", message(Some("room9"), "cy"));
        running.push(begins.recv_timeout(LONG).unwrap());
        assert_eq!(running.last().unwrap().0, "cy");
        let of_ann = busy(&bot).filter(|key| *key == "ann").count();
        assert_eq!(of_ann, limits::CONCURRENT_PER_KEY);
        assert_eq!(busy(&bot).count(), limits::CONCURRENT_PER_KEY + 2);
        assert!(!bot.waiting.is_empty());
    }
}
