//! The connection to the front.
//!
//! Not the messages on it. Invariant: what a front has sent before its end is received, whatever becomes of the front.

use std::io;
use std::net::Shutdown;

use super::changes::Changes;
use super::{Supervisor, tokens};
use crate::agent::ipc::{Frames, SocketInterest, ToFront, ToSupervisor};
use crate::net::Clock;

impl Supervisor {
    /// Takes the connection to a new front.
    pub(super) fn connect(&mut self, connection: Frames<ToFront, ToSupervisor>) -> io::Result<()> {
        let descriptor = connection.raw_fd();
        let interest = SocketInterest::register(&self.registry, descriptor, tokens::FRONT)?;
        self.front_interest = Some(interest);
        self.front = Some(connection);
        self.front_ready = true;
        self.tally.fronts += 1;
        self.changes = Changes::default();
        Ok(())
    }

    /// Lets the front end, after it has sent its last messages.
    pub(super) fn dismiss_front(&mut self) {
        if let Some(front) = &mut self.front {
            self.tally.dismissed += 1;
            // What it is told now is for the next one.
            let _ = front.socket().shutdown(Shutdown::Write);
        }
    }

    /// Closes the connection to a front that takes no reports. What it sent before is still received: a controller may
    /// have been told already that its command was accepted.
    pub(super) fn close_front(&mut self) {
        if let Some(front) = &self.front {
            let _ = front.socket().shutdown(Shutdown::Both);
        }
        self.front_ready = true;
    }

    /// Forgets the connection to a front that is gone.
    pub(super) fn disconnect(&mut self) {
        for &key in self.sessions.by_key().keys() {
            self.tally.key_seen(key);
        }
        self.tally.on_front_lost();
        self.redemptions.clear();
        self.serving = None;
        self.sessions.lose(Clock.now());
        if let Some(interest) = self.front_interest.take() {
            interest.deregister(&self.registry);
        }
        self.front = None;
    }
}
