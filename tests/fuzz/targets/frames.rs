//! A decrypted payload: frames decode equal after they were encoded, and an error ends the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::wire::{Frame, Frames};

fuzz_target!(|bytes: &[u8]| {
    let mut frames = Frames::new(bytes);
    let mut again = Vec::new();
    while let Some(frame) = frames.next() {
        let Ok(frame) = frame else {
            assert!(frames.next().is_none());
            break;
        };
        again.clear();
        frame.encode(&mut again);
        assert_eq!(again.len(), frame.size());
        assert_eq!(Frames::new(&again).next(), Some(Ok(frame)));
        if let Frame::Ack(ack) = frame {
            let ranges: Vec<_> = ack.ranges().collect();
            assert_eq!(ack.largest, *ranges[0].end());
            for pair in ranges.windows(2) {
                assert!(pair[1].end() + 1 < *pair[0].start());
            }
        }
    }
});
