//! HELLO: the first frame of INIT and of RESP.
//!
//! Not here: the check of an epoch or an invite. Invariant: the size depends only on the invite and the
//! parameters. Parameters that a later version adds are ignored.

use std::time::Duration;

use super::limits::{INVITE, MIN_DATAGRAM, RESET_TOKEN};
use super::{Malformed, Reader, SessionId, VarInt};
use crate::time::micros;

/// Flags of HELLO.
const EARLY_REFUSED: u8 = 1;
const HAS_INVITE: u8 = 2;
const HAS_PARAMETERS: u8 = 4;

/// Id of the parameter that holds the reset token.
const RESET_TOKEN_ID: u64 = 1;

/// Id of the parameter that holds the largest datagram that its sender accepts.
const MAX_DATAGRAM_ID: u64 = 2;

/// Outcome of the early data: the frames that came inside INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Early {
    /// Processed, or there were none.
    Accepted = 0,
    /// Not processed: the controller sends them again in the session.
    Refused = 1,
}

/// The parameters that the two ends exchange first.
///
/// Layout: epoch 8, agent time (µs) 8, session id 8, flags 1 (bit 0: early data refused; bit 1: an
/// invite follows; bit 2: parameters follow), invite 16 if flagged, parameters if flagged: their size,
/// then for each an id, a size and as many octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Epoch of the agent. In INIT the epoch that the controller remembers, or 0.
    pub epoch: u64,
    /// Time since the start of the agent. In INIT the controller's estimate of it.
    pub agent_time: Duration,
    /// Session id of the sender, repeated under encryption. An INIT or RESP whose clear id differs
    /// is forged.
    pub session: SessionId,
    /// In RESP the outcome of the early data. In INIT always `Accepted`.
    pub early: Early,
    /// In INIT the token of an invitation, for a key that the agent does not know.
    pub invite: Option<[u8; INVITE]>,
    /// In RESP the token of a stateless reset of the session.
    pub reset_token: Option<[u8; RESET_TOKEN]>,
    /// Largest datagram that the sender accepts. [`MIN_DATAGRAM`] is the default, which is not written.
    pub max_datagram: u64,
}

impl Hello {
    /// Size without invite and parameters.
    const FIXED: usize = 8 + 8 + 8 + 1;

    /// Size after the frame type.
    pub(super) fn size(&self) -> usize {
        let parameters = match self.parameters_size() {
            0 => 0,
            size => VarInt(size as u64).size() + size,
        };
        Self::FIXED + self.invite.map_or(0, |token| token.len()) + parameters
    }

    /// Size of all parameters, without the field that holds it; 0 if there are none.
    fn parameters_size(&self) -> usize {
        let token = self
            .reset_token
            .map_or(0, |token| parameter_size(RESET_TOKEN_ID, token.len()));
        let max_datagram = self
            .written_max_datagram()
            .map_or(0, |max| parameter_size(MAX_DATAGRAM_ID, max.size()));
        token + max_datagram
    }

    fn written_max_datagram(&self) -> Option<VarInt> {
        (self.max_datagram != MIN_DATAGRAM as u64).then_some(VarInt(self.max_datagram))
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = reader.u64()?;
        let agent_time = Duration::from_micros(reader.u64()?);
        let session = SessionId(reader.u64()?);
        let flags = reader.u8()?;
        if flags & !(EARLY_REFUSED | HAS_INVITE | HAS_PARAMETERS) != 0 {
            return Err(Malformed::Range);
        }
        let early = if flags & EARLY_REFUSED == 0 {
            Early::Accepted
        } else {
            Early::Refused
        };
        let invite = if flags & HAS_INVITE == 0 {
            None
        } else {
            Some(*reader.array()?)
        };
        let parameters = if flags & HAS_PARAMETERS == 0 {
            Parameters::default()
        } else {
            let size = reader.varint()?;
            Parameters::decode(take(reader, size)?)?
        };
        Ok(Self {
            epoch,
            agent_time,
            session,
            early,
            invite,
            reset_token: parameters.reset_token,
            max_datagram: parameters.max_datagram.unwrap_or(MIN_DATAGRAM as u64),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let early = match self.early {
            Early::Accepted => 0,
            Early::Refused => EARLY_REFUSED,
        };
        let invite = self.invite.map_or(0, |_| HAS_INVITE);
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&micros(self.agent_time).to_be_bytes());
        out.extend_from_slice(&self.session.0.to_be_bytes());
        let size = self.parameters_size();
        let parameters = if size == 0 { 0 } else { HAS_PARAMETERS };
        out.push(early | invite | parameters);
        out.extend_from_slice(self.invite.as_ref().map_or(&[], |token| token));
        if size == 0 {
            return;
        }
        VarInt(size as u64).encode(out);
        if let Some(token) = &self.reset_token {
            VarInt(RESET_TOKEN_ID).encode(out);
            VarInt(token.len() as u64).encode(out);
            out.extend_from_slice(token);
        }
        if let Some(max) = self.written_max_datagram() {
            VarInt(MAX_DATAGRAM_ID).encode(out);
            VarInt(max.size() as u64).encode(out);
            max.encode(out);
        }
    }
}

fn take<'a>(reader: &mut Reader<'a>, size: u64) -> Result<&'a [u8], Malformed> {
    reader.take(usize::try_from(size).map_err(|_| Malformed::Truncated)?)
}

/// Size of a parameter: id, size, octets.
fn parameter_size(id: u64, octets: usize) -> usize {
    VarInt(id).size() + VarInt(octets as u64).size() + octets
}

/// The parameters that this version knows. Others are ignored.
#[derive(Default)]
struct Parameters {
    reset_token: Option<[u8; RESET_TOKEN]>,
    max_datagram: Option<u64>,
}

impl Parameters {
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut this = Self::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let (id, size) = (reader.varint()?, reader.varint()?);
            let value = take(&mut reader, size)?;
            let repeated = match id {
                RESET_TOKEN_ID => {
                    let token = value.try_into().map_err(|_| Malformed::Range)?;
                    this.reset_token.replace(token).is_some()
                }
                MAX_DATAGRAM_ID => {
                    let max = decode_max_datagram(value)?;
                    this.max_datagram.replace(max).is_some()
                }
                _ => false,
            };
            if repeated {
                return Err(Malformed::Range);
            }
        }
        Ok(this)
    }
}

/// A value below the size of an INIT is invalid, as in RFC 9000 §18.2.
fn decode_max_datagram(value: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader::new(value);
    let max = reader.varint()?;
    if reader.is_empty() && max >= MIN_DATAGRAM as u64 {
        Ok(max)
    } else {
        Err(Malformed::Range)
    }
}
