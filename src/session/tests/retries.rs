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
