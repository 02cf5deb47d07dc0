//! The bot of the agent in the front: messages of members for it, and its answers for the chat.
//!
//! Not its process ([`agent::bot`](crate::agent::bot)). Invariants: only a verified message of a member in the
//! default room that is no bot starts the command: neither what is typed at the agent nor plain text does; the end of its
//! process ends nothing else.

use std::io;
use std::os::fd::OwnedFd;

use crate::agent::bot::connect;
use crate::agent::chat::Line;
use crate::bot::{Bot, Event, Outcome};

/// The bot of a front.
pub struct FrontBot(Bot);

impl FrontBot {
    /// Returns the bot whose processes come on a channel. `wake` is called when there is an event.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(channel: OwnedFd, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        connect(channel, wake).map(Self)
    }

    /// Gives the command a line of the chat, if it is a message to answer.
    pub fn hear(&mut self, line: &Line) {
        match line {
            Line::Said {
                bot: false,
                room: None,
                ..
            } => {
                self.0.push(format!("{}\n", line.to_json()).into_bytes());
            }
            Line::Said { .. }
            | Line::Plain { .. }
            | Line::Came { .. }
            | Line::Left { .. }
            | Line::Suppressed { .. }
            | Line::NotShown { .. } => {}
        }
    }

    /// Returns the lines of the next answers. Failures are logged.
    pub fn poll(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(event) = self.0.poll() {
            match event {
                Event::Ended(outcome) => {
                    self.0.start_next();
                    match outcome {
                        Outcome::Answered(answer) => {
                            if answer.is_cut {
                                tracing::warn!(event = "bot_cut", "on-message: the answer was cut");
                            }
                            lines.extend(answer.lines);
                        }
                        Outcome::Failed(failure) => {
                            tracing::warn!(event = "bot_failed", "on-message: {failure}");
                        }
                    }
                }
                Event::Dropped(messages) => tracing::warn!(
                    event = "bot_dropped",
                    "on-message: messages came too fast; not answered: {messages}"
                ),
                // The supervisor is gone, or has another front.
                Event::Gone => tracing::debug!("on-message: there are no more answers"),
            }
        }
        lines
    }
}
