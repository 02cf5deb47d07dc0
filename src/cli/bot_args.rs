//! The options of a bot, which both programs have.

use std::time::Duration;

use clap::Args;

use crate::bot::{Command, Words, limits};
use crate::duration;

/// Options of a bot.
#[derive(Args, Clone, Debug)]
pub struct BotArgs {
    /// Run CMD for each message of the chat, with the message as JSON on its stdin, and send what it prints; words are split as
    /// in a shell, but no shell is run
    #[arg(long, value_name = "CMD")]
    pub on_message: Option<Words>,
    /// Kill CMD after TIME without an answer [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub on_message_timeout: Option<Duration>,
}

impl BotArgs {
    /// Returns the command of the bot, if there is one.
    pub fn command(&self) -> Option<Command> {
        Some(Command {
            words: self.on_message.clone()?,
            timeout: self.on_message_timeout.unwrap_or(limits::TIMEOUT),
        })
    }
}
