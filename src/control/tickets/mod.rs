//! Tickets of agents on disk, so that the next command takes one round trip.
//!
//! All are in one file. A ticket is a hint: one that is missing, broken or of an earlier boot costs a round trip and
//! nothing else, so reading never fails, and a run that is killed loses what it has learned. Invariants: learning a ticket
//! neither reads nor writes a file; the file is replaced as a whole, under a lock, and keeps what other programs have
//! added to it.

mod file;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::limits;
use crate::crypto::PublicKey;
use crate::home::{self, FileError, Lock};
use crate::net;
use crate::session::Ticket;
use crate::time::micros;
use file::{Entry, Table};

/// Room for the id of a boot and the end of its file: a file of the kernel's does not tell its length.
const BOOT_ID: usize = 128;

/// Interval at which the lock is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// Tickets of a file, and those that this program has learned. Writes what is left when dropped.
#[derive(Debug)]
pub struct Tickets {
    store: Arc<Store>,
    learned: Mutex<Learned>,
}

#[derive(Debug)]
struct Store {
    path: PathBuf,
    boot: String,
}

#[derive(Debug)]
struct Learned {
    /// Newest ticket of each agent that was looked up or learned.
    known: HashMap<PublicKey, Ticket>,
    /// Tickets to write.
    unsaved: HashMap<PublicKey, Ticket>,
    /// Time of the last write, or of the beginning.
    saved: Instant,
    writer: Option<JoinHandle<()>>,
}

impl Tickets {
    /// Creates the store in the file `path` (see [`ControlHome::tickets`](crate::home::ControlHome::tickets)) for the boot
    /// with the id `boot` (see [`boot_id`]): offsets of tickets are relative to the boot-time clock. Nothing is created.
    #[must_use]
    pub fn new(path: PathBuf, boot: String) -> Self {
        Self {
            store: Arc::new(Store { path, boot }),
            learned: Mutex::new(Learned {
                known: HashMap::new(),
                unsaved: HashMap::new(),
                saved: Instant::now(),
                writer: None,
            }),
        }
    }

    /// Returns the tickets of agents in the same order, where there is a usable one.
    #[must_use]
    pub fn load(&self, agents: &[PublicKey]) -> Vec<Option<Ticket>> {
        let table = self.store.table(agents.len());
        let mut learned = self.learned();
        let mut find = |agent| {
            let unsaved = learned.unsaved.get(agent).copied();
            let ticket = unsaved.or_else(|| table.as_ref()?.find(agent))?;
            learned.known.insert(*agent, ticket);
            Some(ticket)
        };
        agents.iter().map(&mut find).collect()
    }

