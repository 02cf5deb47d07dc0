//! A bot: a command that is run for each message of a chat and whose output is the answer.
//!
//! Not the chat, and not the decision which message is answered. The message is on the standard input of the command,
//! never in its arguments or its environment. Invariants: one command runs at a time for each room, a bounded number for all,
//! and none longer than its time limit; messages that wait are bounded, and those beyond are counted; a failure of the command
//! concerns no later message, and a slow command no other room, up to [`limits::CONCURRENT_PER_KEY`]
//! rooms of one key and [`limits::CONCURRENT`] in all.

mod answer;
pub mod limits;
mod outcome;
mod queue;
mod run;
mod waiting;
mod words;

pub use answer::Answer;
pub use outcome::{Failure, Outcome};
pub use queue::{Bot, Event, Slot};
pub use run::run;
pub use waiting::Message;
pub use words::{Words, WordsError};

use std::time::Duration;

/// Command of a bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Program and arguments.
    pub words: Words,
    /// Time after which it is killed.
    pub timeout: Duration,
}
