//! Moves of the controller: validation of the new address, the former one, and attackers who only forward.

use smallvec::SmallVec;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn from(address: &str) -> Path {
    let remote: SocketAddr = address.parse().unwrap();
    Path {
        remote: remote.into(),
        ..path(false)
    }
}

/// A pair whose agent has a confirmed session, and the addresses that the controller's datagrams come from.
struct Moving {
    pair: Pair,
    /// The controller's address, at which it receives.
    home: Path,
    /// Datagrams sent by the agent to each address, in order, and not delivered.
    withheld: Vec<(Path, Vec<u8>)>,
}

impl Moving {
    fn new() -> Self {
        let mut pair = Pair::new(Duration::ZERO);
        pair.echo = false;
        pair.connect(1, None, b"x");
        pair.run(pair.now + SECOND);
        Self {
            pair,
            home: path(false),
            withheld: Vec::new(),
        }
    }

    /// Returns a datagram of the controller with a PING and padding.
    fn ping(&mut self, padding: usize) -> Vec<u8> {
        let peer = self.pair.controller.session(0).unwrap();
        let mut datagram = Vec::new();
        let start = peer.begin(&mut datagram);
        crate::wire::Frame::Ping.encode(&mut datagram);
        datagram.resize(datagram.len() + padding, 0);
        peer.finish(self.pair.now, &mut datagram, start, true, SmallVec::new());
        datagram
    }

    /// Delivers a datagram to the agent; withholds what the agent sends.
    fn deliver(&mut self, from: Path, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        self.pair
            .agent
            .handle_datagram(self.pair.now, from, None, &mut datagram);
        self.drain_agent();
    }

    fn drain_agent(&mut self) {
        let mut buf = Vec::new();
        while let Some(transmit) = self.pair.agent.poll_transmit(self.pair.now, &mut buf) {
            for datagram in buf.chunks(transmit.segment.unwrap_or(buf.len())) {
                self.withheld.push((transmit.path, datagram.to_vec()));
            }
        }
        while let Some(event) = self.pair.agent.poll_event() {
            self.pair.agent_events.push(event);
        }
    }

    /// Returns the datagrams that the agent has sent to an address.
    fn sent_to(&mut self, to: Path) -> Vec<Vec<u8>> {
        let all = std::mem::take(&mut self.withheld);
        let (to, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(path, _)| path.remote == to.remote);
        self.withheld = others;
        to.into_iter().map(|(_, datagram)| datagram).collect()
    }

    /// Delivers a datagram to the controller; returns its answers.
    fn answers(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let mut datagram = datagram.to_vec();
        self.pair
            .controller
            .handle_datagram(self.pair.now, path(true), None, &mut datagram);
        let (mut buf, mut answers) = (Vec::new(), Vec::new());
        while let Some(transmit) = self.pair.controller.poll_transmit(self.pair.now, &mut buf) {
            answers.extend(
                buf.chunks(transmit.segment.unwrap_or(buf.len()))
                    .map(<[u8]>::to_vec),
            );
        }
        answers
    }

    /// Lets time pass at the agent, of which nothing is delivered.
    fn wait(&mut self, time: Duration) {
        let end = self.pair.now + time;
        while let Some(at) = self.pair.agent.poll_timeout().filter(|&at| at <= end) {
            self.pair.now = self.pair.now.max(at);
            self.pair.agent.handle_timeout(self.pair.now);
            self.drain_agent();
        }
        self.pair.now = end;
    }

    fn path(&mut self) -> (Path, bool) {
        let path = &self.pair.agent.session(0).unwrap().path;
        (path.path, path.validated)
    }

    fn moves(&self) -> usize {
        let events = self.pair.agent_events.iter();
        events
            .filter(|event| matches!(event, Event::Moved { .. }))
            .count()
    }
}

#[test]
fn a_lost_challenge_is_repeated_and_the_answer_to_any_of_them_validates_the_path() {
    let new = from("198.51.100.9:9");
    for answered in 0..limits::CHALLENGES {
        let mut moving = Moving::new();
        // The budget of a bare PING suffices for one challenge.
        let ping = moving.ping(100);
        moving.deliver(new, &ping);
        moving.wait(MS * 929);
        let sent = moving.sent_to(new);
        let challenges: Vec<_> = sent.iter().filter(|sent| sent.len() == 45).collect();
        assert_eq!(challenges.len(), limits::CHALLENGES);
        assert_eq!(moving.path(), (new, false));
        for answer in moving.answers(challenges[answered]) {
            moving.deliver(new, &answer);
        }
        assert_eq!(moving.path(), (new, true), "{answered}");
        assert_eq!(moving.moves(), 1);
        // No challenge is left over.
        moving.wait(SECOND * 2);
        let sent = moving.sent_to(new);
        assert!(sent.iter().all(|sent| sent.len() != 45));
    }
}

#[test]
fn a_validation_without_an_answer_ends_on_the_former_path() {
    let (mut moving, new) = (Moving::new(), from("198.51.100.9:9"));
    let ping = moving.ping(0);
    moving.deliver(new, &ping);
    moving.wait(MS * 929);
    assert_eq!(moving.path(), (new, false));
    moving.wait(MS * 2);
    assert_eq!(moving.path(), (moving.home, true));
    assert_eq!(moving.moves(), 0);
    // A late answer validates nothing that is no longer asked.
    let sent = moving.sent_to(new);
    let challenge = sent.iter().find(|sent| sent.len() == 45).unwrap().clone();
    moving.wait(SECOND);
    assert!(moving.sent_to(new).is_empty());
    for answer in moving.answers(&challenge) {
        moving.deliver(new, &answer);
    }
    assert_eq!(moving.path(), (new, false), "a new validation");
}

#[test]
fn an_attacker_who_forwards_a_datagram_first_loses_the_session_to_the_answer_from_the_former_address()
 {
    let (mut moving, attacker) = (Moving::new(), from("203.0.113.66:666"));
    let ping = moving.ping(0);
    moving.deliver(attacker, &ping);
    // The genuine copy comes later.
    let home = moving.home;
    moving.deliver(home, &ping);
    assert_eq!(moving.path(), (attacker, false));
    let challenge = moving.sent_to(home);
    assert_eq!(challenge.len(), 1, "the former address is challenged");
    let answers = moving.answers(&challenge[0]);
    assert!(!answers.is_empty());
    for answer in answers {
        moving.deliver(home, &answer);
    }
    assert_eq!(moving.path(), (home, true));
    moving.withheld.clear();
    moving.wait(SECOND * 5);
    assert!(moving.sent_to(attacker).is_empty());
    assert_eq!(moving.moves(), 0);
}

#[test]
fn a_small_datagram_from_an_unvalidated_address_is_acknowledged_within_its_budget() {
    let (mut moving, new) = (Moving::new(), from("198.51.100.9:9"));
    let mut received = 0;
    for _ in 0..20 {
        let ping = moving.ping(0);
        received += ping.len();
        moving.deliver(new, &ping);
        moving.wait(MS * 15);
    }
    let sent = moving.sent_to(new);
    let bytes: usize = sent.iter().map(Vec::len).sum();
    assert!(bytes <= 3 * received, "{bytes} for {received}");
    assert_eq!(moving.path(), (new, false));
    // Each is acknowledged, beside the one challenge of that time.
    let acks = sent.iter().filter(|sent| sent.len() != 45).count();
    assert!(acks >= 19, "{acks}");
    for ack in sent {
        moving.answers(&ack);
    }
    let peer = moving.pair.controller.session(0).unwrap();
    assert!(!peer.recovery.sent.has_eliciting());
}