    /// Learns a ticket. It is written when the store is dropped, or after [`limits::TICKET_INTERVAL`] by a thread.
    pub fn learn(&self, agent: &PublicKey, ticket: &Ticket) {
        let mut learned = self.learned();
        let known = learned.known.get(agent);
        if known.is_some_and(|known| !is_news(known, ticket)) || learned.is_full() {
            return;
        }
        learned.known.insert(*agent, *ticket);
        learned.unsaved.insert(*agent, *ticket);
        let writer = learned.writer.as_ref();
        if learned.saved.elapsed() >= limits::TICKET_INTERVAL
            && writer.is_none_or(JoinHandle::is_finished)
        {
            let (unsaved, store) = (learned.take_unsaved(), Arc::clone(&self.store));
            let thread = thread::Builder::new().name("tickets".into());
            let write = move || {
                let _ = store.add(unsaved);
            };
            learned.writer = thread.spawn(write).ok();
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tickets {
    fn drop(&mut self) {
        let (writer, unsaved) = {
            let mut learned = self.learned();
            (learned.writer.take(), learned.take_unsaved())
        };
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        // What cannot be written costs a round trip next time.
        let _ = self.store.add(unsaved);
    }
}

impl Learned {
    fn is_full(&self) -> bool {
        self.unsaved.len() >= limits::TICKETS
    }

    fn take_unsaved(&mut self) -> Vec<Entry> {
        self.saved = Instant::now();
        let stored = seconds();
        let unsaved = std::mem::take(&mut self.unsaved).into_iter();
        let entry = |(agent, ticket)| Entry {
            agent,
            ticket,
            stored,
        };
        unsaved.map(entry).collect()
    }
}

impl Store {
    fn table(&self, lookups: usize) -> Option<Table> {
        let is_usable = lookups > 0 && !self.boot.is_empty();
        is_usable.then(|| Table::open(&self.path, &self.boot, lookups))?
    }

    /// Adds tickets to the file.
    fn add(&self, new: Vec<Entry>) -> Result<(), FileError> {
        if new.is_empty() || self.boot.is_empty() {
            return Ok(());
        }
        let Some(_lock) = self.lock()? else {
            return Ok(());
        };
        let table = self.table(usize::MAX);
        let old = table.map(|table| table.entries()).unwrap_or_default();
        match file::encode(&self.boot, &file::merge(old, new)) {
            Some(bytes) => home::replace_hint(&self.path, &bytes),
            None => Ok(()),
        }
    }

    /// Takes the lock of the file. Returns `None` if others hold it for [`limits::TICKET_LOCK`], as a program that was
    /// stopped does.
    fn lock(&self) -> Result<Option<Lock>, FileError> {
        let end = Instant::now() + limits::TICKET_LOCK;
        loop {
            let lock = home::try_lock(&self.path)?;
            if lock.is_some() || Instant::now() >= end {
                return Ok(lock);
            }
            thread::sleep(LOCK_INTERVAL);
        }
    }
}

/// Returns true if a ticket is worth storing: the agent has restarted, or a clock or the round-trip time differs.
fn is_news(known: &Ticket, learned: &Ticket) -> bool {
    let (least, most) = (known.rtt.min(learned.rtt), known.rtt.max(learned.rtt));
    known.epoch != learned.epoch
        || known.offset.abs_diff(learned.offset) > micros(limits::TICKET_DRIFT)
        || most > 2 * least && most > least + limits::TICKET_RTT
        // Of a time for an answer.
        || 4 * known.variation.abs_diff(learned.variation) > limits::TICKET_RTT
}

/// Returns the boot-time clock in seconds.
fn seconds() -> u32 {
    u32::try_from(net::Clock.now().as_micros() / 1_000_000).unwrap_or(u32::MAX)
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
    use std::fs;
    use std::path::Path;

    const TICKET: Ticket = Ticket {
        epoch: u64::MAX,
        offset: i64::MIN,
        rtt: Duration::from_micros(1234),
        variation: Duration::from_micros(56),
    };

    fn key(seed: u8) -> PublicKey {
        PublicKey([seed; 32])
    }

    fn path(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join("state/tickets")
    }

    fn tickets(path: &Path, boot: &str) -> Tickets {
        Tickets::new(path.to_owned(), boot.to_owned())
    }

    fn store(path: &Path, boot: &str, agent: u8) {
        tickets(path, boot).learn(&key(agent), &TICKET);
    }

    fn load(path: &Path, boot: &str, agent: u8) -> Option<Ticket> {
        tickets(path, boot).load(&[key(agent)])[0]
    }

    #[test]
    fn a_ticket_is_found_under_its_own_key_by_the_next_program() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        assert_eq!(load(&path, "boot", 1), None);
        assert!(!path.exists(), "looking for a ticket creates nothing");
        store(&path, "boot", 1);
        assert_eq!(load(&path, "boot", 1), Some(TICKET));
        assert_eq!(load(&path, "boot", 2), None);
        store(&path, "boot", 2);
        let agents: Vec<PublicKey> = (0..100).map(key).collect();
        let loaded = tickets(&path, "boot").load(&agents);
        let found: Vec<usize> = (0..100).filter(|&agent| loaded[agent].is_some()).collect();
        assert_eq!(found, [1, 2]);
    }

    #[test]
    fn a_ticket_of_another_boot_is_not_used_and_gives_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        store(&path, "before", 1);
        assert_eq!(load(&path, "after", 1), None);
        store(&path, "after", 2);
        assert_eq!(load(&path, "before", 1), None);
    }

    #[test]
    fn without_a_boot_id_there_are_no_tickets() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        store(&path, "", 1);
        assert_eq!(load(&path, "", 1), None);
        assert!(!path.exists());
    }

