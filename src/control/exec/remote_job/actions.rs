//! Queues of what a job requests of its driver: commands, and other actions.
//!
//! Output waits here while the driver has no room for it, and so do the actions behind it. Invariant: no command waits
//! behind output. The bytes are bounded by the windows of the streams, the number of pieces by the bytes.

use bytes::{Bytes, BytesMut};

use super::super::{Output, Report};
use super::RemoteJob;
use crate::control::limits;
use crate::peer_addr::PeerAddr;
use crate::session::{Command, Ticket};

/// Request to the driver.
#[derive(Clone, Debug)]
pub enum Action {
    /// Command for the session layer.
    Command(Command),
    /// Next bytes of an output, each once and in order, with the offset of the first. Report them with
    /// [`RemoteJob::on_written`].
    Output(Output, u64, Bytes),
    /// Range of an output that the agent no longer holds: its first offset and its length. Precedes the bytes behind it.
    Gap(Output, u64, u64),
    /// Ticket to store.
    Learned(Ticket),
    /// Address that has answered, of a host with several.
    Answered(PeerAddr),
    /// The agent has accepted the request.
    Accepted {
        /// True if the job has a terminal.
        terminal: bool,
        /// True if the agent keeps the job when its controllers are gone.
        kept: bool,
        /// Offsets of the first bytes of both outputs.
        places: [u64; 2],
    },
    /// Control sequences that draw the screen of the job's terminal, in place of output that is not sent.
    Screen(Bytes),
    /// No output follows: the driver writes what it has held back, such as half a line.
    Flush,
    /// End of the job; nothing follows.
    Ended(Report),
}

impl RemoteJob {
    /// Returns the next action: the next command if there is one.
    pub fn poll(&mut self) -> Option<Action> {
        self.poll_command().or_else(|| self.actions.pop_front())
    }

    /// Returns the next command as an action, past other actions that have to wait.
    pub fn poll_command(&mut self) -> Option<Action> {
        self.commands.pop_front().map(Action::Command)
    }

    /// Returns the output whose bytes are the next action other than a command.
    #[must_use]
    pub fn next_output(&self) -> Option<Output> {
        match self.actions.front()? {
            Action::Output(output, ..) => Some(*output),
            Action::Command(_)
            | Action::Gap(..)
            | Action::Learned(_)
            | Action::Answered(_)
            | Action::Accepted { .. }
            | Action::Screen(_)
            | Action::Flush
            | Action::Ended(_) => None,
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// Queues bytes of an output for the driver, in pieces, and small ones together with those before them.
    pub(super) fn queue_output(&mut self, output: Output, mut from: u64, mut data: Bytes) {
        if let Some(Action::Output(last, _, before)) = self.actions.back_mut()
            && *last == output
            && before.len() + data.len() <= limits::OUTPUT_JOINED
        {
            let joined = std::mem::take(before).try_into_mut();
            let mut joined = joined.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            joined.extend_from_slice(&data);
            *before = joined.freeze();
            return;
        }
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(limits::OUTPUT_PIECE));
            let length = piece.len() as u64;
            self.actions.push_back(Action::Output(output, from, piece));
            from = from.saturating_add(length);
        }
    }
}
