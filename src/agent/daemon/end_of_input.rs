//! The end of a terminal's input: said to each program that reads, for as long as the job runs.
//!
//! A pipe that is closed is at its end for every reader. A terminal has no such state: its end-of-file
//! character ends the line that is being read, and only where that line is empty does a read return nothing.
//! So the character is sent whenever nothing else is left to be read: once more after an unfinished line, once
//! more for the next program. Not the bytes before it, which have been written when this begins.

use std::io::Write as _;
use std::time::Duration;

use crate::process::{Input, Pipe, Slave};
use crate::time::Instant;

/// The next look at what was read comes after this; each later one after twice the time.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// At the longest.
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// Control-D, as programs that read character by character take it.
const CONTROL_D: u8 = 0x04;

/// A terminal, and how its end of input is being told.
pub struct EndOfInput {
    slave: Slave,
    /// When to look next; `None`: input has not ended.
    next: Option<Instant>,
    pause: Duration,
    /// The program that reads character by character has had its character.
    pressed: bool,
}

impl EndOfInput {
    /// Of a terminal whose input goes on.
    pub const fn new(slave: Slave) -> Self {
        Self {
            slave,
            next: None,
            pause: FIRST_LOOK,
            pressed: false,
        }
    }

    /// Nothing follows what was written. Again harmless.
    pub fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// True if input has ended.
    pub const fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// When to call [`EndOfInput::on_timeout`].
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Sends the end-of-file character if everything before it was read.
    pub fn on_timeout(&mut self, now: Instant, terminal: &mut Pipe) {
        let (character, raw) = match self.slave.input() {
            Ok(Input::Lines { end }) => (end, false),
            // Once: to an editor it is a key like any other.
            Ok(Input::Characters) => ((!self.pressed).then_some(CONTROL_D), true),
            Ok(Input::Unread) => (None, self.pressed),
            Err(error) => {
                tracing::debug!(%error, "a terminal does not tell its state");
                (None, self.pressed)
            }
        };
        // A terminal that is full takes it at the next look.
        let sent = character.is_some_and(|one| terminal.write(&[one]).is_ok_and(|count| count > 0));
        self.pressed = raw && (self.pressed || sent);
        if sent {
            self.pause = FIRST_LOOK;
        }
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).min(SLOWEST_LOOK);
    }
}
