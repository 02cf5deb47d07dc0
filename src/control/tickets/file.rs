//! File of tickets: a header with the id of the boot, and records of equal size, sorted by the keys of the agents.
//!
//! Not when it is read and written. Invariant: a record that is torn, overwritten or of another boot is none, and costs a
//! round trip.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use crate::control::limits;
use crate::crypto::PublicKey;
use crate::home::{self, Readers};
use crate::session::Ticket;
use crate::time::micros;

/// Bytes of the header and of each record.
const RECORD: usize = 64;

/// Bytes of the sum at the end of a record.
const SUM: usize = 4;

/// First bytes of the header; the id of the boot follows, padded with zeros.
const MAGIC: &[u8; 24] = b"udpagent tickets, v. 2\n\0";

/// Ticket in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) agent: PublicKey,
    pub(super) ticket: Ticket,
    /// Time at which it was stored, in seconds of the boot-time clock.
    pub(super) stored: u32,
}

/// Tickets of a file, for lookups.
pub(super) struct Table {
    source: Source,
    /// Number of records.
    count: usize,
}

enum Source {
    /// A file that is read block by block.
    File(File),
    /// The content of a file.
    Memory(Vec<u8>),
}

impl Table {
    /// Opens a file of tickets for this number of lookups. Returns `None` if there is none of this boot.
    pub(super) fn open(path: &Path, boot: &str, lookups: usize) -> Option<Self> {
        let (mut file, length) = home::open(path, Readers::Owner).ok()??;
        let length = usize::try_from(length).ok()?;
        let count = (length.checked_sub(RECORD)? / RECORD).min(limits::TICKETS);
        let source = if lookups <= limits::TICKET_LOOKUPS {
            Source::File(file)
        } else {
            let mut bytes = vec![0; RECORD * (1 + count)];
            file.read_exact(&mut bytes).ok()?;
            Source::Memory(bytes)
        };
        let table = Self { source, count };
        (table.read(0, RECORD)?[..] == header(boot)?).then_some(table)
    }

    /// Returns the ticket of an agent.
    pub(super) fn find(&self, agent: &PublicKey) -> Option<Ticket> {
        let (mut low, mut high) = (0, self.count);
        let mut middle = self.expected(agent);
        while low < high {
            let begin = middle
                .saturating_sub(limits::TICKET_BLOCK / 2)
                .clamp(low, high - 1);
            let end = high.min(begin + limits::TICKET_BLOCK);
            let bytes = self.read(RECORD * (1 + begin), RECORD * (end - begin))?;
            let (records, _) = bytes.as_chunks::<RECORD>();
            if agent.0[..] < records.first()?[..32] {
                high = begin;
            } else if agent.0[..] > records.last()?[..32] {
                low = end;
            } else {
                let place = records.binary_search_by(|record| record[..32].cmp(&agent.0));
                return decode(&records[place.ok()?]).map(|entry| entry.ticket);
            }
            middle = usize::midpoint(low, high);
        }
        None
    }

    /// Returns the number of records that are expected before that of an agent, as keys are evenly distributed.
    fn expected(&self, agent: &PublicKey) -> usize {
        let (first, _) = agent.0.split_first_chunk().expect("a key has 32 bytes");
        let share = u128::from(u64::from_be_bytes(*first)) * self.count as u128;
        usize::try_from(share >> 64).expect("less than the number of records")
    }

    /// Returns all tickets.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let bytes = self.read(RECORD, RECORD * self.count).unwrap_or_default();
        let (records, _) = bytes.as_chunks();
        records.iter().filter_map(decode).collect()
    }

    fn read(&self, offset: usize, length: usize) -> Option<Cow<'_, [u8]>> {
        match &self.source {
            Source::Memory(bytes) => bytes.get(offset..offset + length).map(Cow::Borrowed),
            Source::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset as u64).ok()?;
                Some(Cow::Owned(bytes))
            }
        }
    }
}

