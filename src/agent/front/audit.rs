//! The audit records of the front: lines for the supervisor.
//!
//! Not those about the starts and ends of commands and about keys, which the supervisor writes from what it knows
//! itself. Invariant: the supervisor accepts the lines of these events and no others
//! ([`is_front_line`](crate::agent::audit::is_front_line)).

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::agent::audit::{Audit, Event, Record, Unwritten};

/// Records between two turns of the front's loop, which takes them.
const WAITING: usize = 4096;

/// Records on their way to the loop.
pub struct Records(Sender<Vec<u8>>);

/// Returns a destination of records, and their lines.
pub fn channel() -> (Records, Receiver<Vec<u8>>) {
    let (sender, lines) = bounded(WAITING);
    (Records(sender), lines)
}

impl Audit for Records {
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten> {
        match record.event {
            Event::Denied { .. }
            | Event::SessionDenied { .. }
            | Event::Attached {}
            | Event::Signaled { .. }
            | Event::Canceled {} => {
                // The loop drains them after each event, so that they are few.
                let _ = self.0.try_send(record.to_line_now());
            }
            Event::Accepted(_)
            | Event::Started { .. }
            | Event::Ended { .. }
            | Event::Registered {}
            | Event::KeyAdded {}
            | Event::KeyRemoved {}
            | Event::KeyChanged {}
            | Event::Reloaded { .. }
            | Event::AgentStarted { .. }
            | Event::AgentReplaced { .. }
            | Event::AgentEnded { .. }
            | Event::Dropped { .. } => {}
        }
        Ok(())
    }
}
