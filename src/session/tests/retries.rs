//! RETRY, forged and out of date: a handshake that is under way comes to its end all the same.

use super::*;
use crate::crypto::AgentMac;
use crate::wire::limits::TOKEN;
use crate::wire::{Datagram, SessionId, encode_retry};

/// A RETRY as anybody can make it who knows the agent's public key and has seen the INIT.
fn forged(agent: &PublicKey, receiver: SessionId, token: u8) -> Vec<u8> {
    let mut retry = Vec::new();
    encode_retry(receiver, &[token; TOKEN], &mut retry);
    let mac = AgentMac::new(agent).tag(&retry);
    retry.extend_from_slice(&mac);
    retry
}

/// The sender of the INIT that is under way.
fn sender(pair: &Pair) -> SessionId {
    let (_, _, datagram) = pair.wire.last().expect("an INIT is under way");
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
fn forged_retries_do_not_keep_the_true_answer_out() {
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
fn a_token_that_no_agent_knows_is_as_good_as_none() {
    let mut pair = Pair::new(Duration::from_millis(50));
    pair.connect(1, None, b"x");
    let first = sender(&pair);
    // The first INIT is lost, and what follows carries a token of nobody's.
    pair.wire.clear();
    let mut forgery = forged(&pair.agent_key, first, 9);
    pair.controller
        .handle_datagram(pair.now, path(true), None, &mut forgery);
    pair.drain();
    pair.run(pair.now + SECOND);
    assert!(connected(&pair));
}
