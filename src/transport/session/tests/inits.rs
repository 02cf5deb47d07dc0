//! Handmade INITs: the agent's answers, and its register of INITs.

use super::*;
use crate::crypto::Initiator;
use crate::wire::{Datagram, Frame, Frames};

/// Returns an INIT of its own for each number.
pub(super) fn any_init(pair: &Pair, number: u64) -> Vec<u8> {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    init_by(Rng::from_seed(seed), pair, &[]).1
}

/// Returns an INIT whose early frames `pair`'s agent accepts, and the handshake that its RESP completes.
fn init(pair: &Pair, early: &[Frame<'_>]) -> (Initiator, Vec<u8>) {
    init_by(Rng::from_seed([3; 32]), pair, early)
}

fn init_by(mut rng: Rng, pair: &Pair, early: &[Frame<'_>]) -> (Initiator, Vec<u8>) {
    let identity = SecretKey::generate(&mut rng);
    let agent = (&pair.agent_key, pair.agent.epoch());
    handmade::init(agent, &identity, early, &mut rng)
}

/// Passes a datagram to the agent; returns the datagrams that it sends.
fn answers(pair: &mut Pair, datagram: &[u8]) -> Vec<Vec<u8>> {
    pair.agent
        .handle_datagram(pair.now, path(false), None, &mut datagram.to_vec());
    pair.drain();
    pair.wire.drain(..).map(|(.., bytes)| bytes).collect()
}

#[test]
fn early_frames_with_a_violation_are_answered_by_resp_and_then_by_close() {
    let mut pair = Pair::new(Duration::ZERO);
    let rekey = Frame::Rekey {
        phase: 1,
        share: [9; 32],
    };
    let (initiator, init) = init(&pair, &[rekey]);
    let sent = answers(&mut pair, &init);
    assert_eq!(sent.len(), 2);
    let (keys, _) = handmade::finish(initiator, &sent[0]);
    let mut data = sent[1].clone();
    let payload = handmade::open(&keys, &mut data).expect("DATA");
    let close = Frames::new(payload).find_map(|frame| match frame {
        Ok(Frame::Close { code, reason }) => Some((code, reason.to_owned())),
        _ => None,
    });
    let reason = "REKEY: frame not allowed here".to_owned();
    assert_eq!(close, Some((1, reason)));
    // Both may have been lost, so a repeated INIT gets both again.
    let again = answers(&mut pair, &init);
    assert_eq!((again.len(), &again[0]), (2, &sent[0]));
    assert_ne!(again[1], sent[1]);
    pair.run(pair.now + SECOND * 10);
    assert_eq!(pair.agent.sessions(), 0);
    assert!(answers(&mut pair, &init).is_empty());
}

#[test]
fn an_init_that_is_repeated_while_it_waits_is_answered_once_and_takes_the_place_of_no_other() {
    let mut pair = Pair::new(Duration::ZERO);
    let (repeated, other) = (any_init(&pair, 1), any_init(&pair, 2));
    for _ in 0..2 * limits::HANDSHAKES_BEFORE_RETRY {
        pair.agent
            .handle_datagram(pair.now, path(false), None, &mut repeated.clone());
    }
    let answers = answers(&mut pair, &other);
    let is_resp = |datagram: &Vec<u8>| {
        let parsed = Datagram::parse(datagram);
        matches!(parsed, Ok(Some(Datagram::Resp(_))))
    };
    assert_eq!(answers.len(), 2, "no RETRY");
    assert!(answers.iter().all(is_resp));
    assert_eq!(pair.agent.stats().handshakes, 2);
}

#[test]
fn an_agent_with_a_full_register_of_an_earlier_run_answers_in_the_first_minute_after_boot() {
    let stream = Frame::Stream {
        stream: StreamId::new(CallId(0), Lane::Control),
        offset: 0,
        fin: false,
        data: b"start",
    };
    let mut before = Pair::new(Duration::ZERO);
    let (_, captured) = init(&before, &[stream]);
    assert!(!answers(&mut before, &captured).is_empty());
    let started = |pair: &Pair| {
        let mut events = pair.agent_events.iter();
        events.any(|event| {
            matches!(
                event,
                Event::Stream {
                    event: StreamEvent::Data { .. },
                    ..
                }
            )
        })
    };
    assert!(started(&before));
    let fingerprint = before.agent_events.iter().find_map(|event| match event {
        Event::InitSeen { fingerprint } => Some(*fingerprint),
        _ => None,
    });

    let others = (1..limits::INIT_REGISTER as u64).map(InitFingerprint);
    let seen = fingerprint.into_iter().chain(others).collect();
    let mut pair = Pair::with(Duration::ZERO, seen);
    assert!(pair.now < Instant::ZERO + limits::INIT_REGISTER_AGE);
    assert!(answers(&mut pair, &captured).is_empty(), "still remembered");
    pair.connect(1, None, b"x");
    pair.run(pair.now + SECOND);
    let mut events = pair.controller_events.iter();
    assert!(events.any(|event| matches!(event, Event::Connected { .. })));
    // The new INIT has displaced the captured one, which gets an answer but starts nothing.
    pair.agent_events.clear();
    let answers = answers(&mut pair, &captured);
    let is_resp = |datagram: &&Vec<u8>| {
        let parsed = Datagram::parse(datagram);
        matches!(parsed, Ok(Some(Datagram::Resp(_))))
    };
    assert_eq!(answers.iter().filter(is_resp).count(), 1);
    assert!(!started(&pair));
}
