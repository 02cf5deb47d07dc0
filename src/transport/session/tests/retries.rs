//! Forged and expired RETRYs: the handshake completes regardless.

use super::*;
use crate::crypto::AgentMac;
use crate::wire::limits::TOKEN;
use crate::wire::{Datagram, SessionId, encode_retry};

/// Returns a RETRY that anyone can forge who knows the agent's public key and has seen the INIT.
fn forged(agent: &PublicKey, receiver: SessionId, token: u8) -> Vec<u8> {
    let mut retry = Vec::new();
    encode_retry(receiver, &[token; TOKEN], &mut retry);
    let mac = AgentMac::new(agent).tag(&retry);
    retry.extend_from_slice(&mac);
    retry
}

/// Returns the session id in the INIT in flight.
fn sender(pair: &Pair) -> SessionId {
    let (_, _, datagram) = pair.wire.last().expect("an INIT is in flight");
    match Datagram::parse(datagram) {
        Ok(Some(Datagram::Init(init))) => init.sender,
        other => panic!("{other:?}"),
    }
}

fn connected(pair: &Pair) -> bool {
    let connected = |event: &Event| matches!(event, Event::Connected { .. });
    pair.controller_events.iter().any(connected)
}

#[test]
fn forged_retries_do_not_prevent_the_handshake() {
    let mut pair = Pair::new(Duration::from_millis(50));
    pair.connect(1, None, b"x");
    for token in 0..2 {
        let mut forgery = forged(&pair.agent_key, sender(&pair), token);
        pair.controller
            .handle_datagram(pair.now, path(true), None, &mut forgery);
        pair.drain();
    }
    pair.run(pair.now + SECOND);
    assert!(connected(&pair));
}

#[test]
fn a_controller_gives_an_agent_time_that_has_answered_with_retry() {
    let ticket = Ticket {
        epoch: 1,
        offset: 0,
        rtt: Duration::from_millis(1),
        variation: Duration::ZERO,
    };
    // Time until an INIT that is lost is sent again.
    let repeat_after = |retry: bool| {
        let mut pair = Pair::new(Duration::ZERO);
        pair.connect(1, Some(ticket), b"x");
        if retry {
            let mut retry = forged(&pair.agent_key, sender(&pair), 1);
            pair.controller
                .handle_datagram(pair.now, path(true), None, &mut retry);
            pair.drain();
        }
        let sent_at = pair.now;
        pair.wire.clear();
        while pair.wire.is_empty() {
            pair.now = pair
                .controller
                .poll_timeout()
                .expect("an INIT is in flight");
            pair.controller.handle_timeout(pair.now);
            pair.drain_transmits();
        }
        pair.now.since(sent_at)
    };
    assert!(repeat_after(false) < limits::BUSY / 2);
    assert_eq!(repeat_after(true), limits::BUSY);
}

#[test]
fn a_controller_with_many_sessions_waits_longer_before_it_repeats_an_init() {
    let ticket = Ticket {
        epoch: 1,
        offset: 0,
        rtt: Duration::from_millis(1),
        variation: Duration::ZERO,
    };
    let repeat_of = |number: usize| {
        let mut pair = Pair::new(Duration::ZERO);
        for session in 0..300 {
            pair.connect(session, Some(ticket), b"x");
        }
        assert_eq!(pair.wire.len(), 300);
        let init = pair.wire[number].2.clone();
        let sent_at = pair.now;
        pair.wire.clear();
        while !pair.wire.iter().any(|copy| copy.2 == init) {
            pair.now = pair.controller.poll_timeout().expect("INITs are in flight");
            pair.controller.handle_timeout(pair.now);
            pair.drain_transmits();
        }
        pair.now.since(sent_at)
    };
    assert!(repeat_of(0) < limits::BUSY / 2);
    assert_eq!(repeat_of(50), limits::LATER_ANSWER * 50);
    assert_eq!(repeat_of(299), limits::BUSY);
}

#[test]
fn a_repeat_over_a_long_path_is_two_datagrams() {
    let repeat_over = |ticket: Option<Ticket>| {
        let mut pair = Pair::new(Duration::ZERO);
        pair.connect(1, ticket, b"x");
        let first = pair.wire.clone();
        assert_eq!(first.len(), 1);
        pair.wire.clear();
        let sent_at = pair.now;
        pair.now = pair.controller.poll_timeout().expect("it is in flight");
        pair.controller.handle_timeout(pair.now);
        pair.drain_transmits();
        assert!(pair.wire.iter().all(|copy| copy.2 == first[0].2));
        (pair.wire.len(), pair.now.since(sent_at))
    };
    let over = |rtt| Ticket {
        epoch: 1,
        offset: 0,
        rtt,
        variation: Duration::from_millis(2),
    };
    let long = over(limits::COPIED_RTT);
    let short = over(limits::COPIED_RTT / 2);
    let timeout = Duration::from_millis(8) + limits::MAX_ACK_DELAY;
    assert_eq!(repeat_over(Some(long)), (2, long.rtt + timeout));
    assert_eq!(repeat_over(Some(short)), (1, short.rtt + timeout));
    // As long as the path is not known.
    assert_eq!(repeat_over(None).0, 1);
}

#[test]
fn an_init_with_an_unknown_token_is_answered_like_one_without() {
    let mut pair = Pair::new(Duration::from_millis(50));
    pair.connect(1, None, b"x");
    let first = sender(&pair);
    // The first INIT is lost, and the next one carries a token that no agent issued.
    pair.wire.clear();
    let mut forgery = forged(&pair.agent_key, first, 9);
    pair.controller
        .handle_datagram(pair.now, path(true), None, &mut forgery);
    pair.drain();
    pair.run(pair.now + SECOND);
    assert!(connected(&pair));
}

#[test]
fn retries_of_a_flood_leave_every_other_transmit_to_the_sessions() {
    let mut pair = Pair::new(Duration::ZERO);
    pair.echo = false;
    pair.connect(1, None, b"x");
    pair.run(pair.now + SECOND);
    let accepted = pair.agent_events.iter().find_map(|event| match event {
        Event::Accepted { session, .. } => Some(*session),
        _ => None,
    });
    // More than what waits unanswered for its Diffie-Hellman operations.
    let flood = limits::HANDSHAKES_BEFORE_RETRY + 100;
    for number in 0..flood {
        let mut init = super::inits::any_init(&pair, u64::try_from(number).unwrap());
        pair.agent
            .handle_datagram(pair.now, path(false), None, &mut init);
    }
    let write = Command::Write {
        session: accepted.unwrap(),
        stream: StreamId::new(CallId(0), Lane::Control),
        data: vec![0; 10_000].into(),
        fin: false,
    };
    pair.agent.apply(pair.now, write);
    let (mut buf, mut kinds) = (Vec::new(), Vec::new());
    while kinds.len() < 6
        && let Some(transmit) = pair.agent.poll_transmit(pair.now, &mut buf)
    {
        buf.truncate(transmit.segment.unwrap_or(buf.len()));
        kinds.push(match Datagram::parse(&buf) {
            Ok(Some(Datagram::Retry(_))) => "RETRY",
            Ok(Some(Datagram::Data(_) | Datagram::Resp(_))) => "session",
            other => panic!("{other:?}"),
        });
    }
    let turns = ["RETRY", "session", "RETRY", "session"];
    assert_eq!(kinds[..4], turns, "{kinds:?}");
}
