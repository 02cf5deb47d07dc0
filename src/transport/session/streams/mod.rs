//! The calls of a session with their lanes, and the credit of the session.
//!
//! Only the controller opens calls, in order of their numbers. A call leaves the table when the
//! application has released it and all its halves are done. So a frame for a call below the next number
//! that is not in the table is a late one and is ignored. Invariants: both endpoints count the same bytes
//! against the session's credit; every stream that can send is in a queue.

mod incoming;
mod intervals;
mod outgoing;
mod pending;
mod recv;
mod send;
mod shares;
mod window;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub(super) use recv::RecvHalf;
pub(super) use send::Chunk;
use send::SendHalf;
pub(super) use window::{Pace, Window};

use super::{Config, Fault, Held, StreamEvent, limits};
use crate::wire::{CallId, Lane, StreamId};
use pending::PendingFrames;

/// Role of the local endpoint in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Controller,
    Agent,
}

#[derive(Default)]
struct Lanes {
    send: [Option<SendHalf>; 3],
    recv: [Option<RecvHalf>; 3],
    /// Code of the STOP to send, by lane.
    stop: [Option<u64>; 3],
    released: bool,
}

/// All streams of a session.
pub(super) struct Streams {
    side: Side,
    /// Window of a new stream.
    stream_window: Window,
    session_window: u64,
    /// Bytes by which the windows of the streams exceed the assured ones, and those of them that have opened them to
    /// their first size.
    window_growth: u64,
    window_opened: u64,
    /// Boxed, because a node of the map has space for eleven.
    calls: BTreeMap<u32, Box<Lanes>>,
    /// Lowest call number that is above every number used so far.
    next_call: u32,
    /// Streams with something to send, each at most once.
    sendable: VecDeque<StreamId>,
    /// The one of them that has sent last in this batch.
    turn: Option<StreamId>,
    /// Streams with data or a reset for the application, each at most once.
    readable: VecDeque<StreamId>,
    /// Streams with credit or consumption that the application has not been told, each at most once.
    writable: VecDeque<StreamId>,
    /// Calls that have ended. They come first, or a peer that keeps a stream readable could pile them up.
    ended: VecDeque<CallId>,
    /// Other events: the end of a sending half, which comes once.
    events: VecDeque<StreamEvent>,
    /// Streams with a MAX_STREAM_DATA, RESET or STOP to send.
    pending: PendingFrames,
    /// True if a MAX_DATA is to be sent.
    max_data_pending: bool,
    /// Lanes of forgotten calls for which a RESET is to be sent.
    forgotten: VecDeque<StreamId>,
    /// Bytes sent on all streams, and the peer's limit for them.
    sent: u64,
    sent_limit: u64,
    /// Bytes received on all streams, bytes consumed of them, and the limit granted to the peer.
    received: u64,
    consumed: u64,
    granted: u64,
    /// Memory held, and the further memory that the key's share allows.
    gap_bytes: u64,
    ready_bytes: u64,
    allowance: Held,
    /// True if a frame did not fit the share.
    refused: bool,
}

/// A frame about the credit or the abrupt end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamFrame {
    Credit {
        stream: StreamId,
        consumed: u64,
        max: u64,
    },
    Reset {
        stream: StreamId,
        code: u64,
        final_size: u64,
    },
    Stop {
        stream: StreamId,
        code: u64,
    },
}

impl Streams {
    pub(super) fn new(side: Side, config: &Config) -> Self {
        Self {
            side,
            stream_window: Window::new(
                config.assured_window.min(config.stream_window),
                config.stream_window,
                config.max_stream_window,
            ),
            session_window: config.session_window,
            window_growth: 0,
            window_opened: 0,
            calls: BTreeMap::new(),
            next_call: 0,
            sendable: VecDeque::new(),
            turn: None,
            readable: VecDeque::new(),
            writable: VecDeque::new(),
            ended: VecDeque::new(),
            events: VecDeque::new(),
            pending: PendingFrames::default(),
            max_data_pending: false,
            forgotten: VecDeque::new(),
            sent: 0,
            sent_limit: limits::INITIAL_SESSION_CREDIT,
            received: 0,
            consumed: 0,
            granted: limits::INITIAL_SESSION_CREDIT,
            gap_bytes: 0,
            ready_bytes: 0,
            allowance: Held {
                gap_bytes: u64::MAX,
                ready_bytes: u64::MAX,
                calls: u64::MAX,
                window_growth: 0,
            },
            refused: false,
        }
    }

    /// Gives up all calls of a session that is over.
    pub(super) fn forget(&mut self) {
        self.calls.clear();
        self.gap_bytes = 0;
        self.ready_bytes = 0;
        self.window_growth = 0;
        self.window_opened = 0;
    }

    /// Returns the number of open calls.
    pub(super) fn open_calls(&self) -> usize {
        self.calls.len()
    }

    fn may_send(&self, lane: Lane) -> bool {
        self.side == Side::Agent || lane != Lane::Stderr
    }

    // Commands of the application.

