//! Authenticated peers that violate the protocol: the session is closed with a reason, and memory stays
//! bounded.

use smallvec::SmallVec;

use super::*;
use crate::wire::limits::{DATA_HEADER, MAX_COUNTER};
use crate::wire::{Data, Frame, FrameType, encode_ack};

/// Returns a pair whose agent has received one more datagram of the controller, with the frames of `write`.
fn after(write: impl Fn(&mut Vec<u8>)) -> Pair {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.connect(1, None, b"x");
    pair.run(pair.now + SECOND);
    let peer = pair.controller.session(0).unwrap();
    let mut datagram = Vec::new();
    let start = peer.begin(&mut datagram);
    write(&mut datagram);
    peer.finish(pair.now, &mut datagram, start, true, SmallVec::new());
    pair.wire.push((pair.now, true, datagram));
    pair.run(pair.now + SECOND);
    pair
}

/// Returns the violation with which the agent closed the session, if the CLOSE reached the controller.
fn violation(pair: &Pair) -> Option<(Option<FrameType>, Fault)> {
    let reached = pair.controller_events.iter().any(|event| {
        matches!(
            event,
            Event::Closed {
                reason: Closed::ByPeer { code: 1, .. },
                ..
            }
        )
    });
    pair.agent_events.iter().find_map(|event| match event {
        Event::Closed {
            reason: Closed::Violation(violation),
            ..
        } if reached => Some((violation.frame, violation.fault)),
        _ => None,
    })
}

fn stream(call: u32, lane: Lane, offset: u64, fin: bool, data: &[u8], out: &mut Vec<u8>) {
    let stream = StreamId::new(CallId(call), lane);
    Frame::Stream {
        stream,
        offset,
        fin,
        data,
    }
    .encode(out);
}

#[test]
fn valid_frames_are_no_violation() {
    let pair = after(|out| stream(0, Lane::Data, 0, true, b"stdin", out));
    assert_eq!(violation(&pair), None);
    assert_eq!(pair.received(Lane::Data), b"stdin");
}

#[test]
fn an_ack_for_a_counter_that_was_never_sent_closes_the_session() {
    let pair = after(|out| {
        encode_ack(std::iter::once(1..=5000), Duration::ZERO, None, 100, out);
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Ack), Fault::NeverSent))
    );
}

/// Returns a pair of which the agent has sent enough to have skipped counters, and the last of these.
fn after_a_transfer() -> (Pair, u64) {
    let mut pair = Pair::new(Duration::from_millis(5));
    let session = pair.connect(1, None, b"x");
    let stream = StreamId::new(CallId(0), Lane::Data);
    pair.apply(Command::Write {
        session,
        stream,
        data: vec![1; 4_000_000].into(),
        fin: true,
    });
    pair.run(pair.now + SECOND * 60);
    assert_eq!(pair.received(Lane::Data).len(), 4_000_000);
    let recovery = &pair.agent.session(0).unwrap().recovery;
    let is_skipped = |counter: &u64| recovery.skipped.intersects(&(*counter..=*counter));
    let skipped = (0..recovery.sent.next_counter()).rev().find(is_skipped);
    (pair, skipped.expect("thousands of datagrams were sent"))
}

#[test]
fn an_ack_for_a_skipped_counter_closes_the_session_and_one_without_it_does_not() {
    for (is_covered, fault) in [
        (true, Some((Some(FrameType::Ack), Fault::Skipped))),
        (false, None),
    ] {
        let (mut pair, skipped) = after_a_transfer();
        let peer = pair.controller.session(0).unwrap();
        let mut datagram = Vec::new();
        let start = peer.begin(&mut datagram);
        let ranges = if is_covered {
            vec![skipped - 1..=skipped + 1]
        } else {
            vec![skipped + 1..=skipped + 1, skipped - 1..=skipped - 1]
        };
        encode_ack(ranges.into_iter(), Duration::ZERO, None, 100, &mut datagram);
        peer.finish(pair.now, &mut datagram, start, true, SmallVec::new());
        pair.wire.push((pair.now, true, datagram));
        pair.run(pair.now + SECOND);
        assert_eq!(violation(&pair), fault);
    }
}

#[test]
fn data_beyond_the_credit_of_a_stream_closes_the_session() {
    let pair = after(|out| {
        stream(
            0,
            Lane::Data,
            limits::INITIAL_STREAM_CREDIT,
            false,
            b"x",
            out,
        );
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::StreamCredit))
    );
}

#[test]
fn data_beyond_the_credit_of_the_session_closes_it() {
    let pair = after(|out| {
        for call in 1..=5 {
            stream(
                call,
                Lane::Data,
                limits::INITIAL_STREAM_CREDIT - 1,
                false,
                b"x",
                out,
            );
        }
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::SessionCredit))
    );
}

