//! Datagrams of a controller without an endpoint.

use std::time::Duration;

use crate::crypto::{AgentMac, Initiator, PublicKey, SecretKey, TrafficKeys};
use crate::rng::Rng;
use crate::wire::limits::{DATA_HEADER, INIT_HEADER, MAC, MIN_DATAGRAM};
use crate::wire::{Datagram, Early, Frame, Hello, SessionId, encode_init};

/// Returns an INIT to an agent of an epoch with early frames, and the handshake that its RESP completes.
pub fn init(
    (agent, epoch): (&PublicKey, u64),
    identity: &SecretKey,
    early: &[Frame<'_>],
    rng: &mut Rng,
) -> (Initiator, Vec<u8>) {
    let session = SessionId(77);
    let mut payload = Vec::new();
    Frame::Hello(Hello {
        epoch,
        agent_time: Duration::ZERO,
        session,
        early: Early::Accepted,
        invite: None,
        reset_token: None,
        max_datagram: MIN_DATAGRAM as u64,
    })
    .encode(&mut payload);
    for frame in early {
        frame.encode(&mut payload);
    }
    payload.resize(MIN_DATAGRAM - INIT_HEADER - Initiator::OVERHEAD - MAC, 0);
    let mut datagram = Vec::new();
    encode_init(session, None, &mut datagram);
    let prologue = datagram.clone();
    let initiator = Initiator::start(identity, agent, &prologue, &payload, rng, &mut datagram);
    let mac = AgentMac::new(agent).tag(&datagram);
    datagram.extend(mac);
    (initiator.unwrap(), datagram)
}

/// Completes a handshake. Returns the keys, and the agent's id of the session.
pub fn finish(mut initiator: Initiator, answer: &[u8]) -> (TrafficKeys, SessionId) {
    let Ok(Some(Datagram::Resp(resp))) = Datagram::parse(answer) else {
        panic!("the agent answers INIT with something else than RESP");
    };
    let keys = initiator.finish(resp.noise, &mut Vec::new()).unwrap();
    (keys, resp.sender)
}

/// Returns the frames of a DATA; `None` if the datagram is none.
pub fn open<'a>(keys: &TrafficKeys, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
    let Ok(Some(Datagram::Data(data))) = Datagram::parse(datagram) else {
        return None;
    };
    let counter = data.counter;
    let (header, sealed) = datagram.split_at_mut(DATA_HEADER);
    Some(keys.open.open(counter, header, sealed).unwrap())
}