/// Adds new tickets to those of a file, in which they replace others of the same agents. Keeps the newest.
pub(super) fn merge(old: Vec<Entry>, new: Vec<Entry>) -> Vec<Entry> {
    let all = old.into_iter().chain(new);
    let all: HashMap<_, _> = all.map(|entry| (entry.agent, entry)).collect();
    let mut entries: Vec<Entry> = all.into_values().collect();
    if entries.len() > limits::TICKETS {
        entries.select_nth_unstable_by_key(limits::TICKETS, |entry| u32::MAX - entry.stored);
        entries.truncate(limits::TICKETS);
    }
    entries.sort_unstable_by_key(|entry| entry.agent);
    entries
}

/// Returns the content of a file; `None` if the id of the boot has no room in it. `entries` are those of [`merge`].
pub(super) fn encode(boot: &str, entries: &[Entry]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(RECORD * (1 + entries.len()));
    bytes.extend_from_slice(&header(boot)?);
    for entry in entries {
        let begin = bytes.len();
        let [rtt, variation] = [entry.ticket.rtt, entry.ticket.variation]
            .map(|time| u32::try_from(micros(time)).unwrap_or(u32::MAX));
        bytes.extend_from_slice(&entry.agent.0);
        bytes.extend_from_slice(&entry.ticket.epoch.to_le_bytes());
        bytes.extend_from_slice(&entry.ticket.offset.to_le_bytes());
        bytes.extend_from_slice(&rtt.to_le_bytes());
        bytes.extend_from_slice(&variation.to_le_bytes());
        bytes.extend_from_slice(&entry.stored.to_le_bytes());
        let check = check(&bytes[begin..]);
        bytes.extend_from_slice(&check);
    }
    Some(bytes)
}

fn header(boot: &str) -> Option<[u8; RECORD]> {
    let mut header = [0; RECORD];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    let place = header[MAGIC.len()..].get_mut(..boot.len())?;
    place.copy_from_slice(boot.as_bytes());
    Some(header)
}

fn decode(record: &[u8; RECORD]) -> Option<Entry> {
    let (covered, sum) = record.split_at(RECORD - SUM);
    let (key, rest) = covered.split_first_chunk::<32>()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (rtt, rest) = rest.split_first_chunk()?;
    let (variation, rest) = rest.split_first_chunk()?;
    let (stored, _) = rest.split_first_chunk()?;
    (sum == check(covered)).then(|| Entry {
        agent: PublicKey(*key),
        ticket: Ticket {
            epoch: u64::from_le_bytes(*epoch),
            offset: i64::from_le_bytes(*offset),
            rtt: Duration::from_micros(u32::from_le_bytes(*rtt).into()),
            variation: Duration::from_micros(u32::from_le_bytes(*variation).into()),
        },
        stored: u32::from_le_bytes(*stored),
    })
}

