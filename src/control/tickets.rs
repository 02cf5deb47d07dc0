//! Tickets of agents on disk, so that the next command takes one round trip.
//!
//! One small JSON file per agent key. A ticket is a hint: one that is missing, unreadable or of an
//! earlier boot costs a round trip and nothing else, so reading never fails.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crypto::PublicKey;
use crate::home::{self, FileError, Readers};
use crate::session::Ticket;

/// Room for the id of a boot and the end of its file: a file of the kernel's does not tell its length.
const BOOT_ID: usize = 128;

/// Directory of tickets.
#[derive(Clone, Debug)]
pub struct Tickets {
    directory: PathBuf,
    boot: String,
}

/// Content of a file. It repeats the key, because some file systems ignore the case of names.
#[derive(Serialize, Deserialize)]
struct Record {
    agent: String,
    boot: String,
    epoch: u64,
    offset: i64,
    rtt_us: u64,
}

impl Tickets {
    /// Creates the store in `directory` (see [`ControlHome::tickets`](crate::home::ControlHome::tickets)) for the boot
    /// with the id `boot` (see [`boot_id`]): offsets of tickets are relative to the boot-time clock.
    #[must_use]
    pub fn new(directory: PathBuf, boot: String) -> Self {
        Self { directory, boot }
    }

    /// Returns the ticket of an agent, if there is a usable one.
    #[must_use]
    pub fn load(&self, agent: &PublicKey) -> Option<Ticket> {
        let text = home::read(&self.path(agent), Readers::Owner).ok()??;
        let record: Record = serde_json::from_str(&text).ok()?;
        let usable =
            !self.boot.is_empty() && record.boot == self.boot && record.agent == agent.to_string();
        usable.then(|| Ticket {
            epoch: record.epoch,
            offset: record.offset,
            rtt: Duration::from_micros(record.rtt_us),
        })
    }

    /// Stores a ticket.
    ///
    /// # Errors
    /// When the file cannot be written. The next command then takes a round trip more.
    pub fn store(&self, agent: &PublicKey, ticket: &Ticket) -> Result<(), FileError> {
        let record = Record {
            agent: agent.to_string(),
            boot: self.boot.clone(),
            epoch: ticket.epoch,
            offset: ticket.offset,
            rtt_us: crate::time::micros(ticket.rtt),
        };
        let text = serde_json::to_vec(&record).expect("numbers and strings have a JSON form");
        home::replace_hint(&self.path(agent), &text)
    }

    fn path(&self, agent: &PublicKey) -> PathBuf {
        // A colon separates the paths in lists such as PATH.
        self.directory
            .join(agent.to_string().replace(':', "-") + ".json")
    }
}

/// Returns the id of the running kernel's boot; empty, which matches no ticket, if the system has none.
#[must_use]
pub fn boot_id() -> String {
    static BOOT: OnceLock<String> = OnceLock::new();
    let read = || {
        let mut text = String::with_capacity(BOOT_ID);
        let mut file = File::open("/proc/sys/kernel/random/boot_id")?;
        file.read_to_string(&mut text)?;
        Ok::<_, io::Error>(text.trim().to_owned())
    };
    BOOT.get_or_init(|| read().unwrap_or_default()).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use crate::rng::Rng;
    use proptest::prelude::*;
    use std::fs;

    const TICKET: Ticket = Ticket {
        epoch: u64::MAX,
        offset: i64::MIN,
        rtt: Duration::from_micros(1234),
    };

    fn key(seed: u8) -> PublicKey {
        SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
    }

    fn tickets(boot: &str) -> (tempfile::TempDir, Tickets) {
        let directory = tempfile::tempdir().unwrap();
        let tickets = Tickets::new(directory.path().join("state/tickets"), boot.to_owned());
        (directory, tickets)
    }

    #[test]
    fn a_ticket_is_found_under_its_own_key_only() {
        let (_directory, tickets) = tickets("boot");
        assert_eq!(tickets.load(&key(1)), None);
        tickets.store(&key(1), &TICKET).unwrap();
        assert_eq!(tickets.load(&key(1)), Some(TICKET));
        assert_eq!(tickets.load(&key(2)), None);
        fs::copy(tickets.path(&key(1)), tickets.path(&key(2))).unwrap();
        assert_eq!(tickets.load(&key(2)), None);
    }

    #[test]
    fn a_ticket_of_another_boot_is_not_used() {
        let (_directory, before) = tickets("before");
        before.store(&key(1), &TICKET).unwrap();
        let after = Tickets::new(before.directory.clone(), "after".to_owned());
        assert_eq!(after.load(&key(1)), None);
    }

    #[test]
    fn without_a_boot_id_there_are_no_tickets() {
        let (_directory, tickets) = tickets("");
        tickets.store(&key(1), &TICKET).unwrap();
        assert_eq!(tickets.load(&key(1)), None);
    }

    #[test]
    fn the_boot_id_of_this_system_is_stable() {
        assert_eq!(boot_id().len(), 36);
        assert_eq!(boot_id(), boot_id());
    }

    proptest! {
        #[test]
        fn a_broken_file_is_no_ticket(bytes: Vec<u8>, cut in 0_usize..100) {
            let (_directory, tickets) = tickets("boot");
            tickets.store(&key(1), &TICKET).unwrap();
            let path = tickets.path(&key(1));
            let good = fs::read(&path).unwrap();
            fs::write(&path, &bytes).unwrap();
            prop_assert_eq!(tickets.load(&key(1)), None);
            fs::write(&path, &good[..cut.min(good.len() - 1)]).unwrap();
            prop_assert_eq!(tickets.load(&key(1)), None);
        }
    }
}
