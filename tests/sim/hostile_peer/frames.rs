//! Frames of the peer: those of a conforming one, and any others.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::Duration;

use udpagent::wire::limits::{MAX_VARINT, MIN_DATAGRAM};
use udpagent::wire::{
    CallId, Early, EcnCounts, Frame, Hello, Lane, SessionId, StreamId, encode_ack,
};

use super::Role;
use super::input::Input;

/// Maximum number of bytes that the peer sends in a stream and in a session: less than the initial credit.
const STREAM: u64 = 60_000;
const SESSION: u64 = 200_000;

/// Number of calls that a conforming peer opens.
const CALLS: u8 = 16;

static ZEROS: [u8; 1024] = [0; 1024];

/// State of a stream that the peer sends.
#[derive(Default)]
struct Sent {
    end: u64,
    finished: bool,
}

/// The peer's state of the session.
pub struct Frames {
    /// Role of the endpoint.
    pub role: Role,
    /// True if the peer conforms to the protocol.
    pub conforming: bool,
    /// Counters received from the endpoint.
    pub received: BTreeSet<u64>,
    /// The last PATH_CHALLENGE.
    pub challenge: Option<[u8; 8]>,
    /// Number of calls that exist.
    pub calls: u32,
    sent: HashMap<StreamId, Sent>,
    total: u64,
}

impl Frames {
    pub fn new(role: Role, conforming: bool) -> Self {
        Self {
            role,
            conforming,
            received: BTreeSet::new(),
            challenge: None,
            calls: 0,
            sent: HashMap::new(),
            total: 0,
        }
    }

    /// Appends one frame.
    pub fn write(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        match input.below(if self.conforming { 12 } else { 18 }) {
            0 => Frame::Ping.encode(out),
            1..=3 => self.stream(input, out),
            4 | 5 => self.ack_all(input, out),
            6 => self.ack_some(input, out),
            7 => Frame::MaxData(input.varint()).encode(out),
            8 => self.credit(input, out),
            9 => self.end_stream(input, out),
            10 => Frame::PathResponse(self.challenge.unwrap_or_default()).encode(out),
            11 => Frame::PathChallenge(input.word().to_le_bytes()).encode(out),
            12 => out.extend_from_slice(input.take(24)),
            13 => Frame::Close {
                code: input.varint(),
                reason: "over",
            }
            .encode(out),
            14 => Frame::Rekey {
                phase: input.varint(),
                share: [9; 32],
            }
            .encode(out),
            15 => Frame::Hello(Hello {
                epoch: input.word(),
                agent_time: Duration::from_micros(input.word()),
                session: SessionId(input.word()),
                early: Early::Refused,
                invite: None,
                reset_token: None,
                max_datagram: MIN_DATAGRAM as u64,
            })
            .encode(out),
            16 => {
                let end = input.varint();
                let range = end.saturating_sub(input.varint())..=end;
                acknowledge(std::iter::once(range), input, out);
            }
            _ => Frame::Reset {
                stream: any_stream(input),
                code: input.varint(),
                final_size: input.varint(),
            }
            .encode(out),
        }
    }

    /// Returns a stream that the peer may name, if there is one.
    fn stream_id(&mut self, input: &mut Input<'_>, peer_sends: bool) -> Option<StreamId> {
        let call = match self.role {
            Role::Agent => u32::from(input.below(CALLS)),
            Role::Controller => u32::from(input.byte()).checked_rem(self.calls)?,
        };
        // Stderr flows from the agent to the controller only.
        let lanes = if (self.role == Role::Agent) == peer_sends {
            2
        } else {
            3
        };
        let lane = [Lane::Control, Lane::Data, Lane::Stderr][usize::from(input.below(lanes))];
        Some(StreamId::new(CallId(call), lane))
    }

    fn stream(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        if !self.conforming && input.below(4) == 0 {
            let length = usize::from(input.byte());
            let offset = input.varint().min(MAX_VARINT - length as u64);
            return Frame::Stream {
                stream: any_stream(input),
                offset,
                fin: input.below(2) == 1,
                data: &ZEROS[..length],
            }
            .encode(out);
        }
        let Some(stream) = self.stream_id(input, true) else {
            return;
        };
        let length = usize::from(input.byte()) * 2;
        let fin = input.below(8) == 0;
        let sent = self.sent.entry(stream).or_default();
        if sent.finished || sent.end + length as u64 > STREAM || self.total + 1024 > SESSION {
            return;
        }
        Frame::Stream {
            stream,
            offset: sent.end,
            fin,
            data: &ZEROS[..length],
        }
        .encode(out);
        sent.end += length as u64;
        sent.finished = fin;
        self.total += length as u64;
    }

    fn ack_all(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        acknowledge(ranges(self.received.iter().rev().copied()), input, out);
    }

    /// Acknowledges all counters but the multiples of a number.
    fn ack_some(&self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let step = u64::from(input.below(7)) + 2;
        let kept = self.received.iter().rev().copied();
        acknowledge(ranges(kept.filter(|at| at % step != 0)), input, out);
    }

    fn credit(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let stream = if self.conforming {
            self.stream_id(input, false)
        } else {
            Some(any_stream(input))
        };
        let (one, other) = (input.varint(), input.varint());
        if let Some(stream) = stream {
            Frame::MaxStreamData {
                stream,
                consumed: one.min(other),
                max: one.max(other),
            }
            .encode(out);
        }
    }

    /// RESET of a stream that the peer sends, or STOP of one that the endpoint sends.
    fn end_stream(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) {
        let peer_sends = input.below(2) == 0;
        let Some(stream) = self.stream_id(input, peer_sends) else {
            return;
        };
        let code = input.varint();
        if !peer_sends {
            return Frame::Stop { stream, code }.encode(out);
        }
        let sent = self.sent.entry(stream).or_default();
        sent.finished = true;
        let final_size = sent.end;
        Frame::Reset {
            stream,
            code,
            final_size,
        }
        .encode(out);
    }
}

fn any_stream(input: &mut Input<'_>) -> StreamId {
    let number = match input.below(4) {
        0 => input.varint(),
        _ => u64::from(input.byte()),
    };
    StreamId::from_wire(number).unwrap_or(StreamId::new(CallId(0), Lane::Control))
}

fn acknowledge(
    ranges: impl Iterator<Item = RangeInclusive<u64>>,
    input: &mut Input<'_>,
    out: &mut Vec<u8>,
) {
    let delay = Duration::from_micros(input.varint());
    let ecn = (input.below(2) == 0).then(|| EcnCounts {
        ect0: input.varint(),
        ect1: input.varint(),
        ce: input.varint(),
    });
    encode_ack(ranges, delay, ecn, 400, out);
}

/// Returns the ranges of counters that come in descending order.
fn ranges(counters: impl Iterator<Item = u64>) -> impl Iterator<Item = RangeInclusive<u64>> {
    let mut counters = counters.peekable();
    std::iter::from_fn(move || {
        let end = counters.next()?;
        let mut start = end;
        while let Some(next) = counters.next_if(|&next| next + 1 == start) {
            start = next;
        }
        Some(start..=end)
    })
}
