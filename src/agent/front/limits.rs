//! Bounds of the front's loop, each with its reason.

use std::time::Duration;

use rustix::event::Timespec;

/// Messages of the supervisor in one turn: at 64 KiB of output each a few milliseconds of work.
pub const MESSAGES_PER_TURN: usize = 64;

/// Network events of one turn.
pub const EVENTS_PER_TURN: usize = 256;

/// Messages or events after which what they have caused is passed on, so that those of many short commands take few system
/// calls and wake the other threads and processes rarely: at 64 KiB of output each a mebibyte.
pub const BATCH: usize = 16;

/// Readiness events of one poll.
pub const READY: usize = 16;

/// Time for the network thread to send the last datagrams.
pub const LAST_DATAGRAMS: Duration = Duration::from_millis(500);

/// Time after which a denied session of the same key is logged again: a key tries many times in a second.
pub const DENIAL_INTERVAL: Duration = Duration::from_secs(60);

/// Keys with such a line in that time. A host with more has another problem than one of its keys.
pub const DENIALS: usize = 64;

/// Time after which commands that were refused as busy are logged again.
pub const BUSY_INTERVAL: Duration = Duration::from_secs(60);

/// Running commands that the question before the end names: what a person takes in at a glance.
pub const NAMED_COMMANDS: usize = 3;

/// Bytes of each of them.
pub const NAMED_COMMAND: usize = 60;

/// Time after the withdrawal of a question in which a line that equals an answer is not sent: its user may not have seen
/// the withdrawal.
pub const LATE_ANSWER: Duration = Duration::from_secs(1);

/// Time after which a line that shows another question than the open one is interrupted again: no person types an answer
/// in it.
pub const INTERRUPT_AGAIN: Duration = Duration::from_millis(50);

/// Time in which the supervisor tells of a Ctrl-C that the line editor had before.
pub const INTERRUPT_HEARD: Duration = Duration::from_secs(1);

/// Time in which the line editor reports a Ctrl-C that the supervisor had before: it may have to draw first.
pub const INTERRUPT_LATE: Duration = Duration::from_millis(500);

/// Time for the supervisor to send what a front needs at its start.
pub const SETUP: Duration = Duration::from_secs(10);

/// Time for the rest of a line, before another front reads on. Programs write whole lines.
pub const REST_OF_LINE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
