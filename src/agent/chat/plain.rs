//! Plain text, which is unauthenticated: rate limits, the peers that get typed lines, and automatic
//! replies.
//!
//! Sans-IO. [`PlainLimiter`] is used by the network thread and decides which datagrams become
//! events. [`PlainChat`] belongs to the chat and remembers peers. The text is never interpreted.
//!
//! Invariants: both tables are bounded, whatever source addresses are forged. A reply is at most
//! three times as large as the datagram that it answers. A reply is never answered, and the same
//! text only a few times in succession, so two programs that answer each other fall silent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::ReplyTemplate;
use crate::agent::limits;
use crate::net::{PlainSink, PlainText};
use crate::peer_addr::PeerAddr;
use crate::session::Path;
use crate::time::Instant;

/// A count per second, in windows of one second.
#[derive(Clone, Copy, Default, Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl Window {
    const LENGTH: Duration = Duration::from_secs(1);

    /// Begins a new window if the current one is over. Returns true if it did.
    fn turn(&mut self, now: Instant) -> bool {
        let over = self.count == 0 || now.since(self.since) >= Self::LENGTH;
        if over {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        over
    }

    fn take(&mut self, now: Instant, at_most: u32) -> bool {
        self.turn(now);
        let free = self.count < at_most;
        self.count += u32::from(free);
        free
    }
}

/// Rate limit of plain-text datagrams: a few per second from each source, and more in total.
#[derive(Default, Debug)]
pub struct PlainLimiter {
    overall: Window,
    sources: HashMap<PeerAddr, u32>,
}

impl PlainSink for PlainLimiter {
    fn admit(&mut self, now: Instant, path: &Path, _text: &[u8]) -> bool {
        if self.overall.turn(now) {
            self.sources.clear();
        }
        if self.overall.count >= limits::PLAIN_OVERALL {
            return false;
        }
        let count = self.sources.entry(path.remote.source()).or_default();
        if *count >= limits::PLAIN_PER_SOURCE {
            return false;
        }
        *count += 1;
        self.overall.take(now, limits::PLAIN_OVERALL)
    }
}

/// A plain-text peer that has sent a datagram.
#[derive(Debug)]
struct Peer {
    path: Path,
    heard: Instant,
    /// Text that was answered last.
    answered: Option<Answered>,
}

/// A text that was answered, and the number of times that it may be answered again.
#[derive(Clone, Copy, Debug)]
struct Answered {
    /// Hash of the text.
    fingerprint: u64,
    left: u32,
    /// Time from which [`limits::REPLY_AGAIN`] is counted.
    since: Instant,
}

impl Answered {
    /// Returns the state after one more answer to the text `fingerprint`, if that is allowed.
    fn again(last: Option<Self>, fingerprint: u64, now: Instant) -> Option<Self> {
        let fresh = Self {
            fingerprint,
            left: limits::REPLIES_SAME - 1,
            since: now,
        };
        let Some(last) = last.filter(|last| last.fingerprint == fingerprint) else {
            return Some(fresh);
        };
        let regained = now.since(last.since).as_secs() / limits::REPLY_AGAIN.as_secs();
        let regained = u32::try_from(regained).unwrap_or(u32::MAX);
        let left = last.left.saturating_add(regained).min(limits::REPLIES_SAME);
        Some(Self {
            left: left.checked_sub(1)?,
            since: if regained > 0 { now } else { last.since },
            ..last
        })
    }
}

/// The recent plain-text peers, and the limits of what is sent to them.
#[derive(Default, Debug)]
pub struct PlainChat {
    reply: Option<ReplyTemplate>,
    /// Peers in the order of their last datagram, the most recent last.
    peers: VecDeque<Peer>,
    typed: Window,
    replies: Window,
    hasher: std::hash::RandomState,
}

impl PlainChat {
    /// Returns a table without peers. `reply` is the template for replies.
    #[must_use]
    pub fn new(reply: Option<ReplyTemplate>) -> Self {
        Self {
            reply,
            ..Self::default()
        }
    }

    /// Processes a datagram of `length` bytes that begins with `text`. Returns the reply, if there
    /// is one.
    pub fn on_text(
        &mut self,
        now: Instant,
        path: Path,
        text: &[u8],
        length: usize,
    ) -> Option<Bytes> {
        let port = path.remote.port();
        if port.is_some_and(|port| port < limits::REPLY_PORTS) {
            return None;
        }
        let known = self.peers.iter().position(|peer| peer.path == path);
        let mut peer = known
            .and_then(|index| self.peers.remove(index))
            .unwrap_or(Peer {
                path,
                heard: now,
                answered: None,
            });
        peer.heard = now;
        let reply = self.reply_to(now, &mut peer, text, length);
        if self.peers.len() >= limits::PLAIN_PEERS {
            self.peers.pop_front();
        }
        self.peers.push_back(peer);
        reply
    }

