//! Frames of every type are encoded and decoded; arbitrary bytes never panic.

use std::time::Duration;

use proptest::prelude::*;

use super::limits::{MAX_VARINT, MIN_DATAGRAM};
use super::{
    CallId, Early, EcnCounts, Frame, Frames, Hello, Lane, SessionId, StreamId, encode_ack,
};

static BYTES: [u8; 2000] = [0x5A; 2000];
static TEXT: &str = "closed: the agent is told to stop — уходим 再見";

fn varint() -> impl Strategy<Value = u64> {
    (0..=62u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

fn stream_id() -> impl Strategy<Value = StreamId> {
    let lane = prop::sample::select(vec![Lane::Control, Lane::Data, Lane::Stderr]);
    (any::<u32>(), lane).prop_map(|(call, lane)| StreamId::new(CallId(call), lane))
}

fn stream() -> impl Strategy<Value = Frame<'static>> {
    let length = 0..BYTES.len();
    (stream_id(), varint(), any::<bool>(), length).prop_map(|(stream, offset, fin, length)| {
        Frame::Stream {
            stream,
            offset: offset.min(MAX_VARINT - length as u64),
            fin,
            data: &BYTES[..length],
        }
    })
}

fn hello() -> impl Strategy<Value = Frame<'static>> {
    let early = prop::sample::select(vec![Early::Accepted, Early::Refused]);
    let token = any::<Option<[u8; 16]>>;
    (any::<[u64; 3]>(), early, token(), token(), varint()).prop_map(
        |(numbers, early, invite, reset_token, max_datagram)| {
            Frame::Hello(Hello {
                epoch: numbers[0],
                agent_time: Duration::from_micros(numbers[1]),
                session: SessionId(numbers[2]),
                early,
                invite,
                reset_token,
                max_datagram: max_datagram.max(MIN_DATAGRAM as u64),
            })
        },
    )
}

fn close() -> impl Strategy<Value = Frame<'static>> {
    let ends: Vec<_> = TEXT.char_indices().map(|(at, _)| at).collect();
    (varint(), prop::sample::select(ends)).prop_map(|(code, end)| Frame::Close {
        code,
        reason: &TEXT[..end],
    })
}

/// Any frame except PADDING, whose runs merge, and ACK, which has tests of its own.
fn frame() -> impl Strategy<Value = Frame<'static>> {
    prop_oneof![
        Just(Frame::Ping),
        stream(),
        varint().prop_map(Frame::MaxData),
        (stream_id(), varint(), varint()).prop_map(|(stream, a, b)| Frame::MaxStreamData {
            stream,
            consumed: a.min(b),
            max: a.max(b),
        }),
        (stream_id(), varint(), varint()).prop_map(|(stream, code, final_size)| {
            Frame::Reset {
                stream,
                code,
                final_size,
            }
        }),
        (stream_id(), varint()).prop_map(|(stream, code)| Frame::Stop { stream, code }),
        any::<[u8; 8]>().prop_map(Frame::PathChallenge),
        any::<[u8; 8]>().prop_map(Frame::PathResponse),
        (varint(), any::<[u8; 32]>()).prop_map(|(phase, share)| Frame::Rekey { phase, share }),
        hello(),
        close(),
    ]
}

fn written(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        let before = out.len();
        frame.encode(&mut out);
        assert_eq!(out.len() - before, frame.size(), "{frame:?}");
    }
    out
}

/// Checks that every decoded frame is equal after encoding and decoding it again, and that nothing
/// follows an error.
fn read_all(bytes: &[u8]) {
    let mut frames = Frames::new(bytes);
    while let Some(frame) = frames.next() {
        let Ok(frame) = frame else {
            assert!(frames.next().is_none());
            break;
        };
        let again = written(&[frame]);
        assert_eq!(Frames::new(&again).next(), Some(Ok(frame)));
        if let Frame::Ack(ack) = frame {
            let ranges: Vec<_> = ack.ranges().collect();
            assert_eq!(ack.largest, *ranges[0].end());
            assert!(
                ranges
                    .windows(2)
                    .all(|pair| pair[1].end() + 1 < *pair[0].start())
            );
        }
    }
}

