//! The clear part of a datagram: tag, type, ids, counter.
//!
//! The fourth byte has the type in its high nibble and in its low nibble the key phase (DATA) or
//! the version (all others). An INIT that answers a RETRY has a type of its own, because its
//! token shifts the fields that follow. Invariant: parsing needs no keys and never panics.

use super::limits::{
    AEAD_TAG, DATA_HEADER, MAC, MAX_COUNTER, MIN_DATAGRAM, RESET_TOKEN, RESP_HEADER, RETRY,
    STATELESS_RESET, TOKEN,
};
use super::{Malformed, Reader, SessionId, TAG, VERSION};

/// Size of Noise message 2 with an empty payload: an X25519 share and an AEAD tag.
const MIN_NOISE_RESP: usize = 32 + AEAD_TAG;

/// Datagram type: the high nibble of the fourth byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DatagramType {
    /// First datagram of a controller.
    Init = 1,
    /// Answer of the agent.
    Resp = 2,
    /// Request to repeat the INIT with a token.
    Retry = 3,
    /// Encrypted frames.
    Data = 4,
    /// INIT repeated with the token of a RETRY.
    InitToken = 5,
    /// Notice of an agent that it has lost a session.
    StatelessReset = 6,
}

/// A parsed datagram that borrows from the received bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    /// INIT, with or without a token.
    Init(Init<'a>),
    /// RESP.
    Resp(Resp<'a>),
    /// RETRY.
    Retry(Retry<'a>),
    /// DATA.
    Data(Data),
    /// STATELESS_RESET.
    StatelessReset(StatelessReset<'a>),
}

/// INIT: tag 4, sender id 8, token 0 or 32, Noise message 1, MAC 16; always 1200 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Init<'a> {
    /// Session id chosen by the controller.
    pub sender: SessionId,
    /// Token of a RETRY.
    pub token: Option<&'a [u8; TOKEN]>,
    /// All bytes before the Noise message: the Noise prologue.
    pub prologue: &'a [u8],
    /// Noise IK message 1.
    pub noise: &'a [u8],
    /// All bytes before the MAC: the input of the MAC.
    pub covered: &'a [u8],
    /// MAC keyed with the agent's public key.
    pub mac: &'a [u8; MAC],
}

/// RESP: tag 4, sender id 8, receiver id 8, Noise message 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resp<'a> {
    /// Session id chosen by the agent.
    pub sender: SessionId,
    /// Session id chosen by the controller.
    pub receiver: SessionId,
    /// Noise IK message 2.
    pub noise: &'a [u8],
}

/// RETRY: tag 4, receiver id 8, token 32, MAC 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry<'a> {
    /// Session id chosen by the controller.
    pub receiver: SessionId,
    /// Token to be returned in the next INIT.
    pub token: &'a [u8; TOKEN],
    /// All bytes before the MAC: the input of the MAC.
    pub covered: &'a [u8],
    /// MAC keyed with the agent's public key.
    pub mac: &'a [u8; MAC],
}

/// DATA: tag 4, receiver id 8, counter 8 (together the associated data), encrypted frames, AEAD tag
/// 16. The encrypted part is `datagram[DATA_HEADER..]`; it is decrypted in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Data {
    /// Key phase: the number of rekeys modulo 16.
    pub phase: u8,
    /// Session id chosen by the receiver.
    pub receiver: SessionId,
    /// Packet number and AEAD nonce; at most [`limits::MAX_COUNTER`](super::limits::MAX_COUNTER).
    pub counter: u64,
}

/// `STATELESS_RESET`: tag 4, receiver id 8, token 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatelessReset<'a> {
    /// Session id chosen by the controller.
    pub receiver: SessionId,
    /// Token that the agent gave for this session in HELLO.
    pub token: &'a [u8; RESET_TOKEN],
}