#[test]
fn a_final_size_that_changes_closes_the_session() {
    let pair = after(|out| {
        stream(0, Lane::Data, 0, true, b"all", out);
        stream(0, Lane::Data, 3, true, b"more", out);
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::FinalSizeChanged))
    );
    let pair = after(|out| {
        stream(0, Lane::Data, 9, false, b"x", out);
        stream(0, Lane::Data, 0, true, b"all", out);
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::FinalSizeTooLow))
    );
}

#[test]
fn bytes_to_the_agent_on_the_stderr_lane_close_the_session() {
    let pair = after(|out| stream(0, Lane::Stderr, 0, false, b"x", out));
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::Direction))
    );
}

#[test]
fn calls_beyond_the_bound_close_the_session() {
    let pair = after(|out| stream(100_000, Lane::Control, 0, false, b"x", out));
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::CallNumber))
    );
    let pair = after(|out| {
        (1..=200).for_each(|call| stream(call, Lane::Control, 0, false, b"", out));
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Stream), Fault::Calls))
    );
}

#[test]
fn malformed_and_forbidden_frames_close_the_session() {
    let pair = after(|out| out.push(0x7F));
    assert_eq!(violation(&pair), Some((None, Fault::Malformed)));
    let pair = after(|out| {
        Frame::Rekey {
            phase: 1,
            share: [9; 32],
        }
        .encode(out);
    });
    assert_eq!(
        violation(&pair),
        Some((Some(FrameType::Rekey), Fault::NotAllowed))
    );
}

#[test]
fn a_counter_above_the_largest_that_an_ack_can_encode_is_dropped_before_it_is_opened() {
    let mut pair = Pair::new(Duration::from_millis(5));
    let session = pair.connect(1, None, b"x");
    pair.run(pair.now + SECOND);
    let before = pair.agent.stats();
    let counters = [u64::MAX, u64::MAX - 1, 1 << 63, MAX_COUNTER + 1];
    for counter in counters.into_iter().chain([MAX_COUNTER, MAX_COUNTER - 1]) {
        let peer = pair.controller.session(0).unwrap();
        let header = Data {
            phase: 0,
            receiver: peer.remote,
            counter,
        };
        let mut datagram = header.encode().to_vec();
        Frame::Ping.encode(&mut datagram);
        let keys = peer.keys.as_ref().unwrap();
        keys.seal
            .seal(counter, &header.encode(), &mut datagram, DATA_HEADER);
        pair.agent
            .handle_datagram(pair.now, path(false), None, &mut datagram);
        pair.drain();
    }
    let after = pair.agent.stats();
    let count = |reason: Drop| after.dropped[reason as usize] - before.dropped[reason as usize];
    assert_eq!(count(Drop::Malformed), counters.len() as u64);
    assert_eq!(count(Drop::Forged), 0);
    // The two at the end of the range are accepted and acknowledged, and the controller never sent them.
    pair.run(pair.now + SECOND);
    assert!(pair.controller_events.contains(&Event::Closed {
        session,
        reason: Closed::Violation(Violation {
            frame: Some(FrameType::Ack),
            fault: Fault::NeverSent
        }),
    }));
}

#[test]
fn the_number_of_one_byte_chunks_beyond_gaps_is_bounded() {
    let mut half = streams::RecvHalf::new(streams::Window::new(
        limits::STREAM_WINDOW,
        limits::STREAM_WINDOW,
        limits::STREAM_WINDOW,
    ));
    let outcome = (0..30_000).try_for_each(|n| {
        half.on_stream(2 * n + 1, b"x", false, (u64::MAX, u64::MAX))
            .map(drop)
    });
    assert_eq!(outcome, Err(Fault::Gaps));
}

#[test]
fn a_datagram_with_a_changed_bit_is_dropped_and_counted() {
    let mut pair = Pair::new(Duration::from_millis(5));
    pair.connect(1, None, b"x");
    pair.run(pair.now + SECOND);
    let peer = pair.controller.session(0).unwrap();
    let mut datagram = Vec::new();
    let start = peer.begin(&mut datagram);
    Frame::Ping.encode(&mut datagram);
    peer.finish(pair.now, &mut datagram, start, true, SmallVec::new());
    let before = pair.agent.stats();
    for index in 0..datagram.len() {
        let mut changed = datagram.clone();
        changed[index] ^= 1;
        if changed[..3] == datagram[..3] {
            pair.agent
                .handle_datagram(pair.now, path(false), None, &mut changed);
        }
    }
    pair.agent
        .handle_datagram(pair.now, path(false), None, &mut datagram.clone());
    pair.agent
        .handle_datagram(pair.now, path(false), None, &mut datagram.clone());
    let after = pair.agent.stats();
    let count = |reason: Drop| after.dropped[reason as usize] - before.dropped[reason as usize];
    let dropped: u64 = Drop::ALL.into_iter().map(count).sum();
    assert_eq!(
        dropped,
        datagram.len() as u64 - 3 + 1,
        "all changed datagrams and one duplicate"
    );
    assert!(count(Drop::Duplicate) >= 1);
}
