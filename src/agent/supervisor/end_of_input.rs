//! The end of a terminal's input, signalled to each program that reads while the job runs.
//!
//! A closed pipe is at its end for every reader. A terminal has no such state: its end-of-file character ends
//! the current line, and only if that line is empty does a read return 0. Therefore the character is sent
//! whenever nothing else is left to read: again after an unfinished line, and again for the next program. The
//! bytes before it have been written when this begins.

use std::io::Write as _;
use std::time::Duration;

use crate::process::{Input, Pipe, Slave};
use crate::time::Instant;

/// First interval between two checks of the terminal. Each further interval is twice as long.
const FIRST_INTERVAL: Duration = Duration::from_millis(5);

/// Longest interval between two checks.
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// Control-D, which programs in raw mode take as the end of input.
const CONTROL_D: u8 = 0x04;

/// A terminal and the state of its end of input.
pub struct EndOfInput {
    slave: Slave,
    /// Time of the next check; `None` while input has not ended.
    next: Option<Instant>,
    interval: Duration,
    /// True if the present program in raw mode has received Control-D.
    sent_raw: bool,
}

impl EndOfInput {
    /// Returns the state of a terminal with open input.
    pub const fn new(slave: Slave) -> Self {
        Self {
            slave,
            next: None,
            interval: FIRST_INTERVAL,
            sent_raw: false,
        }
    }

    /// Ends the input. Further calls have no effect.
    pub fn begin(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// Returns the terminal.
    pub const fn slave(&self) -> &Slave {
        &self.slave
    }

    /// True if input has ended.
    pub const fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Returns true or false if input has ended: whether the present program in raw mode has received Control-D.
    pub fn begun(&self) -> Option<bool> {
        self.next.map(|_| self.sent_raw)
    }

    /// Continues to signal the end that an earlier program of the agent has begun.
    pub const fn resume(&mut self, now: Instant, sent_raw: bool) {
        self.next = Some(now);
        self.sent_raw = sent_raw;
    }

    /// Returns the time of the next call of [`EndOfInput::on_timeout`].
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Sends the end-of-file character if everything before it was read.
    pub fn on_timeout(&mut self, now: Instant, terminal: &mut Pipe) {
        let (character, raw) = match self.slave.input() {
            Ok(Input::Lines { end }) => (end, false),
            // Once, because to an editor it is an ordinary key.
            Ok(Input::Characters) => ((!self.sent_raw).then_some(CONTROL_D), true),
            Ok(Input::Unread) => (None, self.sent_raw),
            Err(error) => {
                tracing::debug!(%error, "cannot read the state of a terminal");
                (None, self.sent_raw)
            }
        };
        // If the terminal is full, the next check sends it.
        let sent = character.is_some_and(|one| terminal.write(&[one]).is_ok_and(|count| count > 0));
        self.sent_raw = raw && (self.sent_raw || sent);
        if sent {
            self.interval = FIRST_INTERVAL;
        }
        self.next = Some(now + self.interval);
        self.interval = (self.interval * 2).min(MAX_INTERVAL);
    }
}