impl<'a> Datagram<'a> {
    /// Parses a received datagram. Returns `Ok(None)` if it does not begin with the tag and is
    /// therefore plain text.
    ///
    /// # Errors
    /// [`Malformed`] if it begins with the tag and is no valid datagram.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Malformed> {
        if !bytes.starts_with(&TAG) {
            return Ok(None);
        }
        let mut reader = Reader::new(&bytes[TAG.len()..]);
        let fourth = reader.u8()?;
        let low = fourth & 0x0F;
        let parsed = match fourth >> 4 {
            INIT => Self::Init(Init::parse(bytes, low, Token::Absent)?),
            INIT_TOKEN => Self::Init(Init::parse(bytes, low, Token::Present)?),
            RESP_TYPE => Self::Resp(Resp::parse(bytes, low)?),
            RETRY_TYPE => Self::Retry(Retry::parse(bytes, low)?),
            DATA => Self::Data(Data::parse(bytes, low)?),
            RESET_TYPE => Self::StatelessReset(StatelessReset::parse(bytes, low)?),
            _ => return Err(Malformed::Type),
        };
        Ok(Some(parsed))
    }
}

const INIT: u8 = DatagramType::Init as u8;
const RESP_TYPE: u8 = DatagramType::Resp as u8;
const RETRY_TYPE: u8 = DatagramType::Retry as u8;
const DATA: u8 = DatagramType::Data as u8;
const INIT_TOKEN: u8 = DatagramType::InitToken as u8;
const RESET_TYPE: u8 = DatagramType::StatelessReset as u8;

/// Presence of a token after the sender id of an INIT.
#[derive(Clone, Copy)]
enum Token {
    Absent,
    Present,
}

const fn require(holds: bool, otherwise: Malformed) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Returns a reader behind the first four bytes.
fn body(bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    reader.take(TAG.len() + 1)?;
    Ok(reader)
}

impl<'a> Init<'a> {
    fn parse(bytes: &'a [u8], version: u8, token: Token) -> Result<Self, Malformed> {
        require(version == VERSION, Malformed::Version)?;
        require(bytes.len() == MIN_DATAGRAM, Malformed::Length)?;
        let (covered, mac) = bytes.split_last_chunk().ok_or(Malformed::Truncated)?;
        let mut reader = body(covered)?;
        let sender = SessionId(reader.u64()?);
        let token = match token {
            Token::Absent => None,
            Token::Present => Some(reader.array()?),
        };
        let noise = reader.rest();
        Ok(Self {
            sender,
            token,
            prologue: &covered[..covered.len() - noise.len()],
            noise,
            covered,
            mac,
        })
    }
}

impl<'a> Resp<'a> {
    fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        require(version == VERSION, Malformed::Version)?;
        // Never larger than the path is known to carry when it is sent.
        let allowed = RESP_HEADER + MIN_NOISE_RESP..=MIN_DATAGRAM;
        require(allowed.contains(&bytes.len()), Malformed::Length)?;
        let mut reader = body(bytes)?;
        Ok(Self {
            sender: SessionId(reader.u64()?),
            receiver: SessionId(reader.u64()?),
            noise: reader.rest(),
        })
    }
}

impl<'a> Retry<'a> {
    fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        require(version == VERSION, Malformed::Version)?;
        require(bytes.len() == RETRY, Malformed::Length)?;
        let (covered, mac) = bytes.split_last_chunk().ok_or(Malformed::Truncated)?;
        let mut reader = body(covered)?;
        Ok(Self {
            receiver: SessionId(reader.u64()?),
            token: reader.array()?,
            covered,
            mac,
        })
    }
}

impl<'a> StatelessReset<'a> {
    fn parse(bytes: &'a [u8], version: u8) -> Result<Self, Malformed> {
        require(version == VERSION, Malformed::Version)?;
        require(bytes.len() == STATELESS_RESET, Malformed::Length)?;
        let mut reader = body(bytes)?;
        Ok(Self {
            receiver: SessionId(reader.u64()?),
            token: reader.array()?,
        })
    }
}

fn start(kind: DatagramType, low: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&TAG);
    out.push((kind as u8) << 4 | low & 0x0F);
}

