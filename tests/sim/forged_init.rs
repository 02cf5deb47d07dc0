//! INITs with a valid mac, made without an endpoint.

use std::time::Duration;

use udpagent::crypto::{AgentMac, Initiator, PublicKey, SecretKey};
use udpagent::rng::Rng;
use udpagent::wire::limits::{MAC, MIN_DATAGRAM, TOKEN};
use udpagent::wire::{Early, Frame, Hello, SessionId, encode_init};

/// An INIT to `agent` from the holder of `identity`, without early data, with its session and what completes its
/// handshake.
pub fn init(
    agent: &PublicKey,
    identity: &SecretKey,
    token: Option<&[u8; TOKEN]>,
    rng: &mut Rng,
) -> (Initiator, SessionId, Vec<u8>) {
    let session = SessionId(rng.u64());
    let mut payload = Vec::new();
    Frame::Hello(Hello {
        epoch: 0,
        agent_time: Duration::ZERO,
        session,
        early: Early::Accepted,
        invite: None,
        reset_token: None,
        max_datagram: MIN_DATAGRAM as u64,
    })
    .encode(&mut payload);
    let mut datagram = Vec::new();
    encode_init(session, token, &mut datagram);
    let prologue = datagram.clone();
    let size = MIN_DATAGRAM - prologue.len() - Initiator::OVERHEAD - MAC;
    payload.resize(size, 0);
    let initiator = Initiator::start(identity, agent, &prologue, &payload, rng, &mut datagram);
    let mac = AgentMac::new(agent).tag(&datagram);
    datagram.extend(mac);
    assert_eq!(datagram.len(), MIN_DATAGRAM);
    (initiator.expect("an agent's key"), session, datagram)
}
