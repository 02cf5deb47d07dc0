//! Sizes of datagrams over links that do not carry all of them.

use super::*;
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// Payload of an Ethernet frame over IPv4.
const ETHERNET: usize = 1472;

/// Sizes of datagrams over a link.
pub(super) struct Sizes {
    /// Largest that the link carries.
    pub(super) mtu: usize,
    /// Largest that the system sends.
    route: usize,
    /// Largest that was sent.
    largest_sent: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            mtu: ETHERNET,
            route: MAX_DATAGRAM,
            largest_sent: 0,
        }
    }
}

impl Sizes {
    /// Returns the datagrams of an endpoint that arrive, and tells it if the system refuses them.
    pub(super) fn carried(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        transmit: &Transmit,
        bytes: &[u8],
    ) -> Vec<Vec<u8>> {
        let size = transmit.segment.unwrap_or(bytes.len());
        assert!(
            bytes.len() <= MAX_DATAGRAM,
            "a batch is one call of the system"
        );
        self.largest_sent = self.largest_sent.max(size);
        if size > self.route {
            let session = transmit.session.expect("it is one of a session");
            endpoint.handle_too_large(now, session, size);
            return Vec::new();
        }
        let datagrams = bytes.chunks(size);
        let carried = datagrams.filter(|datagram| datagram.len() <= self.mtu);
        carried.map(<[u8]>::to_vec).collect()
    }
}

/// Opens a session that sends `size` bytes, which the agent echoes.
fn with_bulk(mtu: usize, size: usize) -> Pair {
    let mut pair = Pair::new(Duration::from_millis(25));
    pair.sizes.mtu = mtu;
    let session = pair.connect(1, None, b"x");
    let stream = StreamId::new(CallId(0), Lane::Data);
    pair.apply(Command::Write {
        session,
        stream,
        data: vec![7; size].into(),
        fin: true,
    });
    pair
}

/// Returns the sizes in use by the controller and the agent.
fn sizes(pair: &mut Pair) -> [usize; 2] {
    [&mut pair.controller, &mut pair.agent]
        .map(|endpoint| endpoint.session(0).unwrap().datagram_size.size_at(u64::MAX))
}

#[test]
fn a_bulk_transfer_uses_datagrams_that_the_path_carries() {
    for (mtu, expected) in [
        (MAX_DATAGRAM, MAX_DATAGRAM),
        (8972, 8972),
        (ETHERNET, ETHERNET),
    ] {
        let mut pair = with_bulk(mtu, 5_000_000);
        pair.run(pair.now + SECOND * 60);
        assert_eq!(pair.received(Lane::Data).len(), 5_000_000);
        assert_eq!(sizes(&mut pair), [expected; 2]);
    }
}

#[test]
fn a_short_transfer_sends_no_probe() {
    let mut pair = with_bulk(MAX_DATAGRAM, 50_000);
    pair.run(pair.now + SECOND * 60);
    assert_eq!(pair.received(Lane::Data).len(), 50_000);
    assert_eq!(sizes(&mut pair), [MIN_DATAGRAM; 2]);
    assert!(pair.sizes.largest_sent <= MIN_DATAGRAM);
}

#[test]
fn a_search_on_request_needs_no_bulk_data_and_its_end_is_reported_once() {
    for (mtu, route) in [
        (1200, MAX_DATAGRAM),
        (1300, MAX_DATAGRAM),
        (ETHERNET, MAX_DATAGRAM),
        (1300, 1300),
    ] {
        let mut pair = with_bulk(mtu, 1);
        pair.sizes.route = route;
        pair.run(pair.now + SECOND);
        let session = SessionHandle(1);
        pair.apply(Command::FindDatagramSize { session });
        pair.run(pair.now + SECOND * 10);
        let found: Vec<usize> = pair
            .controller_events
            .iter()
            .filter_map(|event| match event {
                Event::DatagramSize { bytes, .. } => Some(*bytes),
                _ => None,
            })
            .collect();
        let [bytes] = found[..] else {
            panic!("{mtu}: {found:?}")
        };
        assert!((mtu - 40..=mtu).contains(&bytes), "{mtu}: {bytes}");
        assert_eq!(sizes(&mut pair), [bytes, MIN_DATAGRAM]);
    }
}

#[test]
fn a_path_that_shrinks_during_a_transfer_costs_less_than_a_second() {
    let mut pair = with_bulk(8972, 60_000_000);
    while pair.received(Lane::Data).len() < 5_000_000 {
        pair.run(pair.now + Duration::from_millis(10));
    }
    assert_eq!(sizes(&mut pair), [8972; 2]);
    pair.sizes.mtu = 1400;
    let (mut received, mut progress) = (0, pair.now);
    while received < 60_000_000 {
        pair.run(pair.now + Duration::from_millis(10));
        let now = pair.received(Lane::Data).len();
        if now > received {
            (received, progress) = (now, pair.now);
        }
        let stalled = pair.now.since(progress);
        assert!(stalled < SECOND, "no byte for {stalled:?} after {received}");
    }
    let sizes = sizes(&mut pair);
    assert!(
        sizes.iter().all(|size| (1372..=1400).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn probes_that_the_system_refuses_are_not_waited_for() {
    let mut pair = with_bulk(MAX_DATAGRAM, 1_000_000);
    pair.sizes.route = 1472;
    // INIT, RESP, and two round trips of data beyond the first 64 KiB.
    pair.run(pair.now + Duration::from_millis(50 * 10));
    assert_eq!(sizes(&mut pair), [1472; 2]);
    pair.run(pair.now + SECOND * 60);
    assert_eq!(pair.received(Lane::Data).len(), 1_000_000);
    // The route of both ends shrinks.
    pair.controller_events.clear();
    pair.sizes.route = 1300;
    let stream = StreamId::new(CallId(1), Lane::Data);
    pair.apply(Command::Write {
        session: SessionHandle(1),
        stream,
        data: vec![7; 1_000_000].into(),
        fin: true,
    });
    pair.run(pair.now + SECOND * 60);
    assert_eq!(pair.received(Lane::Data).len(), 1_000_000);
    assert!(
        sizes(&mut pair)
            .iter()
            .all(|size| (1260..=1300).contains(size))
    );
}