/// Appends the clear bytes of an INIT, which are its Noise prologue.
pub fn encode_init(sender: SessionId, token: Option<&[u8; TOKEN]>, out: &mut Vec<u8>) {
    let kind = match token {
        None => DatagramType::Init,
        Some(_) => DatagramType::InitToken,
    };
    start(kind, VERSION, out);
    out.extend_from_slice(&sender.0.to_be_bytes());
    if let Some(token) = token {
        out.extend_from_slice(token);
    }
}

/// Appends the clear bytes of a RESP.
pub fn encode_resp(sender: SessionId, receiver: SessionId, out: &mut Vec<u8>) {
    start(DatagramType::Resp, VERSION, out);
    out.extend_from_slice(&sender.0.to_be_bytes());
    out.extend_from_slice(&receiver.0.to_be_bytes());
}

/// Appends a RETRY up to its MAC.
pub fn encode_retry(receiver: SessionId, token: &[u8; TOKEN], out: &mut Vec<u8>) {
    start(DatagramType::Retry, VERSION, out);
    out.extend_from_slice(&receiver.0.to_be_bytes());
    out.extend_from_slice(token);
}

/// Appends a `STATELESS_RESET`.
pub fn encode_stateless_reset(receiver: SessionId, token: &[u8; RESET_TOKEN], out: &mut Vec<u8>) {
    start(DatagramType::StatelessReset, VERSION, out);
    out.extend_from_slice(&receiver.0.to_be_bytes());
    out.extend_from_slice(token);
}

impl Data {
    fn parse(bytes: &[u8], phase: u8) -> Result<Self, Malformed> {
        require(bytes.len() >= DATA_HEADER + AEAD_TAG, Malformed::Length)?;
        let mut reader = body(bytes)?;
        let receiver = SessionId(reader.u64()?);
        let counter = reader.u64()?;
        require(counter <= MAX_COUNTER, Malformed::Range)?;
        Ok(Self {
            phase,
            receiver,
            counter,
        })
    }

