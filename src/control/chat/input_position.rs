//! Position in the input of a pipe, for the words about what was not read.
//!
//! Not the reading. Invariant: after the end of the input nothing is reported.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;

use crate::prompt::command::Typed;

/// Time for which the thread that reads may take to pass on what the system has for it.
const PASSED_ON: Duration = Duration::from_secs(1);

/// Input of the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Input {
    pub(super) typed: Typed,
    /// Number of its line, from 1; 0 at a prompt.
    pub(super) line: u64,
}

/// Position in the input of a pipe.
#[derive(Debug)]
pub(super) struct InputPosition {
    /// Number of the last line that was taken.
    line: u64,
    /// True if nothing is to be reported: the input has ended, or a person types it.
    is_done: bool,
}

impl InputPosition {
    /// Begins before the first line.
    pub(super) fn new(is_prompt: bool) -> Self {
        Self {
            line: 0,
            is_done: is_prompt || io::stdin().is_terminal(),
        }
    }

    /// Takes input. A channel that is disconnected is the end of all input.
    pub(super) fn taken(&mut self, input: Result<Input, RecvError>) -> Typed {
        let (line, typed) =
            input.map_or((self.line, Typed::Leave), |input| (input.line, input.typed));
        self.line = line;
        self.is_done |= !is_line(&typed);
        typed
    }

    /// Returns words for input that was written and not taken, if there is some.
    pub(super) fn unread(&mut self, input: &Receiver<Input>) -> Option<String> {
        if self.is_done {
            return None;
        }
        let waiting = input.try_recv();
        // The end of the input may be known to the system only.
        let next = waiting.or_else(|_| {
            let time = if is_ready() {
                PASSED_ON
            } else {
                Duration::ZERO
            };
            input.recv_timeout(time)
        });
        let is_unread = next.is_ok_and(|next| is_line(&next.typed));
        is_unread.then(|| match self.line {
            0 => "the input was not read".to_owned(),
            line => format!("input behind line {line} was not read"),
        })
    }
}

/// Returns true if further input may follow.
const fn is_line(typed: &Typed) -> bool {
    matches!(
        typed,
        Typed::Line(_) | Typed::Command(_) | Typed::Unknown(_)
    )
}

/// Returns true if a read of standard input returns at once.
fn is_ready() -> bool {
    let stdin = stdin();
    let mut ready = [PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
    poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;

    fn line(line: u64) -> Input {
        Input {
            typed: Typed::Line("text".into()),
            line,
        }
    }

    #[test]
    fn unread_input_is_named_by_the_last_line_that_was_taken_and_not_after_the_end() {
        let (sender, input) = unbounded();
        let mut position = InputPosition {
            line: 0,
            is_done: false,
        };
        sender.send(line(1)).unwrap();
        let words = position.unread(&input);
        assert_eq!(words.as_deref(), Some("the input was not read"));
        position.taken(Ok(line(7)));
        sender.send(line(8)).unwrap();
        let words = position.unread(&input);
        assert_eq!(words.as_deref(), Some("input behind line 7 was not read"));
        // Its end was read, and not taken.
        let end = Input {
            typed: Typed::End,
            line: 9,
        };
        sender.send(end.clone()).unwrap();
        assert_eq!(position.unread(&input), None);
        position.taken(Ok(end));
        sender.send(line(10)).unwrap();
        assert_eq!(position.unread(&input), None);
    }
}
