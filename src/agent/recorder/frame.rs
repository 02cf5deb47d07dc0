//! Packets between a producer and the recorder.
//!
//! A message is sent as one or more packets of a `SOCK_SEQPACKET` socket: flags (1 byte), the number of the message
//! (8 bytes, little endian) and a fragment. Invariant: whatever a producer sends, a message that comes out of
//! [`Assembler`] is made of the fragments of one message, all of them; fragments left by a producer that died are
//! dropped when the next message begins.

use super::limits::FRAGMENT;

/// Bytes before the fragment.
pub(super) const HEADER: usize = 9;

/// Size of the largest packet of a message.
pub(super) const PACKET: usize = HEADER + FRAGMENT;

/// Size of the largest answer: a reason is a sentence.
pub(super) const ANSWER: usize = HEADER + 1024;

const FIRST: u8 = 1;
const LAST: u8 = 2;
const WANTED: u8 = 4;

/// Answer that the producer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// None.
    Nothing,
    /// One packet that says whether the message was written.
    Answer,
}

/// A whole message.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// Number of the message.
    pub number: u64,
    /// Answer that the producer asks for.
    pub wanted: Wanted,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Writes the packet that carries the fragment of `bytes` from `from`, and returns the end of the fragment.
pub(super) fn encode(
    number: u64,
    wanted: Wanted,
    bytes: &[u8],
    from: usize,
    packet: &mut Vec<u8>,
) -> usize {
    let end = bytes.len().min(from.saturating_add(FRAGMENT));
    let mut flags = 0;
    if from == 0 {
        flags |= FIRST;
    }
    if end == bytes.len() {
        flags |= LAST;
    }
    if wanted == Wanted::Answer {
        flags |= WANTED;
    }
    packet.clear();
    packet.push(flags);
    packet.extend_from_slice(&number.to_le_bytes());
    packet.extend_from_slice(bytes.get(from..end).unwrap_or_default());
    end
}

/// Returns the number of the first message that is whole from a packet on.
pub(super) fn first_whole(packet: &[u8]) -> Option<u64> {
    let (&flags, number) = packet.get(..HEADER)?.split_first()?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    Some(number.saturating_add(u64::from(flags & FIRST == 0)))
}

/// Puts the fragments of a producer's messages together.
#[derive(Debug)]
pub(super) struct Assembler {
    /// Bytes of the largest message.
    limit: usize,
    /// Number and beginning of a message whose end is to come.
    begun: Option<(u64, Vec<u8>)>,
}

impl Assembler {
    /// Returns an assembler for messages of at most `limit` bytes; longer ones are dropped.
    pub(super) const fn new(limit: usize) -> Self {
        let begun = None;
        Self { limit, begun }
    }

    /// Adds a packet. Returns the message that it completes. Packets without meaning are dropped.
    pub(super) fn push(&mut self, packet: &[u8]) -> Option<Message> {
        let (header, fragment) = packet.split_at_checked(HEADER)?;
        let (&flags, number) = header.split_first()?;
        let number = u64::from_le_bytes(number.try_into().ok()?);
        if flags & !(FIRST | LAST | WANTED) != 0 || packet.len() > PACKET {
            return None;
        }
        let mut bytes = match self.begun.take() {
            _ if flags & FIRST != 0 => Vec::new(),
            Some((begun, bytes)) if begun == number => bytes,
            Some(_) | None => return None,
        };
        if bytes.len().saturating_add(fragment.len()) > self.limit {
            return None;
        }
        bytes.extend_from_slice(fragment);
        if flags & LAST == 0 {
            self.begun = Some((number, bytes));
            return None;
        }
        let wanted = if flags & WANTED == 0 {
            Wanted::Nothing
        } else {
            Wanted::Answer
        };
        Some(Message {
            number,
            wanted,
            bytes,
        })
    }
}

/// Answer to a message: true if it was written. On the socket that the recorder is started with, number 0 stands for its
/// start, and an answer that it could not start carries the reason; another number is that of records that could not be
/// written.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// Number of the message.
    pub number: u64,
    /// True if it was written.
    pub written: bool,
    /// Reason in words; may be empty.
    pub reason: String,
}

impl Answer {
    /// Returns the answer about a number of records that could not be written.
    pub(super) const fn unwritten(number: u64) -> Self {
        Self {
            number,
            written: false,
            reason: String::new(),
        }
    }

    /// Returns the packet.
    pub(super) fn to_packet(&self) -> Vec<u8> {
        let mut packet = vec![self.written.into()];
        packet.extend_from_slice(&self.number.to_le_bytes());
        let reason = self.reason.as_bytes();
        packet.extend_from_slice(reason);
        packet.truncate(ANSWER);
        packet
    }

    /// Parses a packet.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let (header, reason) = packet.split_at_checked(HEADER)?;
        let (&written, number) = header.split_first()?;
        Some(Self {
            number: u64::from_le_bytes(number.try_into().ok()?),
            written: written == 1,
            reason: String::from_utf8_lossy(reason).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(number: u64, wanted: Wanted, bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let mut packet = Vec::new();
            at = encode(number, wanted, bytes, at, &mut packet);
            all.push(packet);
            if at == bytes.len() {
                return all;
            }
        }
    }

    #[test]
    fn a_message_of_any_length_is_put_together_from_its_packets() {
        for length in [0, 1, FRAGMENT, FRAGMENT + 1, 5 * FRAGMENT] {
            let bytes = vec![7; length];
            let all = packets(3, Wanted::Answer, &bytes);
            assert_eq!(all.len(), length.div_ceil(FRAGMENT).max(1));
            let mut assembler = Assembler::new(5 * FRAGMENT);
            let mut got: Vec<_> = all.iter().filter_map(|p| assembler.push(p)).collect();
            let expected = Message {
                number: 3,
                wanted: Wanted::Answer,
                bytes,
            };
            assert_eq!(got.pop(), Some(expected));
            assert_eq!(got, []);
        }
    }

    #[test]
    fn a_message_whose_producer_died_does_not_garble_the_next() {
        let torn = packets(1, Wanted::Nothing, &vec![1; 3 * FRAGMENT]);
        let next = packets(2, Wanted::Nothing, &vec![2; 2 * FRAGMENT]);
        let mut assembler = Assembler::new(4 * FRAGMENT);
        assert_eq!(assembler.push(&torn[0]), None);
        assert_eq!(assembler.push(&next[0]), None);
        assert_eq!(assembler.push(&torn[2]), None, "another message's end");
        // The message it interrupts is lost, but never mixed with it.
        assert_eq!(assembler.push(&next[1]), None);
        for packet in packets(3, Wanted::Nothing, b"x") {
            assert_eq!(assembler.push(&packet).unwrap().bytes, b"x");
        }
    }

    #[test]
    fn a_message_above_the_limit_is_dropped() {
        let mut assembler = Assembler::new(FRAGMENT);
        let long = packets(1, Wanted::Nothing, &vec![1; FRAGMENT + 1]);
        assert!(long.iter().all(|packet| assembler.push(packet).is_none()));
        assert!(assembler.begun.is_none());
    }

    proptest! {
        #[test]
        fn no_packet_panics(packets: Vec<Vec<u8>>) {
            let mut assembler = Assembler::new(64);
            for packet in packets {
                if let Some(message) = assembler.push(&packet) {
                    prop_assert!(message.bytes.len() <= 64);
                }
                let _ = Answer::parse(&packet);
            }
        }
    }
}
