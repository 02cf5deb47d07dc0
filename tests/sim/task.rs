//! The commands of session scenarios: a request of fixed size, and bytes that follow from it.
//!
//! Every byte of every lane is determined by the request's id, so that a reader can check each one
//! alone, and nothing has to be kept for comparison.

use std::time::Duration;

use bytes::Bytes;
use udpagent::session::limits::INITIAL_STREAM_CREDIT;
use udpagent::session::{Command, SessionHandle};
use udpagent::wire::{Lane, StreamId};

/// A command of a controller.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Task {
    /// Its id; may start once.
    pub id: u64,
    /// Bytes of stdout it writes.
    pub out: u64,
    /// Bytes of stderr.
    pub err: u64,
    /// Bytes of stdin it reads to the end before it answers.
    pub stdin: u64,
    /// Delay before it writes anything.
    pub takes: Duration,
    /// Maximum number of unconsumed bytes in each lane of its writers; 0: bounded by the credit only.
    pub bound: u64,
}

impl Task {
    /// Bytes of a request.
    pub const SIZE: usize = 48;

    /// Like `echo`: a little output, at once.
    pub fn echo(id: u64) -> Self {
        Self {
            id,
            out: 20,
            ..Self::default()
        }
    }

    /// Like `cat FILE`: `out` bytes of output, at once.
    pub fn cat(id: u64, out: u64) -> Self {
        Self {
            id,
            out,
            ..Self::default()
        }
    }

    /// Encodes the task as the first bytes of the control lane.
    pub fn encode(&self) -> Bytes {
        let takes = u64::try_from(self.takes.as_micros()).expect("a short task");
        [self.id, self.out, self.err, self.stdin, takes, self.bound]
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect::<Vec<_>>()
            .into()
    }

    /// Decodes a task.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let field = |i: usize| {
            let at = &bytes[i * 8..i * 8 + 8];
            u64::from_be_bytes(at.try_into().expect("eight bytes"))
        };
        Self {
            id: field(0),
            out: field(1),
            err: field(2),
            stdin: field(3),
            takes: Duration::from_micros(field(4)),
            bound: field(5),
        }
    }
}

/// The expected bytes of one direction of one lane, by offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern(u64);

impl Pattern {
    /// The agent's output on `lane` for the task `id`.
    pub const fn output(id: u64, lane: Lane) -> Self {
        Self(mix(id ^ ((lane as u64 + 1) << 56)))
    }

    /// The controller's input for the task `id`.
    pub const fn stdin(id: u64) -> Self {
        Self(mix(id ^ (9 << 56)))
    }

    /// The byte at `offset`.
    pub const fn at(self, offset: u64) -> u8 {
        mix(self.0.wrapping_add(offset / 8)).to_le_bytes()[(offset % 8) as usize]
    }

    /// The bytes from `offset` to `end`.
    pub fn bytes(self, offset: u64, end: u64) -> Bytes {
        (offset..end).map(|at| self.at(at)).collect()
    }
}

/// `SplitMix64`'s output function.
const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A writer of one lane, within its credit.
#[derive(Debug)]
pub struct Writer {
    session: SessionHandle,
    stream: StreamId,
    pattern: Pattern,
    total: u64,
    written: u64,
    limit: u64,
    consumed: u64,
    /// Maximum number of unconsumed bytes.
    bound: u64,
    ended: bool,
}

impl Writer {
    /// Bytes in one write.
    const CHUNK: u64 = 16 << 10;

    /// Creates a writer of `total` bytes of `pattern`.
    pub const fn new(
        session: SessionHandle,
        stream: StreamId,
        pattern: Pattern,
        total: u64,
    ) -> Self {
        Self {
            session,
            stream,
            pattern,
            total,
            written: 0,
            limit: INITIAL_STREAM_CREDIT,
            consumed: 0,
            bound: u64::MAX,
            ended: false,
        }
    }

    /// Bounds the unconsumed bytes; see [`Task::bound`].
    pub const fn bounded(mut self, bound: u64) -> Self {
        self.bound = if bound == 0 { u64::MAX } else { bound };
        self
    }

    /// Handles the peer's report of consumption and credit.
    pub fn on_credit(&mut self, consumed: u64, limit: u64) {
        self.consumed = self.consumed.max(consumed);
        self.limit = self.limit.max(limit);
    }

    /// True if everything was written.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Bytes written so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Writes as much as the credit and the bound allow.
    pub fn write(&mut self, out: &mut Vec<Command>) {
        while !self.ended {
            let allowed = self.limit.min(self.consumed.saturating_add(self.bound));
            let end = self.total.min(allowed).min(self.written + Self::CHUNK);
            if end == self.written && self.written < self.total {
                return;
            }
            let data = self.pattern.bytes(self.written, end);
            self.written = end;
            self.ended = end == self.total;
            out.push(Command::Write {
                session: self.session,
                stream: self.stream,
                data,
                fin: self.ended,
            });
        }
    }
}

/// A reader of one lane that knows the expected bytes.
#[derive(Debug)]
pub struct Reader {
    pattern: Pattern,
    total: u64,
    received: u64,
    ended: bool,
}

impl Reader {
    /// Creates a reader that expects `total` bytes of `pattern`.
    pub const fn new(pattern: Pattern, total: u64) -> Self {
        Self {
            pattern,
            total,
            received: 0,
            ended: false,
        }
    }

    /// Checks the next bytes.
    ///
    /// # Panics
    /// If one of them is wrong, or the end comes early or late.
    pub fn read(&mut self, offset: u64, data: &[u8], fin: bool) {
        assert_eq!(offset, self.received, "bytes come out of order");
        for (at, &byte) in (offset..).zip(data) {
            assert_eq!(byte, self.pattern.at(at), "byte {at} of {self:?} is wrong");
        }
        self.received += data.len() as u64;
        assert!(self.received <= self.total, "{self:?} has too much");
        if fin {
            assert_eq!(self.received, self.total, "{self:?} ends early");
            self.ended = true;
        }
    }

    /// Bytes received.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// True if all bytes and the end were received.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }
}
