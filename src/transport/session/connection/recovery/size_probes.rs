//! Probes of larger datagrams, in loss detection.

use smallvec::smallvec;

use super::*;
use crate::session::congestion::Lost;
use crate::wire::{Frame, Frames, encode_ack};

/// A controller that only notes the bytes of losses.
struct Losses(std::sync::mpsc::Sender<u64>);

impl Controller for Losses {
    fn on_sent(&mut self, _: Instant, _: u64, _: u64) {}
    fn on_acked(&mut self, _: Instant, _: &Acked) {}
    fn on_lost(&mut self, _: Instant, lost: &Lost) {
        self.0.send(lost.bytes).expect("the test waits");
    }
    fn on_spurious(&mut self, _: Instant, _: u64) {}
    fn window(&self) -> u64 {
        1 << 20
    }
    fn pacing_rate(&self) -> u64 {
        1 << 30
    }
    fn on_datagram_size(&mut self, _: u64) {}

    fn resume(&mut self, _: KnownPath) {}

    fn known_path(&self) -> Option<KnownPath> {
        None
    }
}

#[test]
fn a_lost_probe_of_a_larger_size_is_no_sign_of_congestion() {
    let now = Instant::from_micros(1);
    let mut recovery = Recovery::new(now, Duration::from_millis(50), 1200, 1);
    let (sender, losses) = std::sync::mpsc::channel();
    recovery.congestion = Box::new(Losses(sender));
    let credit = |recovery: &mut Recovery| recovery.pacer.allowance(now, 1);
    let before = credit(&mut recovery);
    recovery.on_sent(now, 9000, true, smallvec![SentFrame::SizeProbe]);
    assert_eq!(credit(&mut recovery), before);
    for _ in 0..10 {
        recovery.on_sent(now, 1000, true, SentFrames::new());
    }
    let Expired::Probe(frames) = recovery.expired(now) else {
        panic!("a probe timeout");
    };
    assert!(frames.is_empty(), "{frames:?}");
    let mut payload = Vec::new();
    encode_ack(
        std::iter::once(4..=10),
        Duration::ZERO,
        None,
        1000,
        &mut payload,
    );
    let Some(Ok(Frame::Ack(ack))) = Frames::new(&payload).next() else {
        panic!("an ACK");
    };
    let outcome = recovery.on_ack(now, &ack).unwrap();
    let sizes: Vec<_> = outcome.lost.iter().map(|packet| packet.bytes).collect();
    assert_eq!(sizes, [9000, 1000, 1000, 1000]);
    assert_eq!(losses.try_iter().collect::<Vec<_>>(), [3000]);
}
