//! Records that a child writes to its report pipe before it executes its program.
//!
//! Invariant: a record is smaller than `PIPE_BUF`, so that it is written whole. A child writes at most two:
//! [`Record::Executing`], and [`Record::Failed`] if a step fails. The pipe is closed on exec.

use super::{AccountError, Cause, SpawnError, Stage};

/// Length of a record.
pub(super) const LENGTH: usize = 8;

/// A record, as a child writes it.
pub(super) type Bytes = [u8; LENGTH];

const STAGES: [Stage; 6] = [
    Stage::Prepare,
    Stage::Terminal,
    Stage::User,
    Stage::Limits,
    Stage::Directory,
    Stage::Execute,
];

/// Statement of a child about its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// Everything is set; the program is about to be executed.
    Executing {
        /// Error number of entering the home directory; it runs in `/` then.
        home: Option<i32>,
    },
    /// A step failed.
    Failed(SpawnError),
}

/// Kinds of records, first byte.
const EXECUTING: u8 = 1;
const FAILED_BY_SYSTEM: u8 = 2;
const FAILED_BY_ACCOUNT: u8 = 3;
const FAILED_BY_END: u8 = 4;

impl Record {
    /// Returns the bytes of the record: kind, stage, reason, 0, error number. Allocates nothing.
    pub(super) fn encode(self) -> Bytes {
        let (kind, stage, reason, errno) = match self {
            Self::Executing { home } => (EXECUTING, 0, 0, home.unwrap_or(0)),
            Self::Failed(SpawnError { stage, cause }) => {
                let stage = position(&STAGES, &stage);
                match cause {
                    Cause::System(errno) => (FAILED_BY_SYSTEM, stage, 0, errno),
                    Cause::Account(error) => (
                        FAILED_BY_ACCOUNT,
                        stage,
                        position(&AccountError::ALL, &error),
                        0,
                    ),
                    Cause::Ended => (FAILED_BY_END, stage, 0, 0),
                }
            }
        };
        let [a, b, c, d] = errno.to_ne_bytes();
        [kind, stage, reason, 0, a, b, c, d]
    }

    /// Returns the record with these bytes, if they are one.
    pub(super) fn decode(bytes: Bytes) -> Option<Self> {
        let [kind, stage, reason, _, a, b, c, d] = bytes;
        let errno = i32::from_ne_bytes([a, b, c, d]);
        if kind == EXECUTING {
            let home = (errno != 0).then_some(errno);
            return Some(Self::Executing { home });
        }
        let stage = *STAGES.get(usize::from(stage))?;
        let cause = match kind {
            FAILED_BY_SYSTEM => Cause::System(errno),
            FAILED_BY_ACCOUNT => Cause::Account(*AccountError::ALL.get(usize::from(reason))?),
            FAILED_BY_END => Cause::Ended,
            _ => return None,
        };
        Some(Self::Failed(SpawnError { stage, cause }))
    }
}

/// Returns the index of a value; 255 stands for none, which is decoded as none.
fn position<T: PartialEq>(values: &[T], value: &T) -> u8 {
    let index = values.iter().position(|known| known == value);
    index
        .and_then(|index| u8::try_from(index).ok())
        .unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_decoded_as_it_was_encoded() {
        let accounts = AccountError::ALL.map(Cause::Account);
        let causes = [Cause::System(2), Cause::System(-7), Cause::Ended];
        let mut records = vec![
            Record::Executing { home: None },
            Record::Executing { home: Some(13) },
        ];
        for stage in STAGES {
            for &cause in causes.iter().chain(&accounts) {
                records.push(Record::Failed(SpawnError { stage, cause }));
            }
        }
        for record in records {
            assert_eq!(Record::decode(record.encode()), Some(record));
        }
    }

    #[test]
    fn other_bytes_are_no_record() {
        for bytes in [
            [0; LENGTH],
            [9; LENGTH],
            [2, 6, 0, 0, 0, 0, 0, 0],
            [3, 2, 99, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Record::decode(bytes), None, "{bytes:?}");
        }
    }
}
