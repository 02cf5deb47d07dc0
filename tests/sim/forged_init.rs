//! Forged INITs with a valid mac, made without an endpoint.

use std::time::Duration;

use udpagent::crypto::{AgentMac, Initiator, PublicKey, SecretKey};
use udpagent::rng::Rng;
use udpagent::wire::limits::{INIT_HEADER, MAC, MIN_DATAGRAM};
use udpagent::wire::{Early, Frame, Hello, SessionId, encode_init};

/// An INIT to `agent` from the holder of `identity`, without early data.
pub fn init(agent: &PublicKey, identity: &SecretKey, rng: &mut Rng) -> Vec<u8> {
    let session = SessionId(rng.u64());
    let mut payload = Vec::new();
    Frame::Hello(Hello {
        epoch: 0,
        agent_time: Duration::ZERO,
        session,
        early: Early::Accepted,
        invite: None,
        reset_token: None,
    })
    .encode(&mut payload);
    payload.resize(MIN_DATAGRAM - INIT_HEADER - Initiator::OVERHEAD - MAC, 0);
    let mut datagram = Vec::new();
    encode_init(session, None, &mut datagram);
    let prologue = datagram.clone();
    Initiator::start(identity, agent, &prologue, &payload, rng, &mut datagram)
        .expect("an agent's key");
    let mac = AgentMac::new(agent).tag(&datagram);
    datagram.extend(mac);
    assert_eq!(datagram.len(), MIN_DATAGRAM);
    datagram
}
