//! The record of a job that its supervisor keeps, so that a later agent over the same supervisor can go on with it.
//!
//! Not the state of the process, which the supervisor reports. Invariant: a record that was not written by
//! [`Stored::encode`] is refused, and an agent reads the records of every earlier version of this format.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::access::RunningCommand;
use crate::agent::limits;
use crate::message::limits::WINDOW;
use crate::message::{Cause, OnDisconnect, OsText, Window};
use crate::time::Instant;

/// Version of the format.
const VERSION: u32 = 1;

/// Facts of a job that the table has from its request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Hash of the request.
    pub digest: [u8; 32],
    /// Beginning of argv, for lists.
    pub argv: Vec<OsText>,
    /// Time of its acceptance.
    pub accepted: Instant,
    /// Deadline, and its cause.
    pub deadline: Option<(Instant, Cause)>,
    /// The command, for another decision; `None` if it is not known.
    pub command: Option<RunningCommand>,
    /// Silence of its controller after which it is ended.
    pub lease: Duration,
    /// Treatment when the lease has expired.
    pub on_disconnect: OnDisconnect,
    /// True if it has a stdin.
    pub stdin: bool,
    /// Initial size of its terminal, if it has one.
    pub terminal: Option<Window>,
    /// True if its result is kept after it was collected.
    pub retain: bool,
}

/// Error of a record that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    v: u32,
    digest: [u8; 32],
    argv: Vec<OsText>,
    accepted_us: u64,
    deadline_us: Option<(u64, Cause)>,
    command: Option<RunningCommand>,
    lease_us: u64,
    on_disconnect: OnDisconnect,
    stdin: bool,
    terminal: Option<Window>,
    retain: bool,
}

impl Stored {
    /// Returns the bytes of the record.
    pub fn encode(&self) -> Vec<u8> {
        let record = Record {
            v: VERSION,
            digest: self.digest,
            argv: self.argv.clone(),
            accepted_us: self.accepted.as_micros(),
            deadline_us: self.deadline.map(|(at, cause)| (at.as_micros(), cause)),
            command: self.command.clone(),
            lease_us: crate::time::micros(self.lease),
            on_disconnect: self.on_disconnect,
            stdin: self.stdin,
            terminal: self.terminal.map(clamp),
            retain: self.retain,
        };
        serde_json::to_vec(&record).expect("a record has string keys only")
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let record: Record = serde_json::from_slice(bytes).map_err(|_| Unreadable)?;
        let lease = Duration::from_micros(record.lease_us);
        let shown: usize = record.argv.iter().map(|word| word.as_os_str().len()).sum();
        let sound = record.v == VERSION
            && shown <= limits::SHOWN_ARGV
            && (limits::MIN_LEASE..=limits::MAX_WAIT).contains(&lease)
            && record.terminal.is_none_or(|window| window == clamp(window))
            && record
                .deadline_us
                .is_none_or(|(at, _)| at >= record.accepted_us);
        if !sound {
            return Err(Unreadable);
        }
        let deadline = record.deadline_us;
        Ok(Self {
            digest: record.digest,
            argv: record.argv,
            accepted: Instant::from_micros(record.accepted_us),
            deadline: deadline.map(|(at, cause)| (Instant::from_micros(at), cause)),
            command: record.command,
            lease,
            on_disconnect: record.on_disconnect,
            stdin: record.stdin,
            terminal: record.terminal,
            retain: record.retain,
        })
    }

    /// Returns what is assumed of a job with an unreadable record: no request matches it, and it ends with its
    /// controller.
    pub const fn unreadable(now: Instant) -> Self {
        Self {
            digest: [0; 32],
            argv: Vec::new(),
            accepted: now,
            deadline: None,
            command: None,
            lease: limits::LEASE,
            on_disconnect: OnDisconnect::Kill,
            stdin: false,
            terminal: None,
            retain: false,
        }
    }
}

/// Returns the size that a terminal of this size has.
fn clamp(window: Window) -> Window {
    Window {
        rows: window.rows.clamp(1, WINDOW),
        columns: window.columns.clamp(1, WINDOW),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored() -> Stored {
        Stored {
            digest: [7; 32],
            argv: vec!["prog".into(), "\u{1b}[31m".into()],
            accepted: Instant::from_micros(10),
            deadline: Some((Instant::from_micros(20), Cause::Timeout)),
            command: None,
            lease: Duration::from_secs(60),
            on_disconnect: OnDisconnect::Keep,
            stdin: true,
            terminal: Some(Window {
                rows: 24,
                columns: 80,
            }),
            retain: true,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        assert_eq!(Stored::decode(&stored().encode()), Ok(stored()));
    }

    #[test]
    fn nonsense_is_refused() {
        let good = String::from_utf8(stored().encode()).unwrap();
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"new\":1"),
            ("\"lease_us\":60000000", "\"lease_us\":1"),
            ("\"lease_us\":60000000", "\"lease_us\":18446744073709551615"),
            ("[20,", "[9,"),
            ("\"rows\":24", "\"rows\":513"),
            ("\"prog\"", &format!("\"{}\"", "x".repeat(600))),
            ("[7,", "["),
            ("true}", "true} "),
            ("true}", "true}x"),
        ] {
            assert!(good.contains(from), "{from}");
            let bad = good.replacen(from, to, 1);
            let expected = if to == "true} " {
                Ok(stored())
            } else {
                Err(Unreadable)
            };
            assert_eq!(Stored::decode(bad.as_bytes()), expected, "{bad}");
        }
        assert_eq!(Stored::decode(b""), Err(Unreadable));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = Stored::decode(&bytes);
            let whole = stored().encode();
            let _ = Stored::decode(&whole[..cut.min(whole.len())]);
        }
    }
}