    /// Returns the header bytes, which are the associated data of the AEAD.
    #[must_use]
    pub fn encode(&self) -> [u8; DATA_HEADER] {
        let mut out = [0; DATA_HEADER];
        out[..3].copy_from_slice(&TAG);
        out[3] = DATA << 4 | self.phase & 0x0F;
        out[4..12].copy_from_slice(&self.receiver.0.to_be_bytes());
        out[12..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SENDER: SessionId = SessionId(0x0102_0304_0506_0708);
    const RECEIVER: SessionId = SessionId(0x1112_1314_1516_1718);

    /// One datagram of each type, with its smallest size.
    fn each() -> Vec<Vec<u8>> {
        let mut init = Vec::new();
        encode_init(SENDER, None, &mut init);
        init.resize(MIN_DATAGRAM, 0xAB);
        let mut again = Vec::new();
        encode_init(SENDER, Some(&[7; TOKEN]), &mut again);
        again.resize(MIN_DATAGRAM, 0xAB);
        let mut resp = Vec::new();
        encode_resp(SENDER, RECEIVER, &mut resp);
        resp.resize(RESP_HEADER + MIN_NOISE_RESP, 0xAB);
        let mut retry = Vec::new();
        encode_retry(RECEIVER, &[7; TOKEN], &mut retry);
        retry.resize(RETRY, 0xAB);
        let data = Data {
            phase: 3,
            receiver: RECEIVER,
            counter: 99,
        };
        let mut data = data.encode().to_vec();
        data.resize(DATA_HEADER + AEAD_TAG, 0xAB);
        let mut reset = Vec::new();
        encode_stateless_reset(RECEIVER, &[7; RESET_TOKEN], &mut reset);
        vec![init, again, resp, retry, data, reset]
    }

    fn parse(bytes: &[u8]) -> Datagram<'_> {
        Datagram::parse(bytes).unwrap().unwrap()
    }

    #[test]
    fn an_encoded_header_parses_equal() {
        let each = each();
        for (bytes, token) in each.iter().zip([None, Some(&[7; TOKEN])]) {
            let Datagram::Init(init) = parse(bytes) else {
                panic!("not an INIT");
            };
            assert_eq!((init.sender, init.token), (SENDER, token));
            assert_eq!([init.prologue, init.noise].concat(), init.covered);
            assert_eq!([init.covered, init.mac].concat(), *bytes);
            assert_eq!(
                init.prologue.len(),
                12 + token.map_or(0, |token| token.len())
            );
        }
        let Datagram::Resp(resp) = parse(&each[2]) else {
            panic!("not a RESP");
        };
        assert_eq!((resp.sender, resp.receiver), (SENDER, RECEIVER));
        assert_eq!(resp.noise, [0xAB; MIN_NOISE_RESP]);
        let Datagram::Retry(retry) = parse(&each[3]) else {
            panic!("not a RETRY");
        };
        assert_eq!((retry.receiver, retry.token), (RECEIVER, &[7; TOKEN]));
        assert_eq!([retry.covered, retry.mac].concat(), each[3]);
        let Datagram::Data(data) = parse(&each[4]) else {
            panic!("not DATA");
        };
        assert_eq!(data.encode(), each[4][..DATA_HEADER]);
        assert_eq!((data.phase, data.receiver, data.counter), (3, RECEIVER, 99));
        let Datagram::StatelessReset(reset) = parse(&each[5]) else {
            panic!("not a STATELESS_RESET");
        };
        assert_eq!((reset.receiver, reset.token), (RECEIVER, &[7; RESET_TOKEN]));
        assert!(each[5].len() < DATA_HEADER + AEAD_TAG);
    }

    #[test]
    fn a_counter_that_an_ack_cannot_name_is_out_of_range() {
        let mut data = each().remove(4);
        for (counter, fits) in [
            (MAX_COUNTER, true),
            (MAX_COUNTER + 1, false),
            (u64::MAX, false),
        ] {
            data[12..DATA_HEADER].copy_from_slice(&counter.to_be_bytes());
            assert_eq!(Datagram::parse(&data).is_ok(), fits, "{counter}");
        }
    }

    #[test]
    fn a_datagram_one_byte_short_is_malformed_and_only_resp_and_data_may_be_longer() {
        for (bytes, may_grow) in each()
            .into_iter()
            .zip([false, false, true, false, true, false])
        {
            let shorter = &bytes[..bytes.len() - 1];
            assert_eq!(Datagram::parse(shorter), Err(Malformed::Length));
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Datagram::parse(&longer).is_ok(), may_grow);
        }
        let mut resp = each().remove(2);
        resp.resize(MIN_DATAGRAM + 1, 0);
        assert_eq!(Datagram::parse(&resp), Err(Malformed::Length));
    }

    #[test]
    fn an_unknown_version_or_type_is_reported_as_such() {
        for mut bytes in each() {
            let data = matches!(parse(&bytes), Datagram::Data(_));
            bytes[3] = bytes[3] & 0xF0 | (VERSION + 1);
            let expected = if data { None } else { Some(Malformed::Version) };
            assert_eq!(Datagram::parse(&bytes).err(), expected);
            for kind in [0, 7, 15] {
                bytes[3] = kind << 4 | VERSION;
                assert_eq!(Datagram::parse(&bytes), Err(Malformed::Type));
            }
        }
        assert_eq!(Datagram::parse(&TAG), Err(Malformed::Truncated));
    }

    proptest! {
        #[test]
        fn utf8_text_is_never_parsed_as_a_datagram(text: String) {
            prop_assert_eq!(Datagram::parse(text.as_bytes()), Ok(None));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, fourth: u8, length in 0..1300usize) {
            let _ = Datagram::parse(&bytes);
            let mut tagged = [&TAG[..], &[fourth], &bytes].concat();
            tagged.resize(length, 0);
            let _ = Datagram::parse(&tagged);
        }

        #[test]
        fn no_change_to_a_valid_datagram_panics(which in 0..6usize, at: prop::sample::Index, byte: u8) {
            let mut bytes = each().remove(which);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Datagram::parse(&bytes);
            let _ = Datagram::parse(&bytes[..at]);
        }
    }
}