    pub(super) fn write(&mut self, stream: StreamId, data: Bytes, fin: bool) {
        let call = stream.call();
        if !self.may_send(stream.lane()) {
            return;
        }
        if !self.calls.contains_key(&call.0) {
            if self.side == Side::Agent || call.0 < self.next_call {
                return;
            }
            if self.calls.len() >= limits::CALLS {
                self.ended.push_back(call);
                return;
            }
            self.next_call = call.0.saturating_add(1);
        }
        let lanes = self.calls.entry(call.0).or_default();
        let half = lanes.send[stream.lane() as usize].get_or_insert_with(SendHalf::new);
        half.write(data, fin);
        self.queue(stream);
    }

    pub(super) fn consumed(&mut self, stream: StreamId, bytes: u64, pace: Pace) {
        let allowed = self.allowance.window_growth;
        let Some(half) = self.recv_half(stream) else {
            return;
        };
        if half.is_discarding() {
            return;
        }
        let freed = half.on_consumed(bytes);
        let growth = half.adapt_window(pace, allowed);
        if half.wants_credit() {
            self.pending.add(stream);
        }
        self.window_growth += growth;
        self.allowance.window_growth -= growth;
        self.return_session_credit(freed);
    }

    pub(super) fn reset(&mut self, stream: StreamId, code: u64) {
        if let Some(lanes) = self.calls.get_mut(&stream.call().0)
            && lanes.send[stream.lane() as usize]
                .get_or_insert_with(SendHalf::new)
                .reset(code)
        {
            self.pending.add(stream);
        }
    }

    pub(super) fn stop(&mut self, stream: StreamId, code: u64) {
        let window = self.stream_window;
        let Some(lanes) = self.calls.get_mut(&stream.call().0) else {
            return;
        };
        let lane = stream.lane() as usize;
        let half = lanes.recv[lane].get_or_insert_with(|| RecvHalf::new(window));
        if half.is_discarding() {
            return;
        }
        let before = half.bytes();
        let freed = half.discard();
        if !half.has_final_size() {
            lanes.stop[lane] = Some(code);
            self.pending.add(stream);
        }
        self.on_bytes(before, (0, 0));
        self.return_session_credit(freed);
    }

    /// Resets and stops the halves of a call that are still open.
    pub(super) fn release(&mut self, call: CallId) {
        let Some(lanes) = self.calls.get_mut(&call.0) else {
            return;
        };
        if std::mem::replace(&mut lanes.released, true) {
            return;
        }
        self.readable.retain(|stream| stream.call() != call);
        self.writable.retain(|stream| stream.call() != call);
        self.events.retain(|event| event.call() != call);
        for lane in [Lane::Control, Lane::Data, Lane::Stderr] {
            let stream = StreamId::new(call, lane);
            if self.may_receive(lane) && !self.recv_done(stream) {
                self.stop(stream, 0);
            }
            let is_unfinished = match self.send_half(stream) {
                Some(half) => half.is_unfinished(),
                // An agent waits for the end of a controller's half that was not used, and would ask for it by STOP.
                None => self.side == Side::Controller && lane != Lane::Stderr,
            };
            if is_unfinished {
                self.reset(stream, 0);
            }
        }
        self.forget_if_done(call);
    }

    fn may_receive(&self, lane: Lane) -> bool {
        self.side == Side::Controller || lane != Lane::Stderr
    }

    fn recv_done(&mut self, stream: StreamId) -> bool {
        self.recv_half(stream).is_some_and(|half| half.is_done())
    }

    /// Returns the call that a frame names, opened if the peer may open it; `None` if the call has ended.
    fn lanes_for_frame(&mut self, stream: StreamId) -> Result<Option<&mut Lanes>, Fault> {
        let call = stream.call().0;
        if !self.calls.contains_key(&call) {
            if call < self.next_call {
                return Ok(None);
            }
            if self.side == Side::Controller {
                return Err(Fault::CallNotOpened);
            }
            if self.calls.len() >= limits::CALLS_TOLERATED {
                return Err(Fault::Calls);
            }
            // Datagrams may arrive out of order, so this opens the calls in between too.
            if u64::from(call - self.next_call) >= limits::CALLS_TOLERATED as u64 {
                return Err(Fault::CallNumber);
            }
            let opened = u64::from(call - self.next_call) + 1;
            let Some(left) = self.allowance.calls.checked_sub(opened) else {
                self.refused = true;
                return Ok(None);
            };
            self.allowance.calls = left;
            for between in self.next_call..=call {
                self.calls.insert(between, Box::default());
            }
            self.next_call = call.checked_add(1).ok_or(Fault::CallNumber)?;
        }
        Ok(self.calls.get_mut(&call).map(AsMut::as_mut))
    }

    fn half_for_frame(&mut self, stream: StreamId) -> Result<Option<&mut RecvHalf>, Fault> {
        if !self.may_receive(stream.lane()) {
            return Err(Fault::Direction);
        }
        let window = self.stream_window;
        let lanes = self.lanes_for_frame(stream)?;
        Ok(lanes.map(|lanes| {
            lanes.recv[stream.lane() as usize].get_or_insert_with(|| RecvHalf::new(window))
        }))
    }