    /// Returns the receivers of a line typed at the agent: all recent peers, or none if lines come
    /// faster than a person types.
    pub fn audience(&mut self, now: Instant) -> impl Iterator<Item = Path> {
        self.peers
            .retain(|peer| now.since(peer.heard) < limits::PLAIN_MEMORY);
        let slow_enough = self.typed.take(now, limits::PLAIN_TYPED);
        self.peers
            .iter()
            .filter(move |_| slow_enough)
            .map(|peer| peer.path)
    }

    fn reply_to(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        text: &[u8],
        length: usize,
    ) -> Option<Bytes> {
        use std::hash::BuildHasher as _;

        let template = self.reply.as_ref()?;
        let line = PlainText { text, length }.trimmed();
        if line.is_empty() || template.matches(line) {
            return None;
        }
        let fingerprint = self.hasher.hash_one(line);
        let answered = Answered::again(peer.answered, fingerprint, now)?;
        let mut reply = template.fill(line);
        if text.len() > line.len() {
            reply.push(b'\n');
        }
        if reply.len() > 3 * length || !self.replies.take(now, limits::REPLIES) {
            return None;
        }
        peer.answered = Some(answered);
        Some(reply.into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use proptest::prelude::*;

    use super::*;

    fn from(address: &str) -> Path {
        Path {
            socket: 0,
            local: None,
            remote: address.parse::<SocketAddr>().unwrap().into(),
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1000)
    }

    fn plain(template: &str) -> PlainChat {
        PlainChat::new(Some(template.parse().unwrap()))
    }

    #[test]
    fn plain_text_is_limited_to_ten_per_second_and_source_and_a_hundred_in_total() {
        let mut limiter = PlainLimiter::default();
        let loud = from("192.0.2.1:5000");
        let heard = (0..1000)
            .filter(|_| limiter.admit(at(0), &loud, b"x"))
            .count();
        assert_eq!(heard, 10);
        assert!(limiter.admit(at(999), &from("192.0.2.2:5000"), b"x"));
        assert!(!limiter.admit(at(999), &from("192.0.2.1:5001"), b"x"));
        assert!(limiter.admit(at(1000), &loud, b"x"));

        let mut limiter = PlainLimiter::default();
        let heard = (0..10_000_u32)
            .filter(|number| {
                let address = IpAddr::V4((0x0a00_0000 | number).into());
                let path = Path {
                    remote: SocketAddr::new(address, 5000).into(),
                    ..loud
                };
                limiter.admit(at(0), &path, b"x")
            })
            .count();
        assert_eq!(heard, 100);
        assert!(limiter.sources.len() <= 100);
    }

    #[test]
    fn all_addresses_of_an_ipv6_slash_64_are_one_source() {
        let mut limiter = PlainLimiter::default();
        let heard = (0..100)
            .filter(|n| limiter.admit(at(0), &from(&format!("[2001:db8::{n:x}]:5000")), b"x"))
            .count();
        assert_eq!(heard, 10);
        assert!(limiter.admit(at(0), &from("[2001:db8:0:1::1]:5000"), b"x"));
    }

    #[test]
    fn the_same_text_from_a_peer_is_answered_a_few_times_in_succession() {
        let mut plain = plain("OK...{text}");
        let peer = from("192.0.2.1:5000");
        let most = u64::from(limits::REPLIES_SAME);
        for number in 0..most {
            let reply = plain.on_text(at(number), peer, b"hello\n", 6);
            assert_eq!(reply.as_deref(), Some(&b"OK...hello\n"[..]), "{number}");
        }
        assert_eq!(plain.on_text(at(most), peer, b"hello\n", 6), None);
        assert!(plain.on_text(at(2100), peer, b"hello\n", 6).is_some());
        assert_eq!(plain.on_text(at(2200), peer, b"hello\n", 6), None);
        assert!(plain.on_text(at(2300), peer, b"world", 5).is_some());
        assert!(plain.on_text(at(2300), peer, b"hello\n", 6).is_some());
    }

    #[test]
    fn a_program_with_a_fixed_answer_is_left_alone_after_a_few_replies() {
        for millis in [1, 100, 900] {
            let mut plain = plain("OK...{text}");
            let peer = from("192.0.2.1:5000");
            let mut times = (0..1000).map(|number| at(number * millis));
            let mut answered = |now| plain.on_text(now, peer, b"Hello there", 11).is_some();
            let count = times.by_ref().take_while(|now| answered(*now)).count();
            assert!(count <= 10, "every {millis} ms: {count}");
        }
    }

    #[test]
    fn replies_low_ports_and_empty_texts_are_not_answered() {
        let mut plain = plain("OK...{text}");
        let peer = from("192.0.2.1:5000");
        for text in ["OK...hello", "Echo: OK...hello", "OK...", "", "\n"] {
            assert_eq!(
                plain.on_text(at(0), peer, text.as_bytes(), text.len()),
                None
            );
        }
        for port in [7, 19, 53, 123, 1023] {
            let service = from(&format!("192.0.2.1:{port}"));
            assert_eq!(plain.on_text(at(0), service, b"hello", 5), None);
        }
        let is_low = |path: Path| path.remote.port() < Some(1024);
        assert!(!plain.audience(at(0)).any(is_low));
    }

    /// Number of datagrams that two agents with these templates exchange after a forged one.
    fn datagrams_between(one: &str, other: &str, forged: &[u8]) -> usize {
        let mut agents = [plain(one), plain(other)];
        let addresses = [from("192.0.2.1:7000"), from("192.0.2.2:7000")];
        let mut said = Bytes::copy_from_slice(forged);
        let mut to = 0;
        for count in 0..1000 {
            let cut = said.slice(..said.len().min(crate::net::limits::PLAIN));
            let reply = agents[to].on_text(at(count), addresses[1 - to], &cut, said.len());
            match reply {
                Some(reply) => said = reply,
                None => return usize::try_from(count).unwrap(),
            }
            to = 1 - to;
        }
        panic!("{one:?} and {other:?} never fall silent");
    }

    #[test]
    fn two_agents_that_answer_each_other_fall_silent() {
        let templates = [
            "OK...{text}",
            "OK",
            "pong",
            "{text}?",
            "<{text}>",
            "<<{text}",
            "O{text}K",
        ];
        for one in templates {
            for other in templates {
                for forged in ["hello", "OK...", "?", "<>", "pong", "OOOKKK"] {
                    let count = datagrams_between(one, other, forged.as_bytes());
                    assert!(count <= 12, "{one:?} {other:?} {forged:?}: {count}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agents_with_any_two_reply_templates_fall_silent(
            one in "[a-c]{0,3}(\\{text\\})?[a-c]{1,3}",
            other in "[a-c]{1,3}(\\{text\\})?[a-c]{0,3}",
            forged in "[a-c]{0,12}",
        ) {
            prop_assert!(datagrams_between(&one, &other, forged.as_bytes()) < 20);
        }

        #[test]
        fn tables_are_bounded_and_replies_small_for_any_plain_text(
            datagrams in prop::collection::vec(
                (any::<u16>(), 0..4_u8, prop::collection::vec(any::<u8>(), 0..40), 0..3000_u64),
                0..400,
            )
        ) {
            let mut plain = plain("OK...{text}");
            let mut limiter = PlainLimiter::default();
            let mut millis = 0;
            for (port, host, text, wait) in datagrams {
                millis += wait;
                let path = from(&format!("192.0.2.{host}:{port}"));
                limiter.admit(at(millis), &path, &text);
                if let Some(reply) = plain.on_text(at(millis), path, &text, text.len()) {
                    prop_assert!(reply.len() <= 3 * text.len());
                    prop_assert!(port >= 1024);
                }
                prop_assert!(plain.peers.len() <= limits::PLAIN_PEERS);
                prop_assert!(limiter.sources.len() <= limits::PLAIN_OVERALL as usize);
            }
        }
    }

    #[test]
    fn typed_lines_go_to_recent_peers_at_the_rate_of_typing() {
        let mut plain = PlainChat::default();
        let (early, late) = (from("192.0.2.1:5000"), from("[2001:db8::1]:5000"));
        plain.on_text(at(0), early, b"x", 1);
        plain.on_text(at(5000), late, b"x", 1);
        let now = Instant::from_micros(1_000_000) + limits::PLAIN_MEMORY;
        assert_eq!(plain.audience(now).collect::<Vec<_>>(), [late]);
        let flood = (0..100).map(|_| plain.audience(now).count()).sum::<usize>();
        assert_eq!(flood, limits::PLAIN_TYPED as usize - 1);
    }
}
