//! Noise IK through snow, one round trip, with payloads in both messages.
//!
//! Not here: datagram layout, retransmission, who is admitted. Randomness for the ephemeral keys is
//! injected; an all-zero Diffie-Hellman result (a low-order point) fails the handshake.

use super::{Forged, OpeningKey, PublicKey, SealingKey, SecretKey};
use crate::rng::Rng;

/// The keys of a session, one per direction, from the handshake's end.
pub struct TrafficKeys {
    /// For what this side sends.
    pub seal: SealingKey,
    /// For what it receives.
    pub open: OpeningKey,
}

/// The controller's side, between message 1 and message 2.
pub struct Initiator {
    _todo: (),
}

/// The agent's side, between message 1 and message 2.
pub struct Responder {
    _todo: (),
}

impl Initiator {
    /// Bytes that message 1 adds to its payload.
    pub const OVERHEAD: usize = 32 + 48 + 16;

    /// Writes message 1 with `payload`, appending it to `out`.
    pub fn start(
        local: &SecretKey,
        remote: &PublicKey,
        prologue: &[u8],
        payload: &[u8],
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Result<Self, Forged> {
        todo!()
    }

    /// Reads message 2, appending its payload to `payload`. A forged message leaves the handshake as
    /// it was: the true answer may still come.
    ///
    /// # Errors
    /// [`Forged`]
    pub fn finish(&mut self, message: &[u8], payload: &mut Vec<u8>) -> Result<TrafficKeys, Forged> {
        todo!()
    }
}

impl Responder {
    /// Bytes that message 2 adds to its payload.
    pub const OVERHEAD: usize = 32 + 16;

    /// Reads message 1, appending its payload to `payload`; returns the controller's key too.
    ///
    /// # Errors
    /// [`Forged`]
    pub fn read(
        local: &SecretKey,
        prologue: &[u8],
        message: &[u8],
        payload: &mut Vec<u8>,
        rng: &mut Rng,
    ) -> Result<(Self, PublicKey), Forged> {
        todo!()
    }

    /// Writes message 2 with `payload`, appending it to `out`.
    pub fn respond(self, payload: &[u8], out: &mut Vec<u8>) -> Result<TrafficKeys, Forged> {
        todo!()
    }
}
