//! The clear part of a datagram: tag, type, ids, counter.
//!
//! Fourth byte: type in the high nibble; version (INIT, RESP, RETRY) or key phase (DATA) in the low.
//! An INIT that answers a RETRY has a type of its own, because its token shifts what follows.

use super::limits::{DATA_HEADER, MAC, TOKEN};
use super::{Malformed, SessionId};

/// High nibble of the fourth byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DatagramType {
    /// First flight of a controller.
    Init = 1,
    /// The agent's answer.
    Resp = 2,
    /// "Say that again, with this token."
    Retry = 3,
    /// Sealed frames.
    Data = 4,
    /// First flight again, with the token of a RETRY.
    InitToken = 5,
}

/// A parsed datagram, borrowing from the received bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    /// INIT, with or without token.
    Init(Init<'a>),
    /// RESP
    Resp(Resp<'a>),
    /// RETRY
    Retry(Retry<'a>),
    /// DATA
    Data(Data),
}

/// INIT: tag 4, sender id 8, token 0/32, Noise message 1, mac 16; 1200 bytes in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Init<'a> {
    /// The controller's name for the session.
    pub sender: SessionId,
    /// From a RETRY.
    pub token: Option<&'a [u8; TOKEN]>,
    /// Everything before the Noise message: the Noise prologue.
    pub prologue: &'a [u8],
    /// Noise IK message 1.
    pub noise: &'a [u8],
    /// Everything before the mac: what it covers.
    pub covered: &'a [u8],
    /// Keyed hash under the agent's public key.
    pub mac: &'a [u8; MAC],
}

/// RESP: tag 4, sender id 8, receiver id 8, Noise message 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resp<'a> {
    /// The agent's name for the session.
    pub sender: SessionId,
    /// The controller's.
    pub receiver: SessionId,
    /// Noise IK message 2.
    pub noise: &'a [u8],
}

/// RETRY: tag 4, receiver id 8, token 32, mac 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry<'a> {
    /// The controller's name for the session.
    pub receiver: SessionId,
    /// To be sent back.
    pub token: &'a [u8; TOKEN],
    /// Everything before the mac: what it covers.
    pub covered: &'a [u8],
    /// Keyed hash under the agent's public key.
    pub mac: &'a [u8; MAC],
}

/// DATA: tag 4, receiver id 8, counter 8 (together the associated data), sealed frames, AEAD tag 16.
/// The sealed part is `datagram[DATA_HEADER..]`; it is opened in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// Which keys: counts rekeys, modulo 16.
    pub phase: u8,
    /// The receiver's name for the session.
    pub receiver: SessionId,
    /// Packet number and AEAD nonce.
    pub counter: u64,
}

impl<'a> Datagram<'a> {
    /// Parses a received datagram. `Ok(None)` when it does not carry the tag, so is plain text.
    ///
    /// # Errors
    /// [`Malformed`] for tagged bytes that are no datagram.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Malformed> {
        todo!()
    }
}

/// Appends the clear bytes of an INIT (its Noise prologue).
pub fn encode_init(sender: SessionId, token: Option<&[u8; TOKEN]>, out: &mut Vec<u8>) {
    todo!()
}

/// Appends the clear bytes of a RESP.
pub fn encode_resp(sender: SessionId, receiver: SessionId, out: &mut Vec<u8>) {
    todo!()
}

/// Appends a RETRY up to its mac.
pub fn encode_retry(receiver: SessionId, token: &[u8; TOKEN], out: &mut Vec<u8>) {
    todo!()
}

impl Data {
    /// The header bytes, which are the AEAD's associated data.
    #[must_use]
    pub fn encode(&self) -> [u8; DATA_HEADER] {
        todo!()
    }
}
