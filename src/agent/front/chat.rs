//! The part of the front's loop that serves the chat: typed lines and answers of the bot in, the history out.
//!
//! Not the chat itself. Invariants: what was typed before the agent is told to end is said before it ends; a line that a front
//! has read is said by it, and kept by the supervisor, before another front takes its place.

use super::terminal::Typed;
use super::thread::Thread;
use crate::agent::ipc::ToSupervisor;
use crate::time::Instant;

impl Thread {
    /// Processes what was typed.
    pub(super) fn take_typed(&mut self, now: Instant) {
        let Some(typed) = &self.typed else { return };
        // Bounded by the capacity of the channel.
        for typed in typed.take() {
            match typed {
                Typed::Line(line) => {
                    let (chat, outbox) = self.service.chat();
                    chat.on_typed(now, &line, outbox);
                }
                Typed::Quit => self.service.processes().send(&ToSupervisor::ShutDown),
            }
        }
        self.execute_commands();
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
        if let Some(typed) = self.typed.take() {
            self.say_last(now, typed.end());
        }
    }

    /// Says what was read of the input before another front takes the place of this one, and lets all of the chat be kept.
    pub(super) fn leave(&mut self, now: Instant) {
        if let Some(typed) = self.typed.take() {
            self.say_last(now, typed.leave());
        }
        self.execute_commands();
        self.queue_history();
        self.service.processes().flush_all();
    }

    fn say_last(&mut self, now: Instant, typed: impl Iterator<Item = Typed>) {
        for typed in typed {
            match typed {
                Typed::Line(line) => {
                    let (chat, outbox) = self.service.chat();
                    chat.on_typed(now, &line, outbox);
                }
                // It has no effect on an agent that ends already.
                Typed::Quit => self.service.processes().send(&ToSupervisor::ShutDown),
            }
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
