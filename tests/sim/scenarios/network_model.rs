//! The network model itself: each impairment happens as configured, and no other does.

use std::net::SocketAddr;
use std::time::Duration;

use udpagent::session::Ecn;
use udpagent::time::Instant;

use crate::link::Link;
use crate::network::{Arrival, HostId, Network, Outgoing};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const MS: Duration = Duration::from_millis(1);

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 7000))
}

fn two_hosts(seed: u64, link: Link) -> Network {
    let mut network = Network::new(seed, link);
    network.attach(A, address(0));
    network.attach(B, address(1));
    network
}

fn send(network: &mut Network, now: Instant, bytes: &[u8]) {
    let out = Outgoing {
        from: address(0),
        to: address(1),
        ecn: Some(Ecn::Ect0),
        bytes,
        emission: Some(0),
    };
    network.send(now, Some(A), out);
}

fn everything(network: &mut Network) -> Vec<(Instant, Arrival)> {
    let mut out = Vec::new();
    while let Some(at) = network.next_arrival() {
        out.extend(network.arrive(at).map(|arrival| (at, arrival)));
    }
    out
}

#[test]
fn a_perfect_link_delivers_each_datagram_once_after_its_latency() {
    let mut network = two_hosts(0, Link::perfect(MS * 50));
    for i in 0..10 {
        send(
            &mut network,
            Instant::from_micros(i),
            &[u8::try_from(i).unwrap()],
        );
    }
    let got = everything(&mut network);
    let expected: Vec<_> = (0..10)
        .map(|i| (50_000 + i, vec![u8::try_from(i).unwrap()]))
        .collect();
    let times: Vec<_> = got
        .iter()
        .map(|(at, a)| (at.as_micros(), a.bytes.clone()))
        .collect();
    assert_eq!(times, expected);
    assert!(
        got.iter()
            .all(|(_, a)| (a.host, a.from, a.to) == (B, address(0), address(1)))
    );
}

#[test]
fn loss_duplication_and_corruption_come_in_the_share_that_was_asked_for() {
    let link = Link {
        loss: 0.3,
        duplicate: 0.1,
        corrupt: 0.05,
        ..Link::perfect(MS)
    };
    let mut network = two_hosts(1, link);
    for _ in 0..20_000 {
        send(&mut network, Instant::ZERO, &[0; 100]);
    }
    let got = everything(&mut network);
    let counters = network.counters;
    assert!((5_700..7_500).contains(&counters.lost), "{counters:?}");
    assert!(
        (1_800..2_200).contains(&counters.duplicated),
        "{counters:?}"
    );
    assert_eq!(
        counters.sent + counters.duplicated,
        counters.lost + counters.delivered
    );
    let spoiled = got.iter().filter(|(_, a)| a.bytes != [0; 100]).count() as u64;
    assert_eq!(spoiled, counters.corrupted);
    assert_eq!(
        spoiled,
        got.iter().filter(|(_, a)| a.origin.corrupted).count() as u64
    );
    assert!((600..1_000).contains(&spoiled), "{counters:?}");
}

#[test]
fn a_narrow_link_spaces_datagrams_marks_them_and_drops_the_tail() {
    // 1 Mbyte/s, room for ten datagrams of 1000 bytes on the wire.
    let link = Link {
        mark_above: 5_000,
        ..Link::narrow(MS, 1_000_000, 10_000)
    };
    let mut network = two_hosts(2, link);
    for _ in 0..20 {
        send(&mut network, Instant::ZERO, &[0; 972]);
    }
    let got = everything(&mut network);
    assert_eq!(got.len(), 10);
    assert_eq!(network.counters.overflowed, 10);
    for ((first, _), (second, _)) in got.iter().zip(&got[1..]) {
        assert_eq!(second.since(*first), MS);
    }
    let marked = got.iter().filter(|(_, a)| a.ecn == Some(Ecn::Ce)).count();
    assert_eq!(marked, 4, "those that found more than five waiting");
}

#[test]
fn what_exceeds_the_mtu_disappears() {
    let link = Link {
        mtu: 1200,
        ..Link::perfect(MS)
    };
    let mut network = two_hosts(3, link);
    send(&mut network, Instant::ZERO, &[0; 1200]);
    send(&mut network, Instant::ZERO, &[0; 1201]);
    assert_eq!(everything(&mut network).len(), 1);
    assert_eq!(network.counters.oversized, 1);
}

#[test]
fn jitter_and_reordering_change_the_order_and_lose_nothing() {
    let link = Link {
        jitter: MS * 10,
        reorder: 0.1,
        ..Link::perfect(MS * 10)
    };
    let mut network = two_hosts(4, link);
    for i in 0..100u8 {
        send(
            &mut network,
            Instant::from_micros(u64::from(i) * 1000),
            &[i],
        );
    }
    let order: Vec<_> = everything(&mut network)
        .iter()
        .map(|(_, a)| a.bytes[0])
        .collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    assert_ne!(order, sorted);
}

#[test]
fn a_nat_that_rebinds_shows_a_new_address_and_forgets_the_old() {
    let mut network = two_hosts(5, Link::perfect(MS));
    let (first, second) = (address(100), address(101));
    network.rebind(address(0), first);
    send(&mut network, Instant::ZERO, b"one");
    network.rebind(address(0), second);
    send(&mut network, Instant::ZERO, b"two");
    let from: Vec<_> = everything(&mut network)
        .iter()
        .map(|(_, a)| a.from)
        .collect();
    assert_eq!(from, [first, second]);
    let reply = |network: &mut Network, to| {
        let out = Outgoing {
            from: address(1),
            to,
            ecn: None,
            bytes: b"reply",
            emission: None,
        };
        network.send(Instant::ZERO, Some(B), out);
        everything(network)
    };
    assert!(reply(&mut network, first).is_empty());
    let got = reply(&mut network, second);
    assert_eq!((got[0].1.host, got[0].1.to), (A, address(0)));
    assert_eq!(network.counters.nowhere, 1);
}

#[test]
fn the_same_seed_does_the_same_to_the_same_datagrams_and_another_does_not() {
    let scenario = |seed| {
        let link = Link {
            loss: 0.2,
            duplicate: 0.2,
            reorder: 0.2,
            corrupt: 0.2,
            jitter: MS,
            ..Link::perfect(MS)
        };
        let mut network = two_hosts(seed, link);
        network.records = Some(Vec::new());
        for i in 0..200u8 {
            send(&mut network, Instant::ZERO, &[i; 20]);
        }
        assert_eq!(network.records.as_ref().map(Vec::len), Some(200));
        let got = everything(&mut network);
        got.into_iter()
            .map(|(at, a)| (at, a.bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(scenario(7), scenario(7));
    assert_ne!(scenario(7), scenario(8));
}
