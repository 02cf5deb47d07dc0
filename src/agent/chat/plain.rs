//! Plain text, which is unauthenticated: rate limits, the peers that get typed lines, and automatic
//! replies.
//!
//! Sans-IO. [`PlainLimiter`] is used by the network thread and decides which datagrams become
//! events. [`PlainChat`] belongs to the chat and remembers peers. The text is never interpreted.
//!
//! Invariants: both tables are bounded, whatever source addresses are forged. A reply is at most
//! three times as large as the datagram that it answers. A reply is never answered, so two agents
//! that answer each other fall silent.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

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

/// Template of a reply: literal text around the received text, as in `OK...{text}`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ReplyTemplate {
    before: String,
    /// `None` if the reply does not repeat the text.
    after: Option<String>,
}

/// Error: a template without text of its own. Its replies could not be distinguished from the texts
/// that they answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BareTemplate;

impl fmt::Display for BareTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a reply needs text of its own beside {text}, as in 'OK...{text}', \
             so that replies are not answered in turn",
        )
    }
}

impl std::error::Error for BareTemplate {}

impl std::str::FromStr for ReplyTemplate {
    type Err = BareTemplate;

    fn from_str(template: &str) -> Result<Self, BareTemplate> {
        let (before, after) = match template.split_once("{text}") {
            Some((before, after)) => (before, Some(after)),
            None => (template, None),
        };
        if before.trim().is_empty() && after.is_none_or(|after| after.trim().is_empty()) {
            return Err(BareTemplate);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.map(str::to_owned),
        })
    }
}

impl ReplyTemplate {
    /// Returns true if `text` may be a reply by this template, or a reply that quotes one.
    fn matches(&self, text: &[u8]) -> bool {
        let Some(start) = find(text, self.before.as_bytes()) else {
            return false;
        };
        let rest = &text[start + self.before.len()..];
        let after = self.after.as_deref().unwrap_or_default();
        find(rest, after.as_bytes()).is_some()
    }

    fn fill(&self, text: &[u8]) -> Vec<u8> {
        let mut reply = self.before.clone().into_bytes();
        if let Some(after) = &self.after {
            reply.extend_from_slice(text);
            reply.extend_from_slice(after.as_bytes());
        }
        reply
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    if pattern.is_empty() {
        return Some(0);
    }
    text.windows(pattern.len()).position(|part| part == pattern)
}

/// A plain-text peer that has sent a datagram.
#[derive(Debug)]
struct Peer {
    path: Path,
    heard: Instant,
    /// Hash of the text answered last, and the time of the answer.
    answered: Option<(u64, Instant)>,
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
        let repeated = peer
            .answered
            .is_some_and(|(last, at)| last == fingerprint && now.since(at) < limits::REPLY_ONCE);
        let mut reply = template.fill(line);
        if text.len() > line.len() {
            reply.push(b'\n');
        }
        if repeated || reply.len() > 3 * length || !self.replies.take(now, limits::REPLIES) {
            return None;
        }
        peer.answered = Some((fingerprint, now));
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
    fn the_same_text_from_a_peer_is_answered_once() {
        let mut plain = plain("OK...{text}");
        let peer = from("192.0.2.1:5000");
        let reply = plain.on_text(at(0), peer, b"hello\n", 6);
        assert_eq!(reply.as_deref(), Some(&b"OK...hello\n"[..]));
        assert_eq!(plain.on_text(at(1), peer, b"hello\n", 6), None);
        assert!(plain.on_text(at(2), peer, b"world", 5).is_some());
        assert!(plain.on_text(at(2100), peer, b"hello\n", 6).is_some());
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

    #[test]
    fn a_reply_template_needs_text_of_its_own() {
        for bare in ["", "{text}", "  {text}\t"] {
            assert_eq!(bare.parse::<ReplyTemplate>(), Err(BareTemplate));
        }
        for template in ["OK", "OK...{text}", "{text}!", "<{text}>"] {
            assert!(template.parse::<ReplyTemplate>().is_ok());
        }
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
                    assert!(count <= 6, "{one:?} {other:?} {forged:?}: {count}");
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