/// Returns a sum that tells a whole record from a broken one. Another version of the hash makes all records broken.
fn check(covered: &[u8]) -> [u8; SUM] {
    let mut hasher = DefaultHasher::new();
    hasher.write(covered);
    let [sum @ .., _, _, _, _] = hasher.finish().to_le_bytes();
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const BOOT_ID: &str = "c0ffee00-0000-4000-8000-000000000000";

    fn entry(key: [u8; 32], stored: u32) -> Entry {
        Entry {
            agent: PublicKey(key),
            ticket: Ticket {
                epoch: u64::from(stored) + 1,
                offset: -i64::from(stored),
                rtt: Duration::from_micros(u64::from(stored) * 3),
                variation: Duration::from_micros(stored.into()),
            },
            stored,
        }
    }

    fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tickets");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (directory, path)
    }

    /// A key whose first bytes are `place`.
    fn key(place: u64) -> [u8; 32] {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&place.to_be_bytes());
        key
    }

    fn all_are_found(keys: &[[u8; 32]]) {
        let entries: Vec<Entry> = (0..).zip(keys).map(|(n, &key)| entry(key, n)).collect();
        let bytes = encode(BOOT_ID, &merge(Vec::new(), entries.clone())).unwrap();
        let (_directory, path) = written(&bytes);
        for lookups in [1, usize::MAX] {
            let table = Table::open(&path, BOOT_ID, lookups).unwrap();
            for entry in &entries {
                assert_eq!(table.find(&entry.agent), Some(entry.ticket));
                let mut other = entry.agent;
                other.0[31] ^= 1;
                assert_eq!(table.find(&other), None);
            }
            assert_eq!(table.entries().len(), entries.len());
        }
    }

    #[test]
    fn every_ticket_is_found_however_the_keys_are_distributed() {
        all_are_found(&[]);
        all_are_found(&[key(0)]);
        let even = (0..2000).map(|n| key(n * (u64::MAX / 2000)));
        all_are_found(&even.collect::<Vec<_>>());
        for begin in [0, 1 << 40, u64::MAX - 2000] {
            all_are_found(&(begin..begin + 2000).map(key).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_newest_tickets_are_kept_and_new_ones_replace_old_ones() {
        let most = u32::try_from(limits::TICKETS).unwrap();
        let of = |number: u32, stored| entry(key(u64::from(number) << 32), stored);
        let old: Vec<Entry> = (0..most).map(|number| of(number, number)).collect();
        let new = vec![of(most, most), of(0, most)];
        let merged = merge(old, new);
        assert_eq!(merged.len(), limits::TICKETS);
        assert_eq!(merged[0], of(0, most));
        assert_eq!(merged[1], of(2, 2), "the oldest one has given way");
        assert_eq!(merged.last(), Some(&of(most, most)));
    }

    #[test]
    fn a_file_of_another_boot_or_version_has_no_tickets() {
        let bytes = encode(BOOT_ID, &[entry(key(1), 1)]).unwrap();
        let (_directory, path) = written(&bytes);
        assert!(Table::open(&path, BOOT_ID, 1).is_some());
        assert!(Table::open(&path, "another", 1).is_none());
        assert!(encode("an id that is longer than any id of a boot", &[]).is_none());
        fs::write(&path, bytes.to_ascii_uppercase()).unwrap();
        assert!(Table::open(&path, BOOT_ID, 1).is_none());
    }

    proptest! {
        #[test]
        fn a_broken_file_has_only_tickets_that_were_stored(at: u16, flip in 1_u8.., cut: u16) {
            let entries: Vec<Entry> = (0_u32..20).map(|n| entry(key(u64::from(n) << 58), n)).collect();
            let good = encode(BOOT_ID, &entries).unwrap();
            let mut bytes = good.clone();
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= flip;
            bytes.truncate(usize::from(cut) % (2 * good.len()));
            let (_directory, path) = written(&bytes);
            for lookups in [1, usize::MAX] {
                if let Some(table) = Table::open(&path, BOOT_ID, lookups) {
                    let found = |entry: &&Entry| table.find(&entry.agent) == Some(entry.ticket);
                    let missing = entries.iter().filter(|entry| table.find(&entry.agent).is_none());
                    prop_assert_eq!(entries.iter().filter(found).count() + missing.count(), entries.len());
                    prop_assert!(table.entries().iter().all(|entry| entries.contains(entry)));
                }
            }
        }

        #[test]
        fn no_file_panics(bytes: Vec<u8>) {
            let mut file = header(BOOT_ID).unwrap().to_vec();
            file.extend_from_slice(&bytes);
            let (_directory, path) = written(&file);
            for lookups in [1, usize::MAX] {
                let table = Table::open(&path, BOOT_ID, lookups).unwrap();
                prop_assert_eq!(table.find(&PublicKey([9; 32])), None);
                prop_assert!(table.entries().is_empty());
            }
        }
    }
}
