//! Reassembly, credit and the end of a receiving half.

use std::time::Duration;

use super::*;
use crate::time::Instant;

const ANY: (u64, u64) = (u64::MAX, u64::MAX);

fn window() -> Window {
    Window::new(
        limits::STREAM_WINDOW,
        limits::STREAM_WINDOW,
        limits::STREAM_WINDOW,
    )
}

#[test]
fn a_reset_after_all_data_is_not_the_end_of_the_data() {
    for data in [&b""[..], b"abc"] {
        let mut half = RecvHalf::new(window());
        half.on_stream(0, data, false, ANY).unwrap();
        half.on_reset(2, data.len() as u64).unwrap();
        // A FIN after the RESET does not make the data complete.
        half.on_stream(0, data, true, ANY).unwrap();
        if !data.is_empty() {
            let data = Bytes::from_static(b"abc");
            assert_eq!(half.take_ready(), Some((0, data, false)));
        }
        assert_eq!((half.take_ready(), half.take_reset()), (None, Some(2)));
        assert!(half.is_done());
    }
}

#[test]
fn a_reset_after_fin_and_all_data_is_ignored() {
    let mut half = RecvHalf::new(window());
    half.on_stream(0, b"abc", true, ANY).unwrap();
    half.on_reset(2, 3).unwrap();
    let data = Bytes::from_static(b"abc");
    assert_eq!(half.take_ready(), Some((0, data, true)));
    assert_eq!((half.take_reset(), half.is_done()), (None, true));
}

#[test]
fn a_reset_after_fin_takes_effect_while_data_is_missing() {
    let mut half = RecvHalf::new(window());
    half.on_stream(2, b"c", true, ANY).unwrap();
    half.on_reset(2, 3).unwrap();
    half.on_stream(0, b"ab", false, ANY).unwrap();
    assert_eq!((half.take_ready(), half.take_reset()), (None, Some(2)));
}

#[test]
fn bytes_for_which_there_is_no_room_are_ignored_as_a_whole() {
    let mut half = RecvHalf::new(window());
    let short = (limits::GAP_OVERHEAD + 1, 2);
    assert_eq!(half.on_stream(0, b"abc", false, short), Ok(None));
    assert_eq!(half.on_stream(1, b"bc", false, short), Ok(None));
    assert_eq!(half.bytes(), (0, 0));
    assert_eq!(half.on_stream(0, b"abc", false, (0, 3)), Ok(Some(3)));
    assert_eq!(half.bytes(), (0, 3));
    // A repeat brings nothing new.
    assert_eq!(half.on_stream(0, b"abc", false, (0, 0)), Ok(Some(0)));
    assert!(half.take_ready().is_some());
    assert_eq!(half.bytes(), (0, 0));
}

#[test]
fn only_a_stream_whose_window_has_grown_keeps_memory_for_what_comes_next() {
    for (consumed, kept) in [(1000, 0), (1 << 20, limits::READY_BLOCK - 1000)] {
        let mut half = RecvHalf::new(Window::new(1 << 20, 1 << 20, 16 << 20));
        let mut pace = Pace {
            now: Instant::ZERO,
            rtt: Duration::from_millis(50),
        };
        let before = limits::UNREAD + 1;
        half.window.on_consumed(pace, before, u64::MAX);
        pace.now += pace.rtt;
        half.window.on_consumed(pace, before + consumed, u64::MAX);
        half.on_stream(0, &[1; 1000], false, ANY).unwrap();
        assert!(half.take_ready().is_some());
        assert_eq!(half.ready.capacity() as u64, kept);
    }
}