    #[test]
    fn programs_that_run_together_keep_the_tickets_of_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        let stores: Vec<Tickets> = (0..20).map(|_| tickets(&path, "boot")).collect();
        for (agent, store) in (0..).zip(&stores) {
            store.learn(&key(agent), &TICKET);
        }
        thread::scope(|scope| {
            for store in stores {
                scope.spawn(move || drop(store));
            }
        });
        let agents: Vec<PublicKey> = (0..20).map(key).collect();
        let loaded = tickets(&path, "boot").load(&agents);
        assert!(loaded.iter().all(Option::is_some), "{loaded:?}");
    }

    #[test]
    fn a_broken_file_gives_way_to_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        store(&path, "boot", 1);
        fs::write(&path, "{}").unwrap();
        assert_eq!(load(&path, "boot", 1), None);
        store(&path, "boot", 2);
        assert_eq!(load(&path, "boot", 2), Some(TICKET));
    }

    #[test]
    fn a_program_that_holds_the_lock_does_not_hold_up_the_end_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        let _lock = home::lock(&path).unwrap();
        store(&path, "boot", 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_ticket_that_is_known_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        store(&path, "boot", 1);
        let tickets = tickets(&path, "boot");
        let _ = tickets.load(&[key(1)]);
        fs::remove_file(&path).unwrap();
        tickets.learn(&key(1), &TICKET);
        drop(tickets);
        assert!(!path.exists());
    }

    #[test]
    fn a_long_run_writes_its_tickets_before_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        let tickets = tickets(&path, "boot");
        let long_ago = Instant::now().checked_sub(limits::TICKET_INTERVAL);
        tickets.learned().saved = long_ago.expect("the machine runs for longer");
        tickets.learn(&key(1), &TICKET);
        let writer = tickets.learned().writer.take();
        writer.expect("a thread writes it").join().unwrap();
        assert_eq!(load(&path, "boot", 1), Some(TICKET));
        tickets.learn(&key(2), &TICKET);
        assert_eq!(load(&path, "boot", 2), None, "one write in an interval");
        drop(tickets);
        assert_eq!(load(&path, "boot", 2), Some(TICKET));
    }

    #[test]
    fn the_boot_id_of_this_system_is_stable_and_fits() {
        assert_eq!(boot_id().len(), 36);
        assert_eq!(boot_id(), boot_id());
        assert!(file::encode(&boot_id(), &[]).is_some());
    }

    #[test]
    fn a_ticket_is_stored_anew_only_if_it_differs_enough_to_matter() {
        let ticket = |epoch, offset, rtt| Ticket {
            epoch,
            offset,
            rtt: Duration::from_millis(rtt),
            variation: Duration::ZERO,
        };
        let known = ticket(1, 0, 20);
        for (learned, stored) in [
            (known, false),
            (ticket(2, 0, 20), true),
            (ticket(1, 1_999_999, 20), false),
            (ticket(1, -2_000_001, 20), true),
            (ticket(1, 0, 40), false),
            (ticket(1, 0, 41), true),
        ] {
            assert_eq!(is_news(&known, &learned), stored, "{learned:?}");
        }
        let varied = |millis| Ticket {
            variation: Duration::from_millis(millis),
            ..known
        };
        assert!(!is_news(&known, &varied(2)));
        assert!(is_news(&known, &varied(3)) && is_news(&varied(3), &known));
        // On a fast network the load of the machine changes it several times over.
        assert!(!is_news(&ticket(1, 0, 1), &ticket(1, 0, 11)));
        assert!(is_news(&ticket(1, 0, 1), &ticket(1, 0, 12)));
    }
}
