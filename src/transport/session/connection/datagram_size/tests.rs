//! The search over paths of which only the largest datagram is known.

use std::time::Duration;

use super::*;
use crate::session::congestion::DeliveryRate;
use crate::session::connection::sent::SentFrames;
use crate::wire::limits::MAX_DATAGRAM;

/// Pacing rate of a path that is fast enough for every size.
const FAST: u64 = 1 << 30;

/// Payload of an Ethernet frame over IPv4.
const ETHERNET: usize = 1472;

fn at(millis: u64) -> Instant {
    Instant::from_micros(1_000_000 + millis * 1000)
}

fn remote(text: &str) -> PeerAddr {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

fn packet(time: Instant, bytes: usize, frames: SentFrames) -> SentPacket {
    SentPacket {
        time,
        bytes: bytes as u64,
        eliciting: true,
        marked: false,
        rate: DeliveryRate::default().on_sent(time, 0),
        frames,
    }
}

/// A search whose peer accepts everything, after enough bytes.
fn begun(address: &str) -> DatagramSize {
    let mut search = DatagramSize::new(MAX_DATAGRAM, remote(address));
    search.on_peer_limit(MAX_DATAGRAM as u64);
    search.on_sent(64 << 10);
    search
}

fn send_probe(search: &mut DatagramSize, now: Instant) -> Option<SentPacket> {
    let size = search.next_probe(now, FAST)?;
    search.probe = Some(Probe {
        size,
        counter: 1,
        sent: now,
    });
    assert_eq!(search.next_probe(now, FAST), None, "one at a time");
    Some(packet(now, size, smallvec![SentFrame::SizeProbe]))
}

/// Probes a path until there is nothing to probe; returns the sizes of the probes.
fn probe_all(search: &mut DatagramSize, passes: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(probe) = send_probe(search, at(sizes.len() as u64)) {
        sizes.push(usize::try_from(probe.bytes).unwrap());
        if sizes[sizes.len() - 1] <= passes {
            search.on_acked(&probe);
        } else {
            search.on_lost(&probe);
        }
        assert!(sizes.len() < 100, "{sizes:?}");
    }
    sizes
}

#[test]
fn the_sizes_of_common_links_are_found_with_few_probes() {
    let mut search = begun("192.0.2.1:9");
    let sizes = probe_all(&mut search, MAX_DATAGRAM);
    assert_eq!(sizes, [ETHERNET, 8972, 65_507]);
    assert_eq!(search.size_at(FAST), 65_507);

    let mut search = begun("[2001:db8::1]:9");
    let sizes = probe_all(&mut search, 65_488);
    assert_eq!(sizes, [1452, 8952, 65_488, 65_507, 65_507, 65_507]);

    let mut search = begun("192.0.2.1:9");
    let sizes = probe_all(&mut search, ETHERNET);
    let [jumbo, beyond] = [8972, 1518].map(|size| [size; 3]);
    let expected = [&[ETHERNET][..], &jumbo, &beyond].concat();
    assert_eq!((sizes, search.size), (expected, ETHERNET));
}

#[test]
fn any_other_size_is_found_but_for_a_small_share() {
    for passes in (1200..4000).chain([5000, 20_000, 40_000, 65_000]) {
        let mut search = begun("192.0.2.1:9");
        probe_all(&mut search, passes);
        let missed = passes - search.size;
        assert!(missed <= (passes / 32).max(20), "{missed} of {passes}");
    }
}

#[test]
fn a_session_that_sends_little_and_one_whose_peer_takes_no_more_probe_nothing() {
    let mut search = DatagramSize::new(MAX_DATAGRAM, remote("192.0.2.1:9"));
    search.on_peer_limit(MAX_DATAGRAM as u64);
    search.on_sent((64 << 10) - 1);
    assert_eq!(search.next_probe(at(0), FAST), None);
    search.on_sent(1);
    assert_eq!(search.next_probe(at(0), FAST), Some(ETHERNET));
    search.on_peer_limit(1300);
    assert_eq!(search.next_probe(at(0), FAST), Some(1300));
    search.on_peer_limit(1200);
    assert_eq!(search.next_probe(at(0), FAST), None);
}

#[test]
fn a_slow_path_has_no_datagrams_that_would_hold_others_up() {
    let mut search = begun("192.0.2.1:9");
    assert_eq!(search.next_probe(at(0), 0), Some(ETHERNET));
    search.size = ETHERNET;
    // A millisecond of this rate is 8971 bytes.
    assert_eq!(search.next_probe(at(0), 8_971_999), Some(1518));
    assert_eq!(search.next_probe(at(0), 8_972_000), Some(8972));
    search.size = 65_507;
    assert_eq!(search.size_at(0), ETHERNET);
    assert_eq!(search.size_at(8_971_999), 8971);
    for address in ["127.0.0.2:9", "[::1]:9"] {
        let mut search = begun(address);
        search.size = 65_507;
        assert_eq!(search.size_at(0), 65_507, "loopback is not slow");
    }
    assert_eq!(search.size_at(u64::MAX), 65_507);
}

#[test]
fn a_size_passes_if_one_of_three_probes_arrives() {
    let mut search = begun("192.0.2.1:9");
    for time in 0..2 {
        let probe = send_probe(&mut search, at(time)).unwrap();
        search.on_lost(&probe);
    }
    let probe = send_probe(&mut search, at(2)).unwrap();
    search.on_acked(&probe);
    assert_eq!(search.size, ETHERNET);
}

#[test]
fn a_size_that_did_not_pass_is_probed_again_after_ten_minutes() {
    let mut search = begun("192.0.2.1:9");
    probe_all(&mut search, ETHERNET);
    let last = at(6);
    let due = last + Duration::from_secs(600);
    assert_eq!(
        search.next_probe(due - Duration::from_millis(1), FAST),
        None
    );
    assert_eq!(search.next_probe(due, FAST), Some(8972));
}

#[test]
fn large_datagrams_lost_in_a_row_while_small_ones_arrive_are_a_black_hole() {
    let mut search = begun("192.0.2.1:9");
    probe_all(&mut search, ETHERNET);
    search.on_acked(&packet(at(1000), ETHERNET, SentFrames::new()));
    // Sent before one that has arrived, or small: no sign.
    for time in 900..1000 {
        search.on_lost(&packet(at(time), ETHERNET, SentFrames::new()));
        search.on_lost(&packet(at(time + 1000), 1200, SentFrames::new()));
    }
    for time in 1001..1006 {
        search.on_lost(&packet(at(time), ETHERNET, SentFrames::new()));
    }
    search.on_acked(&packet(at(1007), 1200, SentFrames::new()));
    assert_eq!(search.size, ETHERNET);
    search.on_lost(&packet(at(1008), ETHERNET - 20, SentFrames::new()));
    assert_eq!(search.size, MIN_DATAGRAM);
    search.on_lost(&packet(at(1009), ETHERNET, SentFrames::new()));
    let sizes = probe_all(&mut search, 1300);
    assert!((1272..=1300).contains(&search.size), "{sizes:?}");
}

#[test]
fn losses_between_large_datagrams_that_arrive_are_no_black_hole() {
    let mut search = begun("192.0.2.1:9");
    probe_all(&mut search, ETHERNET);
    for round in 0..10 {
        let start = 1000 + round * 10;
        for time in start..start + 5 {
            search.on_lost(&packet(at(time), ETHERNET, SentFrames::new()));
        }
        search.on_acked(&packet(at(start + 5), ETHERNET - 20, SentFrames::new()));
    }
    assert_eq!(search.size, ETHERNET);
}

#[test]
fn a_size_that_the_system_refuses_is_given_up_at_once() {
    let mut search = begun("192.0.2.1:9");
    let probe = send_probe(&mut search, at(0)).unwrap();
    search.on_acked(&probe);
    for size in [8972, 1518] {
        send_probe(&mut search, at(0)).unwrap();
        assert_eq!(search.on_too_large(at(0), size), Some(1));
    }
    assert_eq!(search.next_probe(at(0), FAST), None);
    assert_eq!(search.size, ETHERNET);
    // The size in use: the route has changed.
    assert_eq!(search.on_too_large(at(1), ETHERNET), None);
    assert_eq!(search.size, MIN_DATAGRAM);
    assert_eq!(search.next_probe(at(1), FAST), Some(1372));
}

#[test]
fn another_host_begins_with_the_minimum_and_another_port_does_not() {
    let mut search = begun("192.0.2.1:9");
    probe_all(&mut search, ETHERNET);
    search.on_path(remote("192.0.2.1:10"));
    assert_eq!(search.size, ETHERNET);
    search.on_path(remote("192.0.2.2:9"));
    assert_eq!(search.size, MIN_DATAGRAM);
    search.on_sent(64 << 10);
    assert_eq!(search.next_probe(at(0), FAST), Some(ETHERNET));
}