fn assert_encodings(encodings: &[(Frame<'_>, &[u8])]) {
    for (frame, octets) in encodings {
        assert_eq!(written(&[*frame]), *octets, "{frame:?}");
    }
}

// These bytes are version 1: other implementations depend on them.

#[test]
fn the_encoding_of_each_stream_frame_is_that_of_version_1() {
    let stream = StreamId::new(CallId(5), Lane::Data);
    assert_encodings(&[
        (
            Frame::Stream {
                stream,
                offset: 300,
                fin: false,
                data: b"ab",
            },
            &[0x04, 21, 0x41, 0x2C, 2, b'a', b'b'],
        ),
        (
            Frame::Stream {
                stream,
                offset: 0,
                fin: true,
                data: b"",
            },
            &[0x05, 21, 0, 0],
        ),
        (
            Frame::MaxStreamData {
                stream,
                consumed: 1,
                max: 2,
            },
            &[0x07, 21, 1, 2],
        ),
        (
            Frame::Reset {
                stream,
                code: 3,
                final_size: 4,
            },
            &[0x08, 21, 3, 4],
        ),
        (Frame::Stop { stream, code: 3 }, &[0x09, 21, 3]),
    ]);
}

#[test]
fn the_encoding_of_each_session_frame_is_that_of_version_1() {
    assert_encodings(&[
        (Frame::Padding, &[0x00]),
        (Frame::Ping, &[0x01]),
        (Frame::MaxData(1 << 20), &[0x06, 0x80, 0x10, 0x00, 0x00]),
        (Frame::PathChallenge(*b"01234567"), b"\x0A01234567"),
        (Frame::PathResponse(*b"01234567"), b"\x0B01234567"),
        (
            Frame::Rekey {
                phase: 1,
                share: *b"0123456789abcdef0123456789abcdef",
            },
            b"\x0C\x010123456789abcdef0123456789abcdef",
        ),
        (
            Frame::Hello(Hello {
                epoch: 1,
                agent_time: Duration::from_micros(2),
                session: SessionId(3),
                early: Early::Refused,
                invite: Some(*b"0123456789abcdef"),
                reset_token: None,
                max_datagram: MIN_DATAGRAM as u64,
            }),
            b"\x0D\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x030123456789abcdef",
        ),
        (
            Frame::Hello(Hello {
                epoch: 1,
                agent_time: Duration::from_micros(2),
                session: SessionId(3),
                early: Early::Accepted,
                invite: None,
                reset_token: Some(*b"0123456789abcdef"),
                max_datagram: 65_507,
            }),
            b"\x0D\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x04\x18\x01\x100123456789abcdef\x02\x04\x80\0\xFF\xE3",
        ),
        (
            Frame::Close {
                code: 1,
                reason: "bye",
            },
            b"\x0E\x01\x03bye",
        ),
    ]);
}

#[test]
fn unknown_parameters_of_hello_are_ignored_and_malformed_ones_refused() {
    let hello = |parameters: &[u8]| {
        let mut octets = vec![0x0D];
        octets.extend([0; 24]);
        octets.push(4);
        octets.extend(parameters);
        match Frames::new(&octets).next() {
            Some(Ok(Frame::Hello(hello))) => Ok((hello.reset_token, hello.max_datagram)),
            other => Err(format!("{other:?}")),
        }
    };
    let token = |id: u8, size: u8| [&[id, size][..], &vec![7; usize::from(size)][..]].concat();
    let with_size = |parameters: &[u8]| {
        let size = u8::try_from(parameters.len()).unwrap();
        [&[size][..], parameters].concat()
    };
    assert_eq!(hello(&[0]), Ok((None, 1200)));
    let known = [
        token(9, 3),
        token(1, 16),
        token(3, 0),
        vec![2, 2, 0x45, 0xC0],
    ]
    .concat();
    assert_eq!(hello(&with_size(&known)), Ok((Some([7; 16]), 1472)));
    assert_eq!(hello(&with_size(&[2, 2, 0x44, 0xB0])), Ok((None, 1200)));
    for malformed in [
        with_size(&token(1, 15)),
        with_size(&[token(1, 16), token(1, 16)].concat()),
        // A largest datagram of 1199 octets, one that is no varint, one with an octet behind it, two of them.
        with_size(&[2, 2, 0x44, 0xAF]),
        with_size(&[2, 1, 0x45]),
        with_size(&[2, 3, 0x45, 0xC0, 0]),
        with_size(&[2, 2, 0x45, 0xC0, 2, 2, 0x45, 0xC0]),
        with_size(&[9]),
        with_size(&[9, 1]),
        vec![5, 1],
        vec![0xFF; 8],
    ] {
        assert!(hello(&malformed).is_err(), "{malformed:?}");
    }
}

const COUNTS: EcnCounts = EcnCounts {
    ect0: 100,
    ect1: 0,
    ce: 3,
};

#[test]
fn the_encoding_of_an_ack_is_that_of_version_1() {
    let ack = |ecn| {
        let (ranges, delay) = ([90..=99, 5..=7], Duration::from_micros(8));
        let mut ack = Vec::new();
        encode_ack(ranges.into_iter(), delay, ecn, 100, &mut ack);
        ack
    };
    // Largest 99 (two bytes), delay, one further range, length 10; a gap of 82, length 3.
    assert_eq!(ack(None), [0x02, 0x40, 99, 8, 1, 9, 0x40, 81, 2]);
    // The same, then the counts of ECT(0) (two bytes), ECT(1), and CE.
    let with_counts = [0x03, 0x40, 99, 8, 1, 9, 0x40, 81, 2, 0x40, 100, 0, 3];
    assert_eq!(ack(Some(COUNTS)), with_counts);
}

proptest! {
    #[test]
    fn encoded_frames_decode_equal(frames in prop::collection::vec(frame(), 0..6)) {
        let bytes = written(&frames);
        let read: Result<Vec<_>, _> = Frames::new(&bytes).collect();
        prop_assert_eq!(read, Ok(frames));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, kind in 0..16u8) {
        read_all(&bytes);
        read_all(&[&[kind], &bytes[..]].concat());
    }

    #[test]
    fn no_change_to_valid_frames_panics(
        frames in prop::collection::vec(frame(), 1..4),
        at: prop::sample::Index,
        byte: u8,
        with_ecn: bool,
    ) {
        let mut bytes = Vec::new();
        let ecn = with_ecn.then_some(COUNTS);
        encode_ack([90..=99, 5..=7].into_iter(), Duration::from_secs(1), ecn, 100, &mut bytes);
        bytes.extend_from_slice(&written(&frames));
        let at = at.index(bytes.len());
        read_all(&bytes[..at]);
        bytes[at] = byte;
        read_all(&bytes);
    }
}
