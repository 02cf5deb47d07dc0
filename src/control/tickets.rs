//! What is remembered of agents, so that the next command is back in one round trip.
//!
//! One small JSON file per agent key. A ticket is a hint: one that is missing, unreadable or of an
//! earlier boot costs a round trip and nothing else, so reading never fails.

use std::path::PathBuf;

use crate::crypto::PublicKey;
use crate::home::FileError;
use crate::session::Ticket;

/// The folder of tickets.
#[derive(Clone, Debug)]
pub struct Tickets {
    folder: PathBuf,
    boot: String,
}

impl Tickets {
    /// Tickets in `folder` (see [`ControlHome::tickets`](crate::home::ControlHome::tickets)) of the boot
    /// that is named `boot`: their offsets count in the boot-time clock. See [`boot_id`].
    #[must_use]
    pub fn new(folder: PathBuf, boot: String) -> Self {
        Self { folder, boot }
    }

    /// The ticket for an agent, if a usable one is there.
    #[must_use]
    pub fn load(&self, agent: &PublicKey) -> Option<Ticket> {
        todo!()
    }

    /// Keeps a ticket.
    ///
    /// # Errors
    /// When the file cannot be written. Worth a note at most.
    pub fn store(&self, agent: &PublicKey, ticket: &Ticket) -> Result<(), FileError> {
        todo!()
    }
}

/// The name of the running kernel's boot; empty, which no ticket matches, when the system has none.
#[must_use]
pub fn boot_id() -> String {
    todo!()
}