    fn recv_half(&mut self, stream: StreamId) -> Option<&mut RecvHalf> {
        self.calls.get_mut(&stream.call().0)?.recv[stream.lane() as usize].as_mut()
    }

    fn send_half(&mut self, stream: StreamId) -> Option<&mut SendHalf> {
        self.calls.get_mut(&stream.call().0)?.send[stream.lane() as usize].as_mut()
    }

    /// Counts consumed bytes and schedules a MAX_DATA once the limit can rise by a quarter of the window.
    pub(super) fn return_session_credit(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
        let window = self.credit_window();
        if self.consumed.saturating_add(window) >= self.granted.saturating_add((window / 4).max(1))
            && self.received >= limits::INITIAL_SESSION_CREDIT / 8
        {
            self.max_data_pending = true;
        }
    }

    /// Removes a call that is released and whose halves are all done.
    fn forget_if_done(&mut self, call: CallId) {
        let receives = [
            self.may_receive(Lane::Control),
            self.may_receive(Lane::Data),
            self.may_receive(Lane::Stderr),
        ];
        let Some(lanes) = self.calls.get(&call.0) else {
            return;
        };
        let received = lanes
            .recv
            .iter()
            .zip(receives)
            .all(|(half, may)| !may || half.as_ref().is_some_and(RecvHalf::is_done));
        let sent = lanes.send.iter().flatten().all(SendHalf::is_done);
        if lanes.released && received && sent {
            for half in lanes.recv.iter().flatten() {
                let (extra, opened) = half.window_extra();
                self.window_growth -= extra;
                self.window_opened -= opened;
            }
            self.calls.remove(&call.0);
            self.ended.push_back(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::crypto::SecretKey;
    use crate::rng::Rng;

    fn config() -> Config {
        Config::new(SecretKey::generate(&mut Rng::from_seed([1; 32])), None)
    }

    #[test]
    fn bytes_that_the_application_has_not_taken_count_against_the_share_of_the_key() {
        let mut streams = Streams::new(Side::Agent, &config());
        let stream = StreamId::new(CallId(0), Lane::Control);
        let share = Held {
            gap_bytes: 0,
            ready_bytes: 10,
            calls: 1,
            window_growth: 0,
        };
        streams.set_allowance(share);
        streams.on_stream(stream, 0, b"0123456789", false).unwrap();
        assert!(!streams.take_refused());
        streams.on_stream(stream, 10, b"x", false).unwrap();
        assert!(streams.take_refused());
        assert_eq!(streams.held().ready_bytes, 10);
        let event = streams.poll_event();
        let Some(StreamEvent::Data { data, .. }) = event else {
            panic!("{event:?}");
        };
        assert_eq!(data, "0123456789");
        assert_eq!(streams.held().ready_bytes, 0);
        streams.set_allowance(share);
        streams.on_stream(stream, 10, b"x", false).unwrap();
        assert!(!streams.take_refused());
    }

    #[test]
    fn events_that_nobody_takes_do_not_pile_up() {
        let mut streams = Streams::new(Side::Agent, &config());
        let stream = StreamId::new(CallId(0), Lane::Data);
        for number in 0..1000 {
            streams.on_stream(stream, number, b"x", false).unwrap();
            let max = (1 << 20) + number;
            streams.on_max_stream_data(stream, 0, max).unwrap();
        }
        let events: Vec<_> = std::iter::from_fn(|| streams.poll_event()).collect();
        let [
            StreamEvent::Data { data, .. },
            StreamEvent::Writable { limit, .. },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!((data.len(), *limit), (1000, (1 << 20) + 999));
    }

    #[test]
    fn a_stream_has_its_turn_until_the_batch_is_full_or_it_has_nothing_more() {
        let mut streams = Streams::new(Side::Agent, &config());
        let [one, other] = [0, 1].map(|call| StreamId::new(CallId(call), Lane::Data));
        for stream in [one, other] {
            streams.on_stream(stream, 0, b"", false).unwrap();
            streams.write(stream, Bytes::from_static(&[0; 40]), false);
        }
        let batch = |streams: &mut Streams, datagrams: usize| {
            streams.begin_batch();
            let chunks = (0..datagrams).map_while(|_| streams.next_chunk(|_, _| 10));
            chunks
                .map(|(stream, _)| stream.call().0)
                .collect::<Vec<_>>()
        };
        assert_eq!(batch(&mut streams, 2), [0, 0]);
        assert_eq!(batch(&mut streams, 2), [1, 1]);
        assert_eq!(batch(&mut streams, 1), [0]);
        assert_eq!(batch(&mut streams, 1), [1]);
        // The first has ten bytes left.
        assert_eq!(batch(&mut streams, 2), [0, 1]);
        assert!(batch(&mut streams, 1).is_empty());
    }
}
